"""Small promises of the older guide that no other test is about."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import yaml

from tests.deployment import ROOT, with_defaults

COMPOSE: dict[str, Any] = yaml.safe_load(with_defaults((ROOT / "compose.yaml").read_text()))["services"]


def test_compose_restarts_and_rotates_its_log_as_the_guide_says() -> None:
    for name in ("watch", "watch-cpu"):
        assert COMPOSE[name]["restart"] == "unless-stopped"
        assert COMPOSE[name]["logging"] == {"driver": "json-file", "options": {"max-size": "100m", "max-file": "5"}}


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
