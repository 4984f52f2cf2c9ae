"""Event Grid's messages in a storage queue, where it delivers there instead of calling the blob trigger's webhook.

One event a message, as JSON, in base64 (older pages of the service say: plain; both are read), in its own schema or
that of CloudEvents 1.0. A message only names an upload; who put it there can make us look at a scene, and no more.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import unquote, urlsplit

from scenejobs.errors import UnreadableMessage
from scenejobs.state.messages import json_object

CREATED = "Microsoft.Storage.BlobCreated"
MAX_EVENT_CHARS = 65_536  # of a queue message; an event holds the upload's name twice, once percent-encoded
SUBJECT = re.compile(r"/blobServices/default/containers/(?P<container>[^/]+)/blobs/(?P<name>.+)", re.DOTALL)


def uploaded(text: str, container: str) -> str:
    """The name of the upload that a message reports.

    Raises UnreadableMessage for what is no event, is another event than a blob's creation, or is one of another
    container. Whether the name may be used is not asked here (names.upload_refusal).
    """
    event = json_object(text, MAX_EVENT_CHARS)
    kind = event.get("type" if "specversion" in event else "eventType")
    if kind != CREATED:
        raise UnreadableMessage(f"the message is no event {CREATED}: its type is {_shown(kind)}")
    subject = event.get("subject")
    found = SUBJECT.fullmatch(subject) if isinstance(subject, str) else None
    if found is None:
        raise UnreadableMessage(f"the event names no blob: its subject is {_shown(subject)}")
    if found["container"] != container:
        raise UnreadableMessage(f"the event is of container {_shown(found['container'])}, not {container}")
    return _name_in_url(event, container) or found["name"]


def _name_in_url(event: dict[str, Any], container: str) -> str | None:
    """The name in the URL, which is percent-encoded for certain; of the subject no document says so. None: no URL."""
    data = event.get("data")
    url = data.get("url") if isinstance(data, dict) else None
    if not isinstance(url, str):
        return None
    try:
        first, _, name = urlsplit(url).path.removeprefix("/").partition("/")
        return unquote(name, errors="strict") if first == container and name else None
    except ValueError:  # no URL, or no UTF-8
        return None


def _shown(value: object) -> str:
    return repr(value)[:80] if isinstance(value, str | int | float | None) else f"a {type(value).__name__}"
