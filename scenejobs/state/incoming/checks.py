"""Which of a scene's quiet-time checks looks at it, `state/active/<key>.check`: the one of the newest event.

Each upload raises an event, and each event sends a check. Listing the scene for each would list it as often as it has
uploads. So each event notes its check, over the one before, and a check that is not the noted one ends after one call.
What makes that safe is the order:

    an event     sends its check, and then notes it
    a check      removes its note, and then lists

Whoever finds another noted may end: that one is still to come, and lists later. A note whose check never comes (its
message went to the poison queue) costs its scene the minutes until a sweep, which seals without checks and removes it.
"""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.layout import check_name
from scenejobs.state.messages import DebounceCheck

KEEP = timedelta(minutes=10)  # after the check was due


@dataclass(frozen=True)
class Standing:
    """The check that a note names."""

    id: str
    etag: str  # of the note
    since: datetime  # when the first event came that no check has looked for; by the service's clock
    noted_at: datetime

    def is_for(self, check: DebounceCheck) -> bool:
        return self.id == check_id(check)

    def waits_too_long(self, max_wait_s: float) -> bool:
        """Whether event has followed event for so long that another check than the noted one looks."""
        return (self.noted_at - self.since).total_seconds() >= max_wait_s


def check_id(check: DebounceCheck) -> str:
    """Told apart by when it was sent, and by the upload that it was sent for."""
    return hashlib.sha256(f"{check.seen_at.isoformat()}\0{check.blob}".encode("utf-8", "surrogatepass")).hexdigest()[
        :16
    ]


def standing(state: BlobStore, scene: str) -> Standing | None:
    """The check that will look at the scene; None: no event has come since the last one looked."""
    try:
        info = state.head(check_name(scene))
    except NotFound:
        return None
    try:
        since = codec.parse_time(info.metadata["since"])
    except (KeyError, ValueError):
        since = info.modified
    return Standing(info.metadata.get("check", ""), info.etag, since, info.modified)


def note(state: BlobStore, check: DebounceCheck, *, where_none: bool = False) -> None:
    """After it was sent. where_none: only if no other is noted, which came later then and will do."""
    metadata = {"check": check_id(check)}
    if not where_none and (before := standing(state, check.scene)) is not None:
        metadata["since"] = before.since.isoformat()
    with suppress(Conflict):
        body = json.dumps({"scene": check.scene}).encode()
        state.write(check_name(check.scene), body, if_absent=where_none, metadata=metadata)


def take(state: BlobStore, scene: str, found: Standing) -> None:
    """Before the scene is listed: events from now on note checks that come later."""
    with suppress(NotFound, Conflict):  # a sweep removed it; a later one is noted, and both look
        state.delete(check_name(scene), if_match=found.etag)


def is_overdue(info: BlobInfo, quiet_s: float, now: datetime) -> bool:
    """Whether the check of a note must have come, and has not."""
    return info.modified < now - timedelta(seconds=quiet_s) - KEEP
