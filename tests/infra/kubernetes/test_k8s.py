"""k8s/: what kustomize makes of it has only settings that the code reads, probes it answers, and no rights."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from scenejobs.settings import modes
from tests.deployment import KEPT, ROOT, USER, check_environment

FOLDERS = ["k8s", "k8s/queue", "k8s/serve"]


def own_documents(folder: str) -> Iterator[Any]:
    """As written, without kustomize: the files that the kustomization names."""
    base = ROOT / folder
    kustomization = yaml.safe_load((base / "kustomization.yaml").read_text())
    for name in kustomization["resources"]:
        if (base / name).is_dir():
            yield from own_documents(f"{folder}/{name}")
        else:
            yield from yaml.safe_load_all((base / name).read_text())


def settings_of(folder: str) -> dict[str, str]:
    (generated,) = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())["configMapGenerator"]
    return dict(item.split("=", 1) for item in generated["literals"])


def pod_of(folder: str) -> Any:
    for document in own_documents(folder):
        if document["kind"] == "Deployment":
            return document["spec"]["template"]
        if document["kind"] == "ScaledJob":
            return document["spec"]["jobTargetRef"]["template"]
    raise AssertionError("there is no pod")


@pytest.mark.parametrize("folder", FOLDERS)
def test_the_settings_are_those_that_the_code_reads(folder: str) -> None:
    values = settings_of(folder)
    check_environment(values)
    (container,) = pod_of(folder)["spec"]["containers"]
    (source,) = container["envFrom"]
    (generated,) = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())["configMapGenerator"]
    assert source["configMapRef"]["name"] == generated["name"]
    assert values["RUN_MODE"] == {"k8s": "watch", "k8s/queue": "queue", "k8s/serve": "serve"}[folder]
    assert not values.keys() & modes.not_read_by(values["RUN_MODE"])
    assert list(modes.problems(values)) == []
    assert {name for name in KEPT if folder == "k8s" or "CACHE" in name} <= values.keys()


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_pod_has_no_rights_a_gpu_and_a_place_for_all_it_writes(folder: str) -> None:
    spec = pod_of(folder)["spec"]
    (container,) = spec["containers"]
    assert spec["securityContext"] | {"fsGroupChangePolicy": ""} == {
        "runAsNonRoot": True, "runAsUser": USER, "runAsGroup": USER, "fsGroup": USER, "fsGroupChangePolicy": "",
        "seccompProfile": {"type": "RuntimeDefault"},
    }  # fmt: skip
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True, "capabilities": {"drop": ["ALL"]},
    }  # fmt: skip
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1
    assert "memory" in container["resources"]["limits"]
    mounted = {item["mountPath"]: item["name"] for item in container["volumeMounts"]}
    values = settings_of(folder)
    assert {values["TEMP_PATH"], "/tmp"} <= mounted.keys()
    assert values.get("DATA_PATH", "/tmp") in mounted
    assert set(mounted.values()) == {volume["name"] for volume in spec["volumes"]}
    assert spec["terminationGracePeriodSeconds"] >= 60
    assert not spec.keys() & {"hostNetwork", "hostPID", "hostIPC"}


@pytest.mark.parametrize("folder", FOLDERS)
def test_an_image_that_was_pushed_anew_is_pulled(folder: str) -> None:
    """By a tag that is moved a node would go on with the image it has."""
    (container,) = pod_of(folder)["spec"]["containers"]
    assert container["imagePullPolicy"] == "Always"


def test_the_service_leads_to_health_and_numbers_and_a_watch_may_be_scaled_away() -> None:
    (service,) = [each for each in own_documents("k8s") if each["kind"] == "Service"]
    (container,) = pod_of("k8s")["spec"]["containers"]
    assert {port["targetPort"] for port in service["spec"]["ports"]} == {port["name"] for port in container["ports"]}
    guide = (ROOT / "docs/watch.md").read_text()
    for number in (0, 1):
        assert f"kubectl -n video-splat scale deployment/watch --replicas={number}" in guide
    assert f"http://{service['metadata']['name']}.video-splat:8080/health" in guide


@pytest.mark.parametrize("folder", ["k8s", "k8s/serve"])
def test_probes_ask_what_the_watch_answers(tmp_path: Any, folder: str) -> None:
    from scenejobs.adapters.folder import Places
    from watch import http_server
    from watch.status import WatchStatus

    routes = http_server.health_routes(WatchStatus(tmp_path, Places.below(tmp_path), 0), 10)
    template = pod_of(folder)
    (container,) = template["spec"]["containers"]
    values, ports = settings_of(folder), {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"health": int(values["HEALTH_CHECK_PORT"]), "metrics": int(values["METRICS_PORT"])}
    assert values["LISTEN_ADDRESS"] == "0.0.0.0", "the kubelet asks from outside of the container"
    probes = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {probe["path"] for probe in probes.values()} <= routes.keys()
    assert {probe["port"] for probe in probes.values()} == {"health"}
    assert probes["liveness"]["path"] == "/health/live", "a full disk must not kill the pod in mid-training"
    annotations = template["metadata"]["annotations"]
    assert annotations["prometheus.io/port"] == values["METRICS_PORT"]
    assert annotations["prometheus.io/path"] in http_server.metrics_routes(
        WatchStatus(tmp_path, Places.below(tmp_path), 0)
    )


@pytest.mark.parametrize("folder", FOLDERS)
def test_everything_that_is_named_is_there(folder: str) -> None:
    documents = list(own_documents(folder))
    names = {(document["kind"], document["metadata"]["name"]) for document in documents}
    spec = pod_of(folder)["spec"]
    assert ("ServiceAccount", spec["serviceAccountName"]) in names
    for volume in spec["volumes"]:
        if "persistentVolumeClaim" in volume:
            assert ("PersistentVolumeClaim", volume["persistentVolumeClaim"]["claimName"]) in names
    kustomization = yaml.safe_load((ROOT / folder / "kustomization.yaml").read_text())
    assert ("Namespace", kustomization["namespace"]) in names
    (container,) = spec["containers"]
    assert container["image"] in {image["name"] for image in kustomization["images"]}
    labels = pod_of(folder)["metadata"]["labels"]
    for document in documents:
        if document["kind"] == "Service":
            assert document["spec"]["selector"].items() <= labels.items()
        if document["kind"] == "Deployment":
            assert document["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_a_serving_pod_signs_in_as_the_identity_of_the_cluster_and_needs_no_volume() -> None:
    template = pod_of("k8s/serve")
    assert template["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert [volume["name"] for volume in template["spec"]["volumes"] if "emptyDir" not in volume] == []


def test_the_queue_that_is_counted_is_the_one_that_is_worked_on() -> None:
    """With an identity for both: no key, no connection string."""
    from scenejobs.settings.reader import read
    from scenejobs.settings.storage import StorageSettings

    documents = {document["kind"]: document for document in own_documents("k8s/queue")}
    job, settings = documents["ScaledJob"]["spec"], read(StorageSettings, settings_of("k8s/queue"))
    (trigger,) = job["triggers"]
    assert trigger["metadata"]["queueName"] == settings.jobs_queue
    assert trigger["metadata"]["accountName"] == settings.account
    assert trigger["metadata"]["queueLengthStrategy"] == "visibleonly", (
        "hidden messages are being worked on, or not due"
    )
    assert trigger["authenticationRef"]["name"] == documents["TriggerAuthentication"]["metadata"]["name"]
    assert documents["TriggerAuthentication"]["spec"]["podIdentity"]["provider"] == "azure-workload"
    assert job["jobTargetRef"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert "azure.workload.identity/client-id" in documents["ServiceAccount"]["metadata"]["annotations"]
    assert job["jobTargetRef"]["template"]["spec"]["restartPolicy"] == "Never"


def test_a_job_of_the_cluster_has_a_name_in_the_ledger() -> None:
    """By it a person finds the pod of an attempt."""
    from runner.commands.work import _execution

    (container,) = pod_of("k8s/queue")["spec"]["containers"]
    (variable,) = container["env"]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    assert _execution({variable["name"]: "runner-x7f2k-9q"}) == "runner-x7f2k-9q"


def test_whoever_lets_keda_start_runners_is_told_to_switch_the_other_starter_off() -> None:
    from scenejobs.settings.groups import DispatchSettings
    from scenejobs.settings.reader import read

    guide = (ROOT / "docs/watch.md").read_text()
    (setting, off) = re.findall(r"azd env set (MAX_PARALLEL_JOBS) (\d+)", guide)[0]
    assert read(DispatchSettings, {setting: off}).max_parallel_jobs == 0
    assert f"{setting}, which is then {off}" in (ROOT / "k8s/queue/scaledjob.yaml").read_text()


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
@pytest.mark.parametrize("folder", FOLDERS)
def test_kustomize_builds_it_and_names_the_generated_settings(folder: str) -> None:
    done = subprocess.run(["kubectl", "kustomize", folder], cwd=ROOT, capture_output=True, text=True, check=True)
    documents = list(yaml.safe_load_all(done.stdout))
    (settings,) = [document for document in documents if document["kind"] == "ConfigMap"]
    assert re.fullmatch(r"(watch|queue|serve)-settings-[a-z0-9]+", settings["metadata"]["name"])
    assert done.stdout.count(settings["metadata"]["name"]) == 2, "made once, used once"
    assert "image: video-splat-runner\n" not in done.stdout
    assert all(
        document["metadata"].get("namespace") == "video-splat"
        for document in documents
        if document["kind"] != "Namespace"
    )
