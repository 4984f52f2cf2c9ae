"""`scenejobs blobfuse`: a configuration that blobfuse2 takes, signed in as the programs, private."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from scenejobs.commands.blobfuse.configuration import configuration, to_yaml
from scenejobs.errors import ConfigurationError
from scenejobs.settings.reader import read
from scenejobs.settings.storage import MountSettings, StorageSettings

ROOT = Path(__file__).parents[4]
# setup/baseConfig.yaml and advancedConfig.yaml of Azure/azure-storage-fuse, August 2026: what has a meaning there.
KEYS: dict[str, set[str]] = {
    "": {"read-only", "disable-kernel-cache", "allow-other", "components"},
    "logging": {"type", "level", "file-path", "max-file-size-mb", "file-count"},
    "file_cache": {"path", "timeout-sec", "max-size-mb", "allow-non-empty-temp", "cleanup-on-start", "refresh-sec"},
    "block_cache": {"block-size-mb", "mem-size-mb", "path", "disk-size-mb", "disk-timeout-sec", "prefetch"},
    "attr_cache": {"timeout-sec", "no-symlinks", "max-size-mb"},
    "azstorage": {
        "type", "account-name", "container", "endpoint", "mode", "account-key", "sas", "appid", "resid", "objid",
        "tenantid", "clientid", "clientsecret", "oauth-token-path",
    },
}  # fmt: skip
ORDER = ["libfuse", "entry_cache", "xload", "block_cache", "file_cache", "attr_cache", "azstorage"]  # of the pipeline
BASE = {"AZURE_STORAGE_ACCOUNT": "shop"}
PRINCIPAL = {"AZURE_TENANT_ID": "tenant", "AZURE_CLIENT_ID": "client"}
# How the programs are told to sign in -> what component/azstorage/config.go asks for, and nothing else.
WAYS: dict[str, tuple[dict[str, str], dict[str, str]]] = {
    "sas": ({"AZURE_STORAGE_SAS_TOKEN": "?sv=1&sig=canary%3D"}, {"mode": "sas", "sas": "sv=1&sig=canary%3D"}),
    "msi": ({"AZURE_USE_MANAGED_IDENTITY": "true"}, {"mode": "msi"}),
    "user-assigned": (
        {"AZURE_USE_MANAGED_IDENTITY": "true", "AZURE_CLIENT_ID": "client"}, {"mode": "msi", "appid": "client"},
    ),
    "spn": (
        {**PRINCIPAL, "AZURE_CLIENT_SECRET": "canary"},
        {"mode": "spn", "tenantid": "tenant", "clientid": "client", "clientsecret": "canary"},
    ),
    "workload": (
        {**PRINCIPAL, "AZURE_FEDERATED_TOKEN_FILE": "/var/run/token"},
        {"mode": "spn", "tenantid": "tenant", "clientid": "client", "oauth-token-path": "/var/run/token"},
    ),
    "cli": ({}, {"mode": "azcli"}),
    "sas set aside": (
        {"AZURE_STORAGE_SAS_TOKEN": "sig=canary", "AZURE_USE_AZURE_AD": "true", "AZURE_USE_MANAGED_IDENTITY": "true"},
        {"mode": "msi"},
    ),
}  # fmt: skip


def written(env: dict[str, str], *, container: str = "output", writable: bool = False) -> Any:
    account, mount = read(StorageSettings, {**BASE, **env}), read(MountSettings, env)
    return yaml.safe_load(to_yaml(configuration(account, mount, container, Path("/scratch/m"), writable=writable)))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("streaming", ["false", "true"])
def test_every_key_is_one_that_blobfuse2_knows_and_the_pipeline_is_in_its_order(way: str, streaming: str) -> None:
    document = written({**WAYS[way][0], "BLOBFUSE_ENABLE_STREAMING": streaming})
    for section, value in document.items():
        known = KEYS.get(section)
        assert (value.keys() <= known) if isinstance(value, dict) and known else (section in KEYS[""]), section
    assert document["components"] == [name for name in ORDER if name in document["components"]]
    assert {"libfuse", "attr_cache", "azstorage"} <= set(document["components"])
    assert len({"file_cache", "block_cache"} & set(document["components"])) == 1, "they exclude each other"
    assert {"file_cache", "block_cache"} & document.keys() == {"file_cache", "block_cache"} & set(
        document["components"]
    )


@pytest.mark.parametrize("way", WAYS)
def test_a_mount_signs_in_as_the_programs_do(way: str) -> None:
    env, expected = WAYS[way]
    endpoint = "https://shop.blob.core.windows.net"
    where = {"type": "block", "account-name": "shop", "container": "output", "endpoint": endpoint}
    assert written(env)["azstorage"] == {**where, **expected}


def test_a_secret_of_a_file_is_taken(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary\n")
    assert written({**PRINCIPAL, "AZURE_CLIENT_SECRET_FILE": str(secret)})["azstorage"]["clientsecret"] == "canary"


def test_another_cloud_gives_its_account_and_endpoint() -> None:
    found = written({"AZURE_STORAGE_ACCOUNT": "", "AZURE_STORAGE_ENDPOINT": "https://shop.blob.core.chinacloudapi.cn"})
    assert found["azstorage"]["account-name"] == "shop"
    assert found["azstorage"]["endpoint"] == "https://shop.blob.core.chinacloudapi.cn"


def test_the_cache_variables_of_the_guide_have_their_effect() -> None:
    default = written({})
    assert (default["file_cache"]["max-size-mb"], default["file_cache"]["timeout-sec"]) == (1024, 120)
    assert default["attr_cache"]["timeout-sec"] == 60
    sizes = {
        "BLOBFUSE_CACHE_SIZE_MB": "10240", "BLOBFUSE_FILE_CACHE_TIMEOUT_SECS": "30",
        "BLOBFUSE_ATTR_CACHE_TIMEOUT_SECS": "5",
    }  # fmt: skip
    found = written(sizes)
    assert (found["file_cache"]["max-size-mb"], found["file_cache"]["timeout-sec"]) == (10240, 30)
    assert found["attr_cache"]["timeout-sec"] == 5
    streaming = written({**sizes, "BLOBFUSE_ENABLE_STREAMING": "true"})["block_cache"]
    assert streaming["mem-size-mb"] == 10240
    assert streaming["prefetch"] * streaming["block-size-mb"] <= 10240


def test_streaming_with_less_memory_than_it_fetches_ahead_is_refused() -> None:
    """blobfuse2 would refuse to start; the least it fetches ahead are 11 blocks of 16 MB."""
    written({"BLOBFUSE_ENABLE_STREAMING": "true", "BLOBFUSE_CACHE_SIZE_MB": "176"})
    with pytest.raises(ConfigurationError, match="BLOBFUSE_CACHE_SIZE_MB=175"):
        written({"BLOBFUSE_ENABLE_STREAMING": "true", "BLOBFUSE_CACHE_SIZE_MB": "175"})


def test_nothing_is_written_to_unless_asked_and_nothing_unsent_is_thrown_away() -> None:
    assert written({})["read-only"] is True
    assert written({})["file_cache"]["cleanup-on-start"] is True
    found = written({}, container="input", writable=True)
    assert found["read-only"] is False
    assert "cleanup-on-start" not in found["file_cache"]


def test_the_emulator_and_a_key_are_no_way_to_sign_in() -> None:
    with pytest.raises(ConfigurationError, match="a mount cannot sign in with the emulator key"):
        written({"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"})
    with pytest.raises(ConfigurationError, match="leads to a real account"):
        written({"AZURE_STORAGE_CONNECTION_STRING": "AccountName=shop;AccountKey=a2V5;BlobEndpoint=https://x.y"})


# ---- the command -----------------------------------------------------------------------------------------------------


def blobfuse(tmp_path: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    known = {"PATH": os.environ["PATH"], **BASE, "TEMP_PATH": str(tmp_path), **env}
    program = "import os, sys; os.umask(0); from scenejobs.commands.cli import main; sys.exit(main(sys.argv[1:]))"
    command = [sys.executable, "-c", program, "blobfuse", *arguments]
    return subprocess.run(command, cwd=ROOT, env=known, capture_output=True, text=True, check=False)


def test_nobody_else_can_read_it_and_it_is_not_shown(tmp_path: Path) -> None:
    """Whatever the umask, and whatever was there before."""
    out = tmp_path / "config.yaml"
    out.write_text("old")
    out.chmod(0o666)
    env = {"AZURE_STORAGE_SAS_TOKEN": "sig=canary", "AZURE_BLOB_CONTAINER_OUTPUT": "results"}
    done = blobfuse(tmp_path, "output", "--out", str(out), **env)
    assert done.returncode == 0, done.stderr
    assert out.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "blobfuse-output").stat().st_mode & 0o777 == 0o700
    assert yaml.safe_load(out.read_text())["azstorage"]["container"] == "results"
    assert "canary" not in done.stdout + done.stderr
    assert f"--config-file={out}" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["blobfuse-output", "config.yaml"], (
        "nothing else is left"
    )


def test_mounting_becomes_blobfuse2_which_sees_the_configuration_alone(tmp_path: Path) -> None:
    """Variables of its own names would go before what is written."""
    tool = tmp_path / "bin/blobfuse2"
    tool.parent.mkdir()
    tool.write_text('#!/bin/sh\nprintf "%s\\n" "$@" >"$CALLS"; env >>"$CALLS"; exit 7\n')
    tool.chmod(0o755)
    path = f"{tool.parent}:{os.environ['PATH']}"
    env = {"PATH": path, "CALLS": str(tmp_path / "calls"), "AZURE_STORAGE_AUTH_TYPE": "key", "IDENTITY_HEADER": "k"}
    done = blobfuse(tmp_path, "output", "--mount", "/mnt/results", "--allow-other", **env)
    assert done.returncode == 7, done.stderr
    config = tmp_path / "blobfuse-output/config.yaml"
    calls = (tmp_path / "calls").read_text().splitlines()
    assert calls[:4] == ["mount", "/mnt/results", f"--config-file={config}", "--foreground"]
    assert not [line for line in calls if line.startswith("AZURE_STORAGE_")]
    assert "IDENTITY_HEADER=k" in calls, "the managed identity of Container Apps needs it"
    assert yaml.safe_load(config.read_text())["allow-other"] is True


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["output", "--mount", "/mnt/x"], {"PATH": "/nowhere"}, "blobfuse2 cannot be started"),
        (["output", "--out", "/dev/null/x"], {}, "cannot be written"),
        (["output"], {"AZURE_STORAGE_ACCOUNT": ""}, "the storage account is not set"),
        (["output"], {"BLOBFUSE_CACHE_SIZE_MB": "0"}, "BLOBFUSE_CACHE_SIZE_MB"),
        (["state"], {}, "is not one of"),
    ],
)
def test_what_is_wrong_is_exit_2_and_named(
    tmp_path: Path, arguments: list[str], env: dict[str, str], words: str
) -> None:
    done = blobfuse(tmp_path, *arguments, **env)
    assert (done.returncode, words in done.stderr) == (2, True), done.stderr
