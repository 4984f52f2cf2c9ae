"""A polling blob trigger with the rules of the Functions host: scan, notify through an internal queue, keep receipts.

As in the host the notification is sent before the receipt is written: a crash between them delivers twice, never not at
all. One function gets each version (ETag) of a blob once; a notification of a version that is gone is dropped.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from azure.core.exceptions import AzureError, ResourceExistsError, ResourceNotFoundError
from azure.storage.blob import BlobClient, BlobServiceClient
from azure.storage.queue import QueueClient

from scenejobs.names import refusal

log = logging.getLogger(__name__)

RECEIPTS_CONTAINER = "azure-webjobs-hosts"


class BlobScanner:
    """Finds new versions of blobs in one container for one function, and puts a notification of each into a queue."""

    def __init__(
        self, function: str, container: str, uploads: BlobServiceClient, host: BlobServiceClient, notes: QueueClient,
        *, poll_s: float = 1.0,
    ) -> None:  # fmt: skip
        self.function = function
        self._uploads = uploads.get_container_client(container)
        self._receipts = host.get_container_client(RECEIPTS_CONTAINER)
        self._folder = f"blobreceipts/local/{function}/{container}/"
        self._notes = notes
        self._poll_s = poll_s
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scan_for_ever, name=f"{function}-scan", daemon=True)

    def start(self) -> None:
        with suppress(ResourceExistsError):
            self._receipts.create_container()
        with suppress(ResourceExistsError):
            self._notes.create_queue()
        self._seen = {str(blob.name) for blob in self._receipts.list_blobs(name_starts_with=self._folder)}
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def _scan_for_ever(self) -> None:
        while not self._stop.is_set():
            try:
                self._scan()
            except AzureError as exc:
                log.warning("scan for %s: %s", self.function, exc)
            self._stop.wait(self._poll_s)

    def _scan(self) -> None:
        for blob in self._uploads.list_blobs():
            receipt = self._folder + hashlib.sha256(f"{blob.name}\0{blob.etag}".encode()).hexdigest()
            if receipt in self._seen or self._stop.is_set():
                continue
            note = {"FunctionId": f"Host.Functions.{self.function}", "BlobType": "BlockBlob"}
            note |= {"ContainerName": str(self._uploads.container_name), "BlobName": blob.name, "ETag": blob.etag}
            self._notes.send_message(json.dumps(note), time_to_live=-1)
            self._receipts.upload_blob(receipt, b"", overwrite=True)
            self._seen.add(receipt)


def deliver(
    note: Any, uploads: BlobServiceClient, client_of: Callable[[str, str], BlobClient], call: Callable[[Any], None]
) -> None:
    """Calls a function for a notification, unless that version of the blob is gone.

    A hostile name is delivered unchanged: the SDK would resolve its dots and read another blob.
    """
    body = json.loads(note.content)
    container, name = body["ContainerName"], body["BlobName"]
    if refusal(name) is None:
        try:
            found = uploads.get_blob_client(container, name).get_blob_properties()
        except ResourceNotFoundError:
            return
        if found.etag.strip('"') != body["ETag"].strip('"'):
            return
    call(client_of(container, name))
