"""Events of uploads that the host tries in vain: how long one call tries, and what the poison queue tells of them.

The host tries the event of a blob trigger five times at once, and no setting puts time between the tries (host.json's
`visibilityTimeout` is of queue triggers; seen on host 4.1037). So each call repeats what failed, and an event that was
given up all the same names its upload, which is enough to ask for the look at its scene again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from scenejobs.errors import AccessDenied, StorageError, UnreadableMessage
from scenejobs.state.messages import as_text, json_object

log = logging.getLogger(__name__)

PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0)  # between the tries of one call
LIMIT_S = 60.0  # no further try after so long: each may take 45 s of its own, and the host ends a function after 300
MAX_NOTE_CHARS = 65_536  # of a queue message
SHOWN_CHARS = 2000


def with_patience(handle: Callable[[], None], pause: Callable[[float], None]) -> None:
    """Calls `handle` until it succeeds, for a minute. Raises what the last try raised: StorageError, AccessDenied."""
    end = time.monotonic() + LIMIT_S
    for pause_s in PAUSES_S:
        try:
            handle()
            return
        except (StorageError, AccessDenied) as exc:
            if time.monotonic() >= end:
                raise
            log.warning("tried again in %g s: %s", pause_s, exc)
        pause(pause_s)
    handle()


@dataclass(frozen=True)
class Note:
    """What the host puts into `webjobs-blobtrigger-poison`."""

    container: str
    blob: str

    @staticmethod
    def read(text: str) -> Note:
        """From base64, as the host writes it whatever `messageEncoding` says, or plain. Raises UnreadableMessage."""
        body = json_object(text, MAX_NOTE_CHARS)
        container, blob = body.get("ContainerName"), body.get("BlobName")
        if not isinstance(container, str) or not isinstance(blob, str) or not blob:
            raise UnreadableMessage("the message names no blob")
        return Note(container, blob)


def shown(body: bytes) -> str:
    """A message for the log, readable: out of its base64, if it is that, and on one line."""
    return repr(" ".join(as_text(body.decode("utf-8", "replace")).split())[:SHOWN_CHARS])
