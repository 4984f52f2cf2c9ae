"""Shared access signatures for one blob: to read a result, or to send an upload."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any, Literal
from urllib.parse import quote, urlsplit

from azure.core.credentials import AzureNamedKeyCredential, AzureSasCredential
from azure.storage.blob import BlobSasPermissions, UserDelegationKey, generate_blob_sas

from scenejobs.adapters.azure.clients import blob_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.errors import storage_errors
from scenejobs.adapters.azure.retry import START_UP
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import StorageSettings

KEY_LASTS = timedelta(hours=12)  # of a user-delegation key, where no link needs it for longer
ASKING = "asking for a user-delegation key (role Storage Blob Delegator, or any Blob Data role)"


class AzureLinks:
    """See scenejobs.ports.Links. A user-delegation key signs many links; the emulator knows its account's key alone.

    For several threads. Raises ConfigurationError where a SAS is the credential: it cannot sign another one.
    """

    def __init__(self, settings: StorageSettings) -> None:
        self._settings, self._opened = settings, access(settings)
        if isinstance(self._opened.credential, AzureSasCredential):
            raise ConfigurationError(
                "a SAS cannot sign another one",
                advice="sign in with an identity: unset AZURE_STORAGE_SAS_TOKEN, az login",
            )
        self._service = blob_service(self._opened, START_UP)
        self._lock = threading.Lock()
        self._key: tuple[datetime, datetime, UserDelegationKey] | None = None  # from, until

    @property
    def origin(self) -> str:
        found = urlsplit(self._opened.blob_url)
        return f"{found.scheme}://{found.netloc}"

    def read(
        self, name: str, start: datetime, end: datetime, *, as_file: bool = False,
        kind: Literal["output", "state"] = "output",
    ) -> str:  # fmt: skip
        permission, file = BlobSasPermissions(read=True), name.rpartition("/")[2]
        kept = f"attachment; filename*=UTF-8''{quote(file, safe='')}" if as_file else None
        where = self._settings.output if kind == "output" else self._settings.state
        return self._signed(where, name, start, end, permission, content_disposition=kept)

    def write(self, name: str, start: datetime, end: datetime) -> str:
        return self._signed(self._settings.input, name, start, end, BlobSasPermissions(create=True, write=True))

    def _signed(
        self, container: str, name: str, start: datetime, end: datetime, permission: BlobSasPermissions, **more: Any
    ) -> str:
        """The clock that counts is the service's: `start` lies a little before now."""
        opened = self._opened
        token = generate_blob_sas(
            str(self._service.account_name), container, name, permission=permission, start=start, expiry=end,
            protocol=None if opened.is_local else "https", **more, **self._key_for(start, end),
        )  # fmt: skip
        return f"{opened.blob_url.rstrip('/')}/{quote(container)}/{quote(name)}?{token}"

    def _key_for(self, start: datetime, end: datetime) -> dict[str, Any]:
        credential = self._opened.credential
        if isinstance(credential, AzureNamedKeyCredential):
            return {"account_key": credential.named_key.key}
        with self._lock:
            if self._key is None or start < self._key[0] or end > self._key[1]:
                until = max(end, start + KEY_LASTS)
                with storage_errors(ASKING):
                    self._key = start, until, self._service.get_user_delegation_key(start, until)
            return {"user_delegation_key": self._key[2]}
