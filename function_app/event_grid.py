"""Event Grid's messages in a storage queue, where it delivers there instead of calling the blob trigger's webhook.

One event a message, as JSON, in base64 (older pages of the service say: plain; both are read), in its own schema or
that of CloudEvents 1.0. A message only names an upload; who put it there can make us look at a scene, and no more.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from scenejobs.errors import UnreadableMessage
from scenejobs.state.messages import json_object

CREATED = "Microsoft.Storage.BlobCreated"
RENAMED = "Microsoft.Storage.BlobRenamed"  # in accounts with a hierarchical namespace: a tool's temporary name is gone
FOLDER_RENAMED = "Microsoft.Storage.DirectoryRenamed"
# What such accounts report of a blob that is not whole. The subscription of ours does not ask for it.
BEGUN = frozenset({"CreateFile", "SftpCreate", "SftpWrite"})
MAX_EVENT_CHARS = 65_536  # of a queue message; an event holds the upload's name twice, once percent-encoded
SUBJECT = re.compile(r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<name>.+)", re.DOTALL)


@dataclass(frozen=True)
class Event:
    """What a message reports."""

    name: str  # of a blob, or of a folder
    is_folder: bool = False
    ended: bool = True  # False: the upload of the blob has begun, or goes on


def uploaded(text: str, container: str) -> str:
    """The name that a message reports: see `read`."""
    return read(text, container).name


def read(text: str, container: str) -> Event:
    """The upload that a message reports; what has a new name was uploaded under it.

    Raises UnreadableMessage for what is no event, is another event than a blob's creation or a new name, or is one of
    another container. Whether the name may be used is not asked here (names.upload_refusal).
    """
    event = json_object(text, MAX_EVENT_CHARS)
    kind = event.get("type" if "specversion" in event else "eventType")
    if kind not in (CREATED, RENAMED, FOLDER_RENAMED):
        raise UnreadableMessage(f"the message is no event {CREATED}: its type is {_shown(kind)}")
    subject = event.get("subject")
    found = SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
    if found is None:
        raise UnreadableMessage(f"the event names no blob: its subject is {_shown(subject)}")
    if found["container"] != container:
        raise UnreadableMessage(f"the event is of container {_shown(found['container'])}, not {container}")
    data = event.get("data")
    details = data if isinstance(data, dict) else {}
    name = _name_in_url(details.get("url" if kind == CREATED else "destinationUrl"), container) or found["name"]
    return Event(name, is_folder=kind == FOLDER_RENAMED, ended=str(details.get("api")) not in BEGUN)


def _name_in_url(url: object, container: str) -> str | None:
    """The name in the URL, which is percent-encoded for certain; of the subject no document says so. None: no URL."""
    if not isinstance(url, str):
        return None
    try:
        first, _, name = urlsplit(url).path.removeprefix("/").partition("/")
        return unquote(name, errors="strict") if first == container and name else None
    except ValueError:  # no URL, or no UTF-8
        return None


def _shown(value: object) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
