"""k8s/ held against the schemas that Kubernetes publishes, the oldest and the newest that the validator has.

`make k8s-check` installs the validator and runs this. A ScaledJob of KEDA has no schema there: its pod is checked as
that of a Job, which is what KEDA makes of it.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment import ROOT
from tests.infra.kubernetes.test_k8s import own_documents

TOOL = ROOT / ".local/kubernetes/bin/kubernetes-validate"
VERSIONS = ("1.32", "1.37")
FOLDERS = sorted(
    path.parent.relative_to(ROOT).as_posix()
    for path in (ROOT / "k8s").rglob("kustomization.yaml")
    if "kind: Kustomization" in path.read_text() and path.parent.name != "common"
)
pytestmark = pytest.mark.skipif(not TOOL.exists(), reason="no validator: make k8s-check")


def documents(folder: str) -> list[Any]:
    """As kustomize builds them; where it is missing as they are written."""
    found = list(own_documents(folder)) if shutil.which("kubectl") is None else rendered(ROOT / folder)
    known = [each for each in found if each["kind"] != "TriggerAuthentication"]
    return [as_job(each) if each["kind"] == "ScaledJob" else each for each in known]


def rendered(folder: Path) -> list[Any]:
    done = subprocess.run(["kubectl", "kustomize", folder], capture_output=True, text=True, check=True)
    return list(yaml.safe_load_all(done.stdout))


def as_job(scaled: Any) -> Any:
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": scaled["metadata"],
        "spec": scaled["spec"]["jobTargetRef"],
    }


def complaints(found: list[Any], file: Path) -> list[str]:
    file.write_text(yaml.safe_dump_all(found))
    lines = []
    for version in VERSIONS:
        command = [TOOL, "--strict", "-k", version, file]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        lines += [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("INFO")]
        assert (done.returncode == 0) == (not lines), done.stderr
    return lines


@pytest.mark.parametrize("folder", FOLDERS)
def test_kubernetes_knows_every_field(folder: str, tmp_path: Path) -> None:
    assert complaints(documents(folder), tmp_path / "all.yaml") == []


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_field_that_it_does_not_know_is_refused(folder: str, tmp_path: Path) -> None:
    """So that nothing passes because nothing was looked at."""
    found = documents(folder)
    (pod,) = [each["spec"]["template"]["spec"] for each in found if each["kind"] in ("Deployment", "Job")]
    pod["containers"][0]["imagePullPolice"] = "Always"
    assert any("imagePullPolice" in line for line in complaints(found, tmp_path / "all.yaml"))


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="there is no kubectl")
def test_on_spot_machines_the_pod_goes_there_and_ends_before_they_do(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "k8s", tmp_path / "k8s")
    file = tmp_path / "k8s/kustomization.yaml"
    text = file.read_text()
    assert "# components: [spot]" in text
    file.write_text(text.replace("# components: [spot]", "components: [spot]"))
    found = rendered(file.parent)
    assert complaints(found, tmp_path / "all.yaml") == []
    (settings,) = [each["data"] for each in found if each["kind"] == "ConfigMap"]
    (spec,) = [each["spec"]["template"]["spec"] for each in found if each["kind"] == "Deployment"]
    label = "kubernetes.azure.com/scalesetpriority"
    assert spec["nodeSelector"] == {label: "spot"}
    assert {"key": label, "operator": "Equal", "value": "spot", "effect": "NoSchedule"} in spec["tolerations"]
    assert float(settings["STOP_GRACE_SECS"]) + 10 < spec["terminationGracePeriodSeconds"] < 30, "Azure gives 30 s"
    assert settings["RUN_MODE"] == "watch", "merged, not replaced"
