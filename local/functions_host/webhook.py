"""The endpoint at which Event Grid reports uploads to the real host: what it answers, and what becomes a note.

The emulator raises no events: a test hands in what Event Grid would send. Keys are not looked at here.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from local.functions_host.blob_trigger import encoded_note, without_dots

HANDSHAKE = "Microsoft.EventGrid.SubscriptionValidationEvent"


@dataclass(frozen=True)
class Answer:
    """What Event Grid hears."""

    status: int
    body: str = ""


def receive(function: str, body: bytes, account: str, send: Callable[[str], None]) -> Answer:
    """One POST to /runtime/webhooks/blobs?functionName=Host.Functions.<function>.

    account: the part of the URLs before the container, "" in Azure. send: puts a note into the host's queue.
    A function that the host does not have is answered with 202 all the same, and its event is gone.
    """
    try:
        found = json.loads(body)
    except ValueError:
        return Answer(500)
    for event in found if isinstance(found, list) else [found]:
        data: dict[str, Any] = event.get("data") or {}
        if event.get("eventType") == HANDSHAKE:
            return Answer(200, json.dumps({"validationResponse": data["validationCode"]}))
        path = without_dots(urlsplit(data["url"]).path.lstrip("/").removeprefix(account).lstrip("/"))
        container, _, name = path.partition("/")
        send(encoded_note(function, container, unquote(name), str(data.get("eTag", ""))))
    return Answer(202)
