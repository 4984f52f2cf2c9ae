"""Every path that the deployment guide of the older service prints leads to something that works.

The lists are copied from that guide: what its readers type. Files that it tells them to write themselves
(docker-compose.yml, aci-deployment.yaml, config.yaml) are not among them.
"""

from __future__ import annotations

import os
import re
import subprocess

import pathspec
import pytest
import yaml

from tests.infra.containers.images import docker_context
from tests.infra.scripts.scripted import ROOT, Bench

SCRIPTS = {  # path: options it is called with
    "scripts/configure-existing-resources.sh": ["--reset"],
    "scripts/e2e/01-download-testdata.sh": [],
    "scripts/azure-setup.sh": [],
    "scripts/azure-test.sh": [],
    "scripts/azure-cleanup.sh": ["--delete-all"],
    "infra/scripts/assign-rbac.sh": ["--use-bicep"],
    "infra/scripts/verify-rbac.sh": [],
    "infra/scripts/cleanup-rbac.sh": [],
    "infra/scripts/upload-testdata.sh": ["--prefix", "--download-only"],
    "infra/scripts/run-job.sh": ["--wait", "--logs"],
    "infra/scripts/deploy-job.sh": ["--skip-build"],
    "infra/scripts/hooks/acr-build.sh": [],
}
HOOKS = ("preprovision", "postprovision", "predown")  # infra/scripts/hooks/*.sh, which azd runs
MANIFESTS = {"k8s/deployment.yaml": "Deployment", "k8s/pvc.yaml": "PersistentVolumeClaim"}  # kubectl apply -f
TOP = {
    "function_app", "runner", "infra", "tests", "host.json", "requirements.txt", "Dockerfile.runner", "azure.yaml",
    "README.md",
}  # fmt: skip


def tracked() -> list[tuple[str, str]]:
    """(mode, path) of what a clone gets."""
    done = subprocess.run(["git", "ls-files", "-s"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [(line.split()[0], line.split("\t")[1]) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_of_the_guide_can_be_called_with_its_options(script: str, bench: Bench) -> None:
    assert os.access(ROOT / script, os.X_OK)
    helped = bench.run(script, "--help")
    assert (helped.code, helped.err, helped.calls) == (0, "", [])
    for option in SCRIPTS[script]:
        assert re.search(rf"{option}\b", helped.out), option
        assert re.search(rf"(^|[\s|]){option}( \||\))", (ROOT / script).read_text(), re.MULTILINE), option


@pytest.mark.parametrize("name", HOOKS)
def test_a_hook_of_the_guide_is_the_one_that_azd_runs(name: str) -> None:
    hook = ROOT / "infra/scripts/hooks" / f"{name}.sh"
    assert os.access(hook, os.X_OK)
    azd = yaml.safe_load((ROOT / "azure.yaml").read_text())["hooks"][name]["run"]
    assert hook.resolve() == ROOT / azd


@pytest.mark.parametrize("manifest", MANIFESTS)
def test_a_manifest_of_the_guide_is_what_it_says(manifest: str) -> None:
    (document,) = yaml.safe_load_all((ROOT / manifest).read_text())
    assert document["kind"] == MANIFESTS[manifest]


def test_compose_up_finds_a_file_and_a_service_without_a_profile() -> None:
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text())
    plain = [service for service in compose["services"].values() if "profiles" not in service]
    assert {(ROOT / service["build"]["dockerfile"]).is_file() for service in plain} == {True}


def test_the_credentials_of_the_trial_are_written_where_they_are_sourced_from(bench: Bench) -> None:
    """source azure-test-config.env"""
    assert "azure-test-config.env" in bench.run("scripts/azure-setup.sh", "--help").out


# ---- the top level ---------------------------------------------------------------------------------------------------


def test_the_ordered_top_level_is_there_and_the_readme_explains_every_folder() -> None:
    names = [path for _, path in tracked()]
    assert {name.partition("/")[0] for name in names} >= TOP
    folders = {name.partition("/")[0] for name in names if "/" in name and name[0] != "."}
    table = (ROOT / "README.md").read_text().partition("## Folders\n")[2]
    assert {folder for folder in folders if f"`{folder}/`" not in table} == set()


def test_the_one_link_is_relative_and_goes_into_no_deployment() -> None:
    """azd opens what it packs and cannot pack a link: neither list may let one through."""
    assert [path for mode, path in tracked() if mode == "120000"] == ["infra/scripts"]
    assert os.readlink(ROOT / "infra/scripts") == "../scripts"
    assert not docker_context(ROOT)("infra/scripts")
    rules = pathspec.GitIgnoreSpec.from_lines((ROOT / ".funcignore").read_text().splitlines())
    assert rules.match_file("infra/scripts")
