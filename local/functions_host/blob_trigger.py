"""A blob trigger with the rules of the Functions host: an internal queue of notes, filled by a scan or by Event Grid.

With the source LogsAndContainerScan the host lists the container and keeps a receipt of each version. The note is sent
before the receipt is written, as there: a crash between them delivers twice, never not at all. A note of another
version than the one that lies there is dropped. With the source EventGrid (webhook.py) every event is a note, and no
version is compared: the same event twice is two calls.

Notes are base64, whatever host.json says of messages. A name passes through the host's URLs: of dot segments in it
nothing is left.
"""

from __future__ import annotations

import base64
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

from local.functions_host.clock import Clock, SystemClock

log = logging.getLogger(__name__)

HOST_CONTAINER = "azure-webjobs-hosts"
SCAN, EVENT_GRID = "LogsAndContainerScan", "EventGrid"


def encoded_note(function: str, container: str, name: str, etag: str) -> str:
    """A note, as the host writes it into its queue and, after the last try, into `webjobs-blobtrigger-poison`."""
    body = {"Type": "BlobTrigger", "FunctionId": f"Host.Functions.{function}", "BlobType": "BlockBlob"}
    body |= {"ContainerName": container, "BlobName": name, "ETag": etag}
    return base64.b64encode(json.dumps(body, indent=2, ensure_ascii=False).encode()).decode()


def read_note(text: str) -> dict[str, str]:
    """The note of a message."""
    body: dict[str, str] = json.loads(base64.b64decode(text))
    return body


class BlobScanner:
    """Finds new versions of blobs in one container for one function, and puts a note of each into a queue.

    noted: called after notes were put there.
    """

    def __init__(
        self, function: str, container: str, uploads: BlobServiceClient, host: BlobServiceClient, notes: QueueClient,
        noted: Callable[[], None], *, poll_s: float = 1.0, clock: Clock | None = None,
    ) -> None:  # fmt: skip
        self.function = function
        self._uploads = uploads.get_container_client(container)
        self._receipts = host.get_container_client(HOST_CONTAINER)
        self._folder = f"blobreceipts/local/{function}/{container}/"
        self._notes = notes
        self._noted = noted
        self._poll_s = poll_s
        self._clock = clock or SystemClock()
        self._seen: set[str] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._scan_for_ever, name=f"{function}-scan", daemon=True)

    def start(self) -> None:
        with suppress(ResourceExistsError):
            self._notes.create_queue()
        self._seen = {str(blob.name) for blob in self._receipts.list_blobs(name_starts_with=self._folder)}
        self._thread.start()

    def stop(self, wait_s: float) -> None:
        del wait_s
        self._stop.set()

    def _scan_for_ever(self) -> None:
        while not self._stop.is_set():
            try:
                self._scan()
            except AzureError as exc:
                log.warning("scan for %s: %s", self.function, exc)
            self._clock.wait(self._stop, self._poll_s)

    def _scan(self) -> None:
        for blob in self._uploads.list_blobs():
            receipt = self._folder + hashlib.sha256(f"{blob.name}\0{blob.etag}".encode()).hexdigest()
            if receipt in self._seen or self._stop.is_set():
                continue
            note = encoded_note(self.function, str(self._uploads.container_name), blob.name, blob.etag)
            self._notes.send_message(note, time_to_live=-1)
            self._noted()
            self._receipts.upload_blob(receipt, b"", overwrite=True)
            self._seen.add(receipt)


def deliver(
    note: Any, function: str, source: str, uploads: BlobServiceClient, client_of: Callable[[str, str], BlobClient],
    call: Callable[[Any], None],
) -> None:  # fmt: skip
    """Calls a function for a note, unless the blob is gone or the host does not have the function."""
    body = read_note(note.content)
    if body["FunctionId"] != f"Host.Functions.{function}":
        log.debug("a note for %s is dropped: there is no such function", body["FunctionId"])
        return
    container, name = body["ContainerName"], without_dots(body["BlobName"])
    try:
        found = uploads.get_blob_client(container, name).get_blob_properties()
    except ResourceNotFoundError:
        return
    if source == SCAN and found.etag.strip('"') != body["ETag"].strip('"'):
        return
    call(client_of(container, name))


def without_dots(name: str) -> str:
    """The name after the dot segments of a URL are resolved (RFC 3986, 5.2.4): of `h/../s1/x` is left `s1/x`."""
    kept: list[str] = []
    segments = name.split("/")
    for segment in segments:
        if segment == "..":
            del kept[-1:]
        elif segment != ".":
            kept.append(segment)
    return "/".join([*kept, ""] if segments[-1] in (".", "..") else kept)
