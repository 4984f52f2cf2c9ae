"""azure.yaml and host.json: what azd and the Functions host make of them.

No package ships azd's schema, so these are rules of ours, after what is published of it (KEYS). The whole file was held
against the schema itself by hand: docs/azd-up.md tells when.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
import yaml

from scenejobs.state.messages import DebounceCheck
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates.deployed import INFRA, deploy

AZURE: dict[str, Any] = yaml.safe_load((ROOT / "azure.yaml").read_text())
HOST: dict[str, Any] = json.loads((ROOT / "host.json").read_text())
HOOKS = {"preprovision", "postprovision", "predeploy", "postdeploy", "predown"}
# The keys at each level: those of https://learn.microsoft.com/azure/developer/azure-developer-cli/azd-schema (of
# 2026-01-09; MicrosoftDocs/azure-dev-docs, commit 0223a20), then those that only the schema has which the first line of
# azure.yaml names (Azure/azure-dev, commit ae35809). The page's `metadata` has nothing else.
KEYS = {
    "": ({"name", "resourceGroup", "metadata", "infra", "services", "pipeline", "hooks", "requiredVersions",
          "workflows"}, set()),
    "metadata": ({"template"}, set()),
    "infra": ({"provider", "path", "module"}, set()),
    "requiredVersions": (set(), {"azd"}),
    "services": ({"resourceName", "project", "host", "language", "module", "dist", "docker", "k8s", "hooks",
                  "apiVersion"}, {"remoteBuild"}),
    "docker": ({"path", "context", "platform", "remoteBuild"}, {"buildArgs", "image"}),
    "hooks": ({"shell", "run"}, set()),  # of its sample
}  # fmt: skip
HOSTS = {"appservice", "containerapp", "function", "staticwebapp", "aks", "springapp"}  # of the same page
LANGUAGES = {"dotnet", "csharp", "fsharp", "py", "python", "js", "ts", "java"}
OF_IMAGES = {"docker"}  # of the schema alone: what is built is an image, whatever it is written in


def test_only_keys_that_azd_knows() -> None:
    services, hooks = AZURE["services"].values(), AZURE["hooks"].values()
    levels: dict[str, list[dict[str, Any]]] = {
        "": [AZURE], "metadata": [AZURE["metadata"]], "infra": [AZURE["infra"]], "services": [*services],
        "requiredVersions": [AZURE["requiredVersions"]], "hooks": [*hooks],
        "docker": [service["docker"] for service in services if "docker" in service],
    }  # fmt: skip
    only_in_schema = set()
    for level, found in levels.items():
        documented, by_schema = KEYS[level]
        used = {key for item in found for key in item}
        assert used <= documented | by_schema, level
        only_in_schema |= by_schema & used
    assert only_in_schema == set().union(*(by_schema for _, by_schema in KEYS.values())), "each is one that is used"
    assert re.fullmatch(r"[a-z0-9][a-z0-9-]*[a-z0-9]", AZURE["name"])
    assert {hook["shell"] for hook in hooks} == {"sh"}
    for service in services:
        assert service["host"] in HOSTS
        assert service["language"] in LANGUAGES | OF_IMAGES


def test_azd_is_new_enough_for_jobs_as_services() -> None:
    """1.23.13 deploys to jobs, 1.24.3 gives build arguments to a remote build, 1.29 asks nothing in CI."""
    found = re.fullmatch(r">= (\d+)\.(\d+)\.(\d+)", AZURE["requiredVersions"]["azd"])
    assert found
    assert tuple(map(int, found.groups())) >= (1, 29, 0)


def test_the_dispatcher_is_built_remotely_from_the_root() -> None:
    service = AZURE["services"]["dispatcher"]
    assert (service["host"], service["language"], service["remoteBuild"]) == ("function", "python", True)
    project = ROOT / service["project"]
    assert (project / "host.json").is_file()
    assert (project / "requirements.txt").is_file()


def test_the_runner_is_built_remotely_from_a_dockerfile_that_exists() -> None:
    service = AZURE["services"]["runner"]
    docker = service["docker"]
    assert (service["host"], docker["remoteBuild"], docker["platform"]) == ("containerapp", True, "linux/amd64")
    dockerfile = ROOT / service["project"] / docker["path"]
    assert re.findall(r"^FROM (\S+)", dockerfile.read_text(), re.M) == ["${KERNELS}"], "azd waits 20 minutes at most"
    assert docker["buildArgs"] == ["KERNELS=${RUNNER_KERNELS_IMAGE}"]
    assert "azd env set RUNNER_KERNELS_IMAGE" in (ROOT / AZURE["hooks"]["predeploy"]["run"]).read_text()
    script = (ROOT / "scripts/deploy-job.sh").read_text()
    assert f"\nrepository={docker['image']}\n" in script, "both ways push into one repository"


def test_one_image_is_built_and_never_two_at_once() -> None:
    assert [name for name, service in AZURE["services"].items() if "docker" in service] == ["runner"]


def test_no_module_has_the_name_of_a_service() -> None:
    """azd would deploy infra/<service>.bicep in the place of the image."""
    for service in AZURE["services"]:
        assert not (INFRA / f"{service}.bicep").exists()
        assert not (INFRA / f"{service}.bicepparam").exists()


def test_azd_gets_the_registry_it_pushes_to() -> None:
    assert deploy().outputs["AZURE_CONTAINER_REGISTRY_ENDPOINT"].endswith(".azurecr.io")


@pytest.mark.parametrize("name", sorted(HOOKS))
def test_every_hook_is_a_program(name: str) -> None:
    assert AZURE["hooks"].keys() == HOOKS
    assert AZURE["hooks"][name]["run"] == f"scripts/hooks/{name}.sh", "test_scripts.py looks at those"
    assert (ROOT / f"scripts/hooks/{name}.sh").is_file()


def test_the_templates_are_where_azd_looks() -> None:
    infra = AZURE["infra"]
    folder = ROOT / infra["path"]
    assert infra["provider"] == "bicep"
    assert (folder / f"{infra['module']}.bicep").is_file()
    assert (folder / f"{infra['module']}.parameters.json").is_file()


# ---- host.json -------------------------------------------------------------------------------------------------------


def test_messages_are_plain_text_as_the_runner_and_the_dispatcher_send_them() -> None:
    from datetime import UTC, datetime

    assert HOST["extensions"]["queues"]["messageEncoding"] == "none"
    assert DebounceCheck("lobby", "a.mp4", datetime(2026, 1, 1, tzinfo=UTC)).to_json().startswith("{")


def test_host_json_holds_values_that_the_host_takes() -> None:
    """https://learn.microsoft.com/azure/azure-functions/functions-host-json and .../functions-bindings-storage-queue"""
    assert HOST["version"] == "2.0"
    assert HOST.keys() <= {"version", "functionTimeout", "extensionBundle", "extensions", "logging"}
    assert HOST["extensionBundle"] == {
        "id": "Microsoft.Azure.Functions.ExtensionBundle",
        "version": "[4.*, 5.0.0)",
    }
    queues = HOST["extensions"]["queues"]
    assert queues.keys() == {
        "batchSize", "newBatchThreshold", "maxDequeueCount", "visibilityTimeout", "maxPollingInterval",
        "messageEncoding",
    }  # fmt: skip
    assert 1 <= queues["batchSize"] <= 32
    assert queues["maxDequeueCount"] >= 3
    for name, span in (("functionTimeout", HOST["functionTimeout"]), *((n, queues[n]) for n in queues if "Time" in n)):
        assert re.fullmatch(r"\d\d:[0-5]\d:[0-5]\d", span), name


def test_no_alert_is_sampled_away() -> None:
    """The alerts count requests and read traces; both kinds of telemetry must be kept whole."""
    sampling = HOST["logging"]["applicationInsights"]["samplingSettings"]
    assert not sampling["isEnabled"] or {"Request", "Trace", "Exception"} <= set(sampling["excludedTypes"].split(";"))


@pytest.mark.parametrize(
    ("category", "level", "is_kept"),
    [
        ("Azure.Core", "Warning", False),  # the host's own 404 and 409 at each sweep and each minute, of ten lines
        ("Azure.Core", "Error", True),
        ("Function.sweep.User", "Warning", True),
        ("Function.on_quiet.User", "Information", True),
        ("Host.Triggers.Blobs", "Warning", True),
    ],
)
def test_the_log_keeps_what_we_and_the_host_say_and_not_each_answer_of_the_storage(
    category: str, level: str, is_kept: bool
) -> None:
    """The rule with the longest prefix holds: https://learn.microsoft.com/dotnet/core/extensions/logging/overview"""
    levels = ["Trace", "Debug", "Information", "Warning", "Error", "Critical"]
    rules = HOST["logging"]["logLevel"]
    rule = max((name for name in rules if category.startswith(name)), key=len, default="default")
    assert (levels.index(level) >= levels.index(rules[rule])) == is_kept
