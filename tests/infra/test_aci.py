"""deploy/aci: the files that are created hold only settings that the code reads, and no secret lies about."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deployment import ROOT, assert_shell_is_clean, check_environment, stub

FOLDER = ROOT / "deploy/aci"
SCRIPT = FOLDER / "create.sh"
COMMON = ["--resource-group", "rg", "--image", "reg.azurecr.io/runner:cpu", "--identity", "me", "--account", "shop"]
KINDS = {"identity": ["--scene", "lobby"], "sas": ["--scene", "lobby/day1"], "files": ["--share", "scenes"]}
SAS = "?sv=2024-11-04&ss=b&srt=sco&sp=rwdlc&sig=canary%3D"
AZ = r"""
printf '%s\n' "$*" >>"$CALLS"
case "$1 $2" in
  "identity show") if [[ $* == *clientId* ]]; then echo client-1; else echo /subscriptions/s/identities/me; fi ;;
  "group show") echo westeurope ;;
  "storage account") echo key-canary ;;
  "container create")
    [[ ${FAIL:-} ]] && exit 3
    cp "${*: -4:1}" "$CALLS.yaml"; stat -c %a "${*: -4:1}" >"$CALLS.mode" ;;
  *) exit 9 ;;
esac
"""


def create(tmp_path: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    env = stub(tmp_path / "bin", "az", AZ) | {"CALLS": str(tmp_path / "calls"), "AZURE_STORAGE_SAS_TOKEN": SAS, **more}
    env["TMPDIR"] = str(tmp_path)
    return subprocess.run([str(SCRIPT), *arguments], env=env, capture_output=True, text=True, check=False)


def created(tmp_path: Path) -> Any:
    return yaml.safe_load((tmp_path / "calls.yaml").read_text())


def environment(group: Any) -> dict[str, str]:
    (container,) = group["properties"]["containers"]
    return {
        item["name"]: item.get("value", item.get("secureValue"))
        for item in container["properties"]["environmentVariables"]
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_created_sets_what_the_code_reads(tmp_path: Path, kind: str) -> None:
    done = create(tmp_path, kind, *COMMON, *KINDS[kind])
    assert done.returncode == 0, done.stderr
    group = created(tmp_path)
    assert "${" not in json.dumps(group)
    check_environment(environment(group))
    assert environment(group)["RUN_MODE"] == ("watch" if kind == "files" else "batch")
    assert group["location"] == "westeurope"
    assert group["properties"]["imageRegistryCredentials"] == [
        {"server": "reg.azurecr.io", "identity": "/subscriptions/s/identities/me"}
    ]
    mounts = {mount["name"] for mount in group["properties"]["containers"][0]["properties"]["volumeMounts"]}
    assert mounts == {volume["name"] for volume in group["properties"]["volumes"]}


@pytest.mark.parametrize(("kind", "means"), [("identity", "managed identity"), ("sas", "SAS token")])
def test_the_storage_is_asked_as_the_name_says(tmp_path: Path, kind: str, means: str) -> None:
    from scenejobs.azure.credentials import access
    from scenejobs.settings import StorageSettings, read

    create(tmp_path, kind, *COMMON, *KINDS[kind])
    assert access(read(StorageSettings, environment(created(tmp_path)))).means == means


@pytest.mark.parametrize("kind", KINDS)
def test_a_secret_is_in_the_file_alone_which_is_private_and_goes(tmp_path: Path, kind: str) -> None:
    done = create(tmp_path, kind, *COMMON, *KINDS[kind])
    assert (tmp_path / "calls.mode").read_text() == "600\n"
    assert not list(tmp_path.glob("tmp*")), "the file is removed"
    assert "canary" not in done.stdout + done.stderr + (tmp_path / "calls").read_text()
    (container,) = created(tmp_path)["properties"]["containers"]
    shown = [item.get("value", "") for item in container["properties"]["environmentVariables"]]
    assert not any("canary" in value for value in shown), "a secret is a secureValue, which nobody can read back"
    dry = create(tmp_path, kind, *COMMON, *KINDS[kind], "--dry-run")
    assert dry.returncode == 0
    assert "canary" not in dry.stdout
    yaml.safe_load(dry.stdout)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["batch"], 2, "use identity, sas or files"),
        (["identity", *COMMON], 2, "--scene is needed"),
        (["files", *COMMON], 2, "--share is needed"),
        (["identity", "--scene"], 2, "--scene needs a value"),
        (["identity", "--gpu", "1"], 2, "--gpu is unknown"),
        (["identity", *COMMON, "--scene", 'x"}, {name: EVIL'], 2, "--scene may hold"),
        (["identity", *COMMON, "--image", "runner", "--scene", "a"], 2, "--image is"),
    ],
)
def test_wrong_arguments_are_exit_2_before_anything_is_asked(
    tmp_path: Path, arguments: list[str], code: int, words: str
) -> None:
    done = create(tmp_path, *arguments)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    assert not (tmp_path / "calls").exists()


def test_a_failure_of_azure_is_exit_1_and_leaves_no_file(tmp_path: Path) -> None:
    done = create(tmp_path, "sas", *COMMON, "--scene", "a", FAIL="yes")
    assert (done.returncode, done.stderr) == (1, "error: az container create failed\n")
    assert not list(tmp_path.glob("tmp*"))


def test_the_scripts_are_clean() -> None:
    assert_shell_is_clean([SCRIPT])
