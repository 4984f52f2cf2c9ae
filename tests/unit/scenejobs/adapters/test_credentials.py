"""Who asks the storage, and which settings are refused before anything is asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.identity import (
    AzureCliCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)

from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.adapters.azure.credentials import access, is_emulator, is_loopback
from scenejobs.errors import Code, ConfigurationError
from scenejobs.logs.redact import redact
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings

KEY = "QUJD" * 21 + "QQ=="
EMULATOR = (
    f"DefaultEndpointsProtocol=http;AccountName=devstoreaccount1;AccountKey={KEY};"
    "BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1;QueueEndpoint=http://127.0.0.1:10001/devstoreaccount1;"
)
SAS = "sv=2024-11-04&ss=b&sig=abc%3D&se=2030-01-01"
IDENTITIES = {"client_id": "app", "tenant_id": "tenant", "client_secret": "canary"}


@pytest.fixture(autouse=True)
def nobody_logged_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CONFIG_DIR", str(tmp_path / "none"))


@pytest.mark.parametrize(
    ("settings", "kind", "means"),
    [
        ({"sas_token": SAS}, AzureSasCredential, "SAS token"),
        ({"sas_token": SAS, "use_managed_identity": True, **IDENTITIES}, AzureSasCredential, "SAS token"),
        ({"use_managed_identity": True}, ManagedIdentityCredential, "managed identity"),
        ({"use_managed_identity": True, **IDENTITIES}, ManagedIdentityCredential, "managed identity"),
        (IDENTITIES, ClientSecretCredential, "service principal"),
        ({**IDENTITIES, "federated_token_file": "/var/token"}, ClientSecretCredential, "service principal"),
        (
            {"client_id": "app", "tenant_id": "tenant", "federated_token_file": "/var/token"},
            WorkloadIdentityCredential,
            "workload identity",
        ),
        ({}, AzureCliCredential, "Azure CLI"),
        ({"sas_token": SAS, "use_azure_ad": True}, AzureCliCredential, "Azure CLI"),
        ({"sas_token": SAS, "use_azure_ad": True, **IDENTITIES}, ClientSecretCredential, "service principal"),
    ],
)
def test_the_order_of_credentials(settings: dict[str, object], kind: type, means: str) -> None:
    """SAS > managed identity > service principal > workload identity > Azure CLI."""
    opened = access(StorageSettings(account="shop", **settings))  # type: ignore[arg-type]
    assert isinstance(opened.credential, kind)
    assert opened.means == means
    assert opened.blob_url == "https://shop.blob.core.windows.net"
    assert opened.queue_url == "https://shop.queue.core.windows.net"


@pytest.mark.parametrize("token", [SAS, f"?{SAS}", f" {SAS} "])
def test_a_sas_may_start_with_a_question_mark(token: str) -> None:
    credential = access(StorageSettings(account="shop", sas_token=token)).credential
    assert isinstance(credential, AzureSasCredential)
    assert credential.signature == SAS


def test_the_account_is_required() -> None:
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE_ACCOUNT") as error:
        access(StorageSettings(sas_token=SAS))
    assert error.value.code is Code.MISSING_SETTING


@pytest.mark.parametrize("account", ["Shop", "my-shop", "ab", "a" * 25, "shop.evil.org/", "shop.blob.core.windows.net"])
def test_a_name_that_no_account_has_is_refused(account: str) -> None:
    with pytest.raises(ConfigurationError, match="no account name"):
        access(StorageSettings(account=account, sas_token=SAS))


def test_a_sovereign_cloud_is_an_endpoint() -> None:
    settings = StorageSettings(endpoint="https://shop.blob.core.chinacloudapi.cn/", sas_token=SAS)
    assert access(settings).queue_url == "https://shop.queue.core.chinacloudapi.cn"


def test_a_queue_endpoint_that_does_not_follow_must_be_given() -> None:
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE_QUEUE_ENDPOINT"):
        access(StorageSettings(endpoint="https://storage.example.org", sas_token=SAS))
    settings = StorageSettings(
        endpoint="https://storage.example.org", queue_endpoint="https://queue.example.org", sas_token=SAS
    )
    assert access(settings).queue_url == "https://queue.example.org"


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://shop.blob.core.windows.net",
        "ftp://shop.blob.core.windows.net",
        "shop.blob.core.windows.net",
        f"https://shop.blob.core.windows.net?{SAS}",
        "https://user:canary@shop.blob.core.windows.net",
        "http://127.0.0.1.blob.evil.org",
    ],
)
def test_an_endpoint_that_is_not_https_or_holds_more_than_an_address_is_refused(endpoint: str) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE") as error:
        access(StorageSettings(endpoint=endpoint, sas_token=SAS))
    assert "canary" not in str(error.value)
    assert "sig=" not in str(error.value)


@pytest.mark.parametrize("token", ["sv=2024&se=2030", "https", "sv=1&signature=x"])
def test_a_sas_without_a_signature_is_refused_and_not_quoted(token: str) -> None:
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE_SAS_TOKEN") as error:
        access(StorageSettings(account="shop", sas_token=token))
    assert token not in str(error.value).replace("sv=...&sig=...", "")


def test_half_a_service_principal_names_the_other_half() -> None:
    with pytest.raises(ConfigurationError, match="AZURE_TENANT_ID and AZURE_CLIENT_ID") as error:
        access(StorageSettings(account="shop", client_secret="canary"))
    assert "canary" not in str(error.value)
    with pytest.raises(ConfigurationError, match="workload identity needs AZURE_TENANT_ID"):
        access(StorageSettings(account="shop", client_id="app", federated_token_file="/var/token"))


# ---- connection strings ----


@pytest.mark.parametrize(
    "text",
    [
        EMULATOR,
        EMULATOR.replace("127.0.0.1", "localhost"),
        EMULATOR.replace("127.0.0.1", "[::1]"),
        EMULATOR.replace("127.0.0.1", "azurite"),
        "UseDevelopmentStorage=true",
        "UseDevelopmentStorage=true;",
    ],
)
def test_the_emulator_is_reached_by_its_connection_string(text: str) -> None:
    opened = access(StorageSettings(connection_string=text))
    assert isinstance(opened.credential, AzureNamedKeyCredential)
    assert opened.is_local
    assert opened.blob_url.endswith(":10000/devstoreaccount1")
    assert opened.queue_url.endswith(":10001/devstoreaccount1")


@pytest.mark.parametrize(
    "text",
    [
        f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net",
        f"AccountName=devstoreaccount1;AccountKey={KEY}",
        EMULATOR.replace("127.0.0.1", "shop.example.org"),
        EMULATOR.replace("127.0.0.1", "127.0.0.1.example.org"),
        EMULATOR.replace("127.0.0.1", "127.0.0.1@example.org"),
        EMULATOR.replace("127.0.0.1", "10.0.0.7"),
        EMULATOR.replace("QueueEndpoint=http://127.0.0.1", "QueueEndpoint=http://evil.example.org"),
        f"BlobEndpoint=https://shop.blob.core.windows.net;SharedAccessSignature={SAS}",
        "nonsense",
    ],
)
def test_a_connection_string_of_a_real_account_is_refused_with_what_to_use(text: str) -> None:
    """Also where only the queue leads away, and the emulator's public account anywhere else."""
    with pytest.raises(ConfigurationError, match="AZURE_STORAGE_CONNECTION_STRING") as error:
        access(StorageSettings(account="shop", sas_token=SAS, connection_string=text))
    for way in ("AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_SAS_TOKEN", "AZURE_USE_MANAGED_IDENTITY", "az login"):
        assert way in error.value.advice
    assert KEY not in str(error.value)


def test_a_connection_string_without_a_key_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="AccountName or AccountKey"):
        access(StorageSettings(connection_string=EMULATOR.replace("AccountKey", "Other")))


def test_the_emulators_account_is_refused_in_the_cloud() -> None:
    with pytest.raises(ConfigurationError, match="emulator"):
        access(StorageSettings(account="devstoreaccount1", sas_token=SAS))


def test_the_emulator_without_a_key_is_refused() -> None:
    """A token sent over http could be read by anybody; the SDK refuses too, less clearly."""
    endpoint, queues = "http://127.0.0.1:10000/devstoreaccount1", "http://127.0.0.1:10001/devstoreaccount1"
    with pytest.raises(ConfigurationError, match="needs a key"):
        access(StorageSettings(endpoint=endpoint, queue_endpoint=queues))


def test_a_docker_secret_holds_the_connection_string(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(f"{EMULATOR}\n")
    settings = read(StorageSettings, {"AZURE_STORAGE_CONNECTION_STRING_FILE": str(path)})
    assert access(settings).means == "emulator key"
    with pytest.raises(ConfigurationError, match="cannot be read"):
        access(StorageSettings(connection_string_file=str(tmp_path / "missing")))


@pytest.mark.parametrize(
    ("variable", "others", "means"),
    [
        ("AZURE_STORAGE_SAS_TOKEN", {}, "SAS token"),
        ("AZURE_CLIENT_SECRET", {"AZURE_CLIENT_ID": "app", "AZURE_TENANT_ID": "tenant"}, "service principal"),
    ],
)
def test_every_secret_may_come_from_a_file(tmp_path: Path, variable: str, others: dict[str, str], means: str) -> None:
    """As Docker, Compose and Kubernetes mount them; it is hidden in logs like any other. One that is set wins."""
    path = tmp_path / "secret"
    path.write_text("sv=1&sig=from0a0file0canary\n")
    env = {"AZURE_STORAGE_ACCOUNT": "shop", f"{variable}_FILE": str(path), **others}
    assert access(read(StorageSettings, env)).means == means
    assert "from0a0file0canary" not in redact("failed with from0a0file0canary")
    path.write_text("\n")
    with pytest.raises(ConfigurationError, match=f"{variable}_FILE=.* is empty"):
        access(read(StorageSettings, env))
    assert access(read(StorageSettings, {**env, variable: "sig=set0itself"})).means == means


@pytest.mark.parametrize(
    ("url", "loopback", "emulator"),
    [
        ("http://127.0.0.1:1/x", True, True),
        ("http://127.9.9.9/x", True, True),
        ("http://[::1]:1", True, True),
        ("http://localhost", True, True),
        ("http://azurite:10000/x", False, True),
        ("http://localhost.evil.org", False, False),
        ("http://azurite.evil.org", False, False),
        ("http://evil.org/127.0.0.1", False, False),
        ("http://127.0.0.1@evil.org", False, False),
        ("", False, False),
    ],
)
def test_the_host_alone_decides_what_is_local(url: str, loopback: bool, emulator: bool) -> None:
    assert (is_loopback(url), is_emulator(url)) == (loopback, emulator)


def test_opening_asks_nothing_and_names_the_containers() -> None:
    settings = StorageSettings(account="nobody0here", sas_token=SAS, input="uploads", jobs_queue="work")
    containers, queues = open_containers(settings), open_queues(settings)
    assert (containers.input.name, containers.state.name) == ("uploads", "state")
    opened: list[Any] = [queues.debounce, queues.jobs, queues.poison]
    assert [queue.name for queue in opened] == ["debounce", "work", "work-poison"]
