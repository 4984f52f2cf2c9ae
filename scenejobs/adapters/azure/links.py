"""Shared access signatures for reading one blob."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import quote

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob import BlobSasPermissions, generate_blob_sas

from scenejobs.adapters.azure.clients import blob_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.errors import storage_errors
from scenejobs.adapters.azure.retry import START_UP
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import StorageSettings


def link(settings: StorageSettings, container: str, name: str, start: datetime, end: datetime) -> str:
    """See scenejobs.adapters.links.link. The clock that counts is the service's: `start` lies a little before now."""
    opened = access(settings)
    if isinstance(opened.credential, AzureSasCredential):
        raise ConfigurationError(
            "a SAS cannot sign another one", advice="sign in with an identity: unset AZURE_STORAGE_SAS_TOKEN, az login"
        )
    service = blob_service(opened, START_UP)
    key: dict[str, Any] = {}
    if isinstance(opened.credential, AzureNamedKeyCredential):
        key["account_key"] = opened.credential.named_key.key
    else:
        with storage_errors("asking for a user-delegation key (role Storage Blob Delegator, or any Blob Data role)"):
            key["user_delegation_key"] = service.get_user_delegation_key(start, end)
    token = generate_blob_sas(
        str(service.account_name), container, name, permission=BlobSasPermissions(read=True), start=start, expiry=end,
        protocol=None if opened.is_local else "https", **key,
    )  # fmt: skip
    return f"{opened.blob_url.rstrip('/')}/{quote(container)}/{quote(name)}?{token}"
