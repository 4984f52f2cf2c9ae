"""The login of `az login` in a folder, without the CLI: of files that azure-cli 2.91 wrote."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError

from scenejobs.adapters.azure import cli_login
from scenejobs.adapters.azure.credentials import access
from scenejobs.errors import AccessDenied
from scenejobs.settings.storage import StorageSettings
from tests.microsoft import NAME, REFRESH, TENANT, Microsoft, microsoft

ROOT = Path(__file__).parents[4]
FOLDERS = ROOT / "tests/azure_folder"
STORAGE = "https://storage.azure.com/.default"


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Microsoft]:
    """The token service, reached as behind a proxy."""
    with microsoft(tmp_path) as found:
        for name, value in found.env.items():
            monkeypatch.setenv(name, value)
        yield found


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of a person's folder, and no CLI."""
    path = tmp_path / "azure"
    shutil.copytree(FOLDERS / "person", path)
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(path))
    monkeypatch.setenv("PATH", str(tmp_path))
    return path


def test_a_program_signs_in_with_the_mounted_folder_and_leaves_it_as_it_is(
    service: Microsoft, folder: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for path in folder.iterdir():
        path.chmod(0o400)
    folder.chmod(0o500)
    env = {**service.env, "AZURE_CONFIG_DIR": str(folder), "PATH": str(tmp_path), "AZURE_STORAGE_ACCOUNT": "shop"}
    for more in ({}, {"AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=2", "AZURE_USE_AZURE_AD": "true"}):
        command = [sys.executable, "-m", "scenejobs", "status"]
        ended = subprocess.run(
            command, cwd=ROOT, env={**env, **more}, capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 2, "the blob service here refuses everybody"
        assert "lacks a role" in ended.stderr
    (asked, form), _ = service.asked
    assert (asked, form["refresh_token"], form["scope"].split()[0]) == (TENANT, REFRESH, STORAGE)
    assert service.bearers == {"token-1-for-https://storage.azure.com/.default",
                               "token-2-for-https://storage.azure.com/.default"}  # fmt: skip
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_one_token_is_asked_for_and_kept(service: Microsoft, folder: Path) -> None:
    opened = access(StorageSettings(account="shop"))
    assert opened.means == "login of the Azure CLI"
    tokens = {opened.credential.get_token(STORAGE).token for _ in range(3)}  # type: ignore[union-attr]
    assert len(tokens) == len(service.asked) == 1


def test_another_tenant_is_asked_where_it_is_set(service: Microsoft, folder: Path) -> None:
    other = "55555555-5555-5555-5555-555555555555"
    cli_login.credential(other).get_token(STORAGE)
    assert service.asked[0][0] == other


def test_a_login_that_has_ended_names_the_person_and_the_way_out(service: Microsoft, folder: Path) -> None:
    service.refused = True
    with pytest.raises(ClientAuthenticationError, match=rf"{NAME}.*AADSTS70043.*az login"):
        cli_login.credential().get_token(STORAGE)


def test_a_service_principal_that_logged_in_is_asked_with_its_secret(
    service: Microsoft, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(FOLDERS / "application"))
    cli_login.credential().get_token(STORAGE)
    assert service.asked[0][1]["client_secret"] == "secret-of-app"


def test_the_cli_itself_goes_first(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "az").write_text("#!/bin/sh\n")
    (tmp_path / "az").chmod(0o755)
    assert access(StorageSettings(account="shop")).means == "Azure CLI"


def edit(folder: Path, **account: object) -> None:
    path = folder / cli_login.PROFILE
    profile = json.loads(path.read_text(encoding="utf-8-sig"))
    profile["subscriptions"][0] |= account
    path.write_text(json.dumps(profile))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda folder: (folder / "msal_token_cache.json").unlink(), "msal_token_cache.json is not there"),
        (
            lambda folder: (folder / "msal_token_cache.json").rename(folder / "msal_token_cache.bin"),
            r"encrypted.*az config set core.encrypt_token_cache=false",
        ),
        (lambda folder: (folder / "azureProfile.json").write_text("{}"), "names nobody who is logged in"),
        (lambda folder: (folder / "azureProfile.json").write_text('{"subscriptions": []}'), "names nobody"),
        (lambda folder: (folder / "azureProfile.json").write_text("{"), "names nobody"),
        (lambda folder: edit(folder, environmentName="Own"), "cloud Own is not known.*AZURE_AUTHORITY_HOST"),
        (
            lambda folder: edit(folder, user={"name": "app", "type": "servicePrincipal"}),
            "service_principal_entries.json",
        ),
        (
            lambda folder: edit(
                folder, user={"name": "x", "type": "servicePrincipal", "assignedIdentityInfo": "MSI"}
            ),
            "AZURE_USE_MANAGED_IDENTITY",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_why_and_what_to_do(change: object, words: str, folder: Path) -> None:
    change(folder)  # type: ignore[operator]
    with pytest.raises(AccessDenied, match=words):
        cli_login.credential()


def test_tokens_of_two_people_are_not_mixed_up(service: Microsoft, folder: Path) -> None:
    edit(folder, user={"name": "bob@example.com", "type": "user"})
    with pytest.raises(ClientAuthenticationError, match="0 accounts of that name"):
        cli_login.credential().get_token(STORAGE)
    assert not service.asked


def test_a_cli_that_was_started_and_never_logged_in_is_no_login(folder: Path) -> None:
    """It writes a profile with nothing but its own number."""
    assert cli_login.is_there()
    (folder / "azureProfile.json").write_text('\ufeff{"installationId": "819e1d48"}', encoding="utf-8")
    assert not cli_login.is_there()
    (folder / "azureProfile.json").unlink()
    assert not cli_login.is_there()


def test_a_token_service_that_is_away_is_asked_again_later(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As any request that was never answered: a machine in serve mode ended with a traceback."""
    for name in ("HTTPS_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    with pytest.raises(ServiceRequestError, match=rf"login of {NAME}"):
        cli_login.credential().get_token(STORAGE)


def test_tokens_that_are_half_written_are_told_without_their_text(folder: Path) -> None:
    path = folder / cli_login.TOKENS
    path.write_text(path.read_text()[:200])
    with pytest.raises(ClientAuthenticationError, match="az login") as told:
        cli_login.credential().get_token(STORAGE)
    assert told.value.__suppress_context__, "the parser's error holds the whole file"
