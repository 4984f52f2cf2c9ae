"""Which credential signs the requests: SAS > managed identity > service principal > workload identity > Azure CLI.

Where the CLI is not installed, the login in its folder takes its place (`cli_login.py`).

A connection string holds the account's key, which allows everything; it is for the emulator only.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential

from scenejobs.adapters.azure.errors import LOGIN_ADVICE
from scenejobs.errors import Code, ConfigurationError
from scenejobs.logs.redact import remember
from scenejobs.loopback import is_loopback_host
from scenejobs.settings.storage import StorageSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

_ACCOUNT = re.compile(r"[a-z0-9]{3,24}")
_EMULATOR = "devstoreaccount1"
_EMULATOR_HOSTS = frozenset({"localhost", "azurite", "host.docker.internal"})
_EMULATOR_KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="


@dataclass(frozen=True)
class Access:
    """Where the storage is, and with which credential."""

    blob_url: str
    queue_url: str
    credential: AzureNamedKeyCredential | AzureSasCredential | TokenCredential
    means: str  # for logs: "SAS token", "managed identity", ...

    @property
    def is_local(self) -> bool:
        return is_emulator(self.blob_url)


def is_loopback(url: str) -> bool:
    """Whether the URL leads to this machine. Only the host counts, no other part of the text."""
    return is_loopback_host(urlsplit(url).hostname or "")


def is_emulator(url: str) -> bool:
    """Loopback, or a host name by which containers reach an emulator beside them."""
    return is_loopback(url) or (urlsplit(url).hostname or "") in _EMULATOR_HOSTS


def access(settings: StorageSettings) -> Access:
    """Raises ConfigurationError naming what is missing or not allowed."""
    settings = with_secrets_of_files(settings)
    connection_string = settings.connection_string
    remember(settings.client_secret, *_secrets_in(settings.sas_token, "&"), *_secrets_in(connection_string, ";"))
    remember(os.environ.get("IDENTITY_HEADER"))  # the identity library reads it, and shows it to its endpoint
    if connection_string:
        return _emulator(connection_string)
    blob_url, queue_url = _endpoints(settings)
    if settings.sas_token and not settings.use_azure_ad:
        token = settings.sas_token.strip().lstrip("?")
        if not re.search(r"(^|&)sig=", token):
            raise _wrong("AZURE_STORAGE_SAS_TOKEN holds no signature", "use the whole token: sv=...&sig=...")
        return Access(blob_url, queue_url, AzureSasCredential(token), "SAS token")
    if is_loopback(blob_url) and urlsplit(blob_url).scheme == "http":
        raise _wrong("an emulator's endpoint needs a key", "set AZURE_STORAGE_CONNECTION_STRING to the emulator's")
    credential, means = _identity(settings)
    return Access(blob_url, queue_url, credential, means)


def _secrets_in(text: str, separator: str) -> list[str]:
    """The signature of a SAS, the key of a connection string."""
    pairs = (part.partition("=") for part in text.split(separator))
    return [value for name, _, value in pairs if name.strip().lower() in ("sig", "?sig", "accountkey")]


def _identity(settings: StorageSettings) -> tuple[TokenCredential, str]:
    from azure import identity  # heavy, and not needed with a SAS token or the emulator

    from scenejobs.adapters.azure import cli_login

    if settings.use_managed_identity:
        return identity.ManagedIdentityCredential(client_id=settings.client_id or None), "managed identity"
    if settings.client_secret:
        _need(settings, "a service principal", AZURE_TENANT_ID="tenant_id", AZURE_CLIENT_ID="client_id")
        credential = identity.ClientSecretCredential(settings.tenant_id, settings.client_id, settings.client_secret)
        return credential, "service principal"
    if settings.federated_token_file:
        _need(settings, "workload identity", AZURE_TENANT_ID="tenant_id", AZURE_CLIENT_ID="client_id")
        return identity.WorkloadIdentityCredential(
            tenant_id=settings.tenant_id,
            client_id=settings.client_id,
            token_file_path=settings.federated_token_file,
        ), "workload identity"
    if shutil.which("az") is None and cli_login.is_there():  # in an image, with the folder of the CLI mounted
        return cli_login.credential(settings.tenant_id), "login of the Azure CLI"
    return identity.AzureCliCredential(), "Azure CLI"


def token_of(settings: StorageSettings, scope: str) -> Callable[[], str]:
    """Of the identity that opens the storage, for another service; the library keeps it until it ends."""
    credential, _ = _identity(with_secrets_of_files(settings))
    return lambda: credential.get_token(scope).token


def management_credential(client_id: str) -> TokenCredential:
    """For the management service: the identity of the host that this runs on, else the user who is logged in."""
    from azure import identity

    return identity.DefaultAzureCredential(
        managed_identity_client_id=client_id or None, exclude_interactive_browser_credential=True
    )


def _need(settings: StorageSettings, what: str, **fields: str) -> None:
    missing = [variable for variable, name in fields.items() if not getattr(settings, name)]
    if missing:
        raise ConfigurationError(
            f"{what} needs {' and '.join(missing)} too", code=Code.MISSING_SETTING, advice=f"set {', '.join(missing)}"
        )


def _endpoints(settings: StorageSettings) -> tuple[str, str]:
    blob_url = settings.endpoint.rstrip("/")
    if not blob_url:
        if not settings.account:
            raise ConfigurationError(
                "the storage account is not set",
                code=Code.MISSING_SETTING,
                advice="set AZURE_STORAGE_ACCOUNT, or AZURE_STORAGE_ENDPOINT for another cloud; for the emulator "
                "AZURE_STORAGE_CONNECTION_STRING=UseDevelopmentStorage=true; for folders DATA_PATH",
            )
        if not _ACCOUNT.fullmatch(settings.account):
            shown = settings.account[:60]
            raise _wrong(
                f"AZURE_STORAGE_ACCOUNT={shown!r} is no account name", "use 3 to 24 lower-case letters and digits"
            )
        if settings.account == _EMULATOR:
            raise _wrong(
                f"{_EMULATOR} is the emulator's account", "set AZURE_STORAGE_CONNECTION_STRING to the emulator's"
            )
        blob_url = f"https://{settings.account}.blob.core.windows.net"
    queue_url = settings.queue_endpoint.rstrip("/") or _queue_url(blob_url)
    for variable, url in (("AZURE_STORAGE_ENDPOINT", blob_url), ("AZURE_STORAGE_QUEUE_ENDPOINT", queue_url)):
        parts = urlsplit(url)
        if not parts.hostname or parts.scheme not in ("http", "https") or parts.query or parts.username:
            raise _wrong(f"{variable} is no address of a storage service", "use https://ACCOUNT.blob.core.windows.net")
        if parts.scheme == "http" and not is_emulator(url):
            raise _wrong(f"{variable} is not encrypted", "use https; http is for an emulator on this machine")
    return blob_url, queue_url


def _queue_url(blob_url: str) -> str:
    if ".blob." in blob_url:
        return blob_url.replace(".blob.", ".queue.", 1)
    raise ConfigurationError(
        "the queue endpoint is not set",
        code=Code.MISSING_SETTING,
        advice="set AZURE_STORAGE_QUEUE_ENDPOINT: it does not follow from AZURE_STORAGE_ENDPOINT",
    )


def with_secrets_of_files(settings: StorageSettings) -> StorageSettings:
    """A value that is set itself takes precedence over its file."""
    return replace(
        settings,
        connection_string=settings.connection_string
        or _secret_in("AZURE_STORAGE_CONNECTION_STRING_FILE", settings.connection_string_file),
        sas_token=settings.sas_token or _secret_in("AZURE_STORAGE_SAS_TOKEN_FILE", settings.sas_token_file),
        client_secret=settings.client_secret or _secret_in("AZURE_CLIENT_SECRET_FILE", settings.client_secret_file),
    )


def _secret_in(variable: str, path: str) -> str:
    if not path:
        return ""
    try:
        text = Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as exc:
        raise _wrong(f"{variable}={path} cannot be read", "mount the secret there, readable by this user") from exc
    if not text:
        raise _wrong(f"{variable}={path} is empty", "write the secret into it")
    return text


def _emulator(text: str) -> Access:
    parts = {key.strip().lower(): value for key, _, value in (item.partition("=") for item in text.split(";")) if value}
    if parts.get("usedevelopmentstorage", "").lower() == "true":
        blob_url, queue_url = (f"http://127.0.0.1:{port}/{_EMULATOR}" for port in (10000, 10001))
        return Access(blob_url, queue_url, AzureNamedKeyCredential(_EMULATOR, _EMULATOR_KEY), "emulator key")
    blob_url, queue_url = parts.get("blobendpoint", "").rstrip("/"), parts.get("queueendpoint", "").rstrip("/")
    if not (is_emulator(blob_url) and is_emulator(queue_url)):
        raise ConfigurationError(
            "AZURE_STORAGE_CONNECTION_STRING leads to a real account; the account's key opens everything in it",
            code=Code.INVALID_SETTING,
            advice=f"unset it, set AZURE_STORAGE_ACCOUNT, and {LOGIN_ADVICE}",
        )
    name, key = parts.get("accountname", ""), parts.get("accountkey", "")
    if not (name and key):
        raise _wrong(
            "AZURE_STORAGE_CONNECTION_STRING lacks AccountName or AccountKey", "copy the emulator's whole string"
        )
    return Access(blob_url, queue_url, AzureNamedKeyCredential(name, key), "emulator key")


def _wrong(cause: str, advice: str) -> ConfigurationError:
    return ConfigurationError(cause, code=Code.INVALID_SETTING, advice=advice)
