"""Small promises of the older guide that no other test is about."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenejobs.settings import older
from scenejobs.settings.groups import GROUPS, ComputeSettings
from scenejobs.settings.reader import read
from tests.deployment import ROOT, with_defaults

# What the guide sets for the program, and what it has to be here. Variables of azd are in test_bicep.py.
VARIABLES: dict[str, tuple[str, object]] = {
    "INPUT_PATH": ("/data/input", "/data/input"), "OUTPUT_PATH": ("/data/output", "/data/output"),
    "PROCESSED_PATH": ("/data/processed", "/data/processed"), "ERROR_PATH": ("/data/error", "/data/error"),
    "TEMP_PATH": ("/custom/temp/dir", "/custom/temp/dir"), "BACKEND": ("gsplat", "gsplat"),
    "LOG_LEVEL": ("info", "INFO"), "STABILITY_TIMEOUT_SECS": ("30", 30.0), "MAX_RETRIES": ("3", 3),
    "RETENTION_DAYS": ("30", 30.0), "COLMAP_MATCHER": ("sequential", "sequential"),
    "MIN_DISK_SPACE_GB": ("50", 50.0), "HEALTH_CHECK_ENABLED": ("true", True), "HEALTH_CHECK_PORT": ("8080", 8080),
    "METRICS_PORT": ("9090", 9090), "WATCHER_MODE": ("poll", "poll"), "FRAME_RATE": ("2", 2.0),
    "RUN_MODE": ("batch", "batch"), "BATCH_INPUT_PREFIX": ("a/", "a/"), "BATCH_JOB_ID": ("my-job", "my-job"),
    "AZURE_STORAGE_ACCOUNT": ("shop", "shop"), "AZURE_STORAGE_SAS_TOKEN": ("sv=1&sig=x", "sv=1&sig=x"),
    "AZURE_STORAGE_CONNECTION_STRING": ("x=y", "x=y"), "AZURE_STORAGE_CONNECTION_STRING_FILE": ("/file", "/file"),
    "AZURE_USE_MANAGED_IDENTITY": ("true", True), "AZURE_USE_AZURE_AD": ("true", True), "AZURE_CLIENT_ID": ("id", "id"),
    "AZURE_TENANT_ID": ("tenant", "tenant"), "AZURE_CLIENT_SECRET": ("secret", "secret"),
    "AZURE_BLOB_CONTAINER_INPUT": ("in", "in"), "AZURE_BLOB_CONTAINER_OUTPUT": ("out", "out"),
    "AZURE_BLOB_CONTAINER_PROCESSED": ("done", "done"), "AZURE_BLOB_CONTAINER_ERROR": ("bad", "bad"),
    "BLOBFUSE_CACHE_SIZE_MB": ("10240", 10240), "BLOBFUSE_FILE_CACHE_TIMEOUT_SECS": ("120", 120),
    "BLOBFUSE_ATTR_CACHE_TIMEOUT_SECS": ("60", 60), "BLOBFUSE_ENABLE_STREAMING": ("true", True),
}  # fmt: skip
REFUSED = {"RECONSTRUCTION_BACKEND"}
COMPOSE: dict[str, Any] = yaml.safe_load(with_defaults((ROOT / "compose.yaml").read_text()))["services"]


def test_compose_restarts_and_rotates_its_log_as_the_guide_says() -> None:
    for name in ("watch", "watch-cpu"):
        assert COMPOSE[name]["restart"] == "unless-stopped"
        assert COMPOSE[name]["logging"] == {"driver": "json-file", "options": {"max-size": "100m", "max-file": "5"}}


@pytest.mark.parametrize("variable", VARIABLES)
def test_a_variable_of_the_guide_is_read_with_the_value_that_it_has_there(variable: str) -> None:
    given, wanted = VARIABLES[variable]
    found = [
        getattr(read(group, {variable: given}), item.name)
        for group in GROUPS for item in fields(group)
        if item.metadata["variable"] == variable and group is not ComputeSettings
    ]  # fmt: skip
    assert found
    assert set(found) == {wanted}


def test_a_variable_of_the_guide_that_does_nothing_here_is_refused() -> None:
    assert older.VARIABLES.keys() >= REFUSED
    assert VARIABLES.keys().isdisjoint(older.VARIABLES)


def gibibytes(text: str) -> float:
    number, unit = re.fullmatch(r"(\d+)(Gi|Mi)", text).groups()  # type: ignore[union-attr]
    return float(number) / {"Gi": 1, "Mi": 1024}[unit]


def test_the_deployment_asks_for_what_the_guide_asks_for() -> None:
    """One pod, 4 processors and 8 GiB at least, 16 GiB at most or more, a disk of 500 GiB of one node."""
    deployment = yaml.safe_load((ROOT / "k8s/deployment.yaml").read_text())["spec"]
    assert deployment["replicas"] == 1
    resources = deployment["template"]["spec"]["containers"][0]["resources"]
    assert int(resources["requests"]["cpu"]) >= 4
    assert gibibytes(resources["requests"]["memory"]) >= 8
    assert gibibytes(resources["limits"]["memory"]) >= 16
    claim = yaml.safe_load((ROOT / "k8s/pvc.yaml").read_text())["spec"]
    assert gibibytes(claim["resources"]["requests"]["storage"]) >= 500
    assert claim["accessModes"] == ["ReadWriteOnce"]


def test_the_fluentd_example_is_of_a_service_of_compose() -> None:
    """Merged over compose.yaml it takes the place of the driver there, with an address and a tag."""
    page = (ROOT / "docs/deployment.md").read_text()
    (example,) = [
        found for block in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "fluentd" in block
        for found in [yaml.safe_load(block)["services"]]
    ]  # fmt: skip
    assert example.keys() <= COMPOSE.keys()
    (service,) = example.values()
    assert service.keys() == {"logging"}
    assert service["logging"]["driver"] == "fluentd"
    assert service["logging"]["options"].keys() <= {"fluentd-address", "tag"}  # of Docker's fluentd driver


def test_who_deploys_may_look_where_the_guide_looks() -> None:
    """Uploads to input, and a listing of output; what each role may do is held in test_roles.py."""
    rows = [line.split("\t") for line in (ROOT / "scripts/roles.tsv").read_text().splitlines() if line[:1] != "#"]
    given = {where: role for who, where, role, *_ in rows if who == "deployer"}
    assert given["container:input"] == "Storage Blob Data Contributor"
    assert given["container:output"] == given["container:error"] == "Storage Blob Data Reader"


def imported(folders: tuple[str, ...]) -> set[str]:
    """Whole names of the modules that files of ours import."""
    names: set[str] = set()
    for path in (path for folder in folders for path in Path(ROOT / folder).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def required(file: str) -> set[str]:
    return set(re.findall(r"^([\w-]+)==", (ROOT / file).read_text(), re.MULTILINE))


def test_the_packages_of_the_design_are_required_and_used() -> None:
    """Each at one version, and by a program, not by tests alone."""
    cloud = {
        "azure-functions": "azure.functions", "azure-storage-blob": "azure.storage.blob",
        "azure-storage-queue": "azure.storage.queue", "azure-identity": "azure.identity",
        "azure-mgmt-appcontainers": "azure.mgmt.appcontainers",
    }  # fmt: skip
    assert cloud.keys() <= required("requirements.txt")
    assert set(cloud.values()) <= imported(("function_app", "scenejobs"))
    job = ("pycolmap", "gsplat", "torch", "numpy", "plyfile")
    assert set(job) <= required("runner/requirements.txt")
    assert {"pycolmap", "gsplat", "torch", "numpy"} <= imported(("runner",))
    assert "plyfile.PlyData" in imported(("runner/export",))
