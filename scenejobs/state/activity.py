"""Markers of scenes that are active, `state/active/<key>.json`: a sweep lists them instead of every record there is.

The rule: **a marker exists before its record becomes active, and goes after the record is idle again.** `records.save`
keeps it, so whoever changes a record by it has nothing to do. Who makes a scene active in another way calls `mark`
first. Active is a record that somebody has to come back to although the input container may be empty: its phase is not
idle, a wish waits in it, or it is held.

Killed between any two calls, a marker may be too many and never one too few. One that is too many costs a sweep one
question, and the sweep removes it. It removes the version that it listed: whoever makes the scene active meanwhile has
written another. Records without a marker (of the version before, or restored by hand) are found once a day, by one look
at all of them (function_app/chores.py).

The marker is also where a sweep notes that it sent a message for a scene without uploads, as a batch does for one with.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from scenejobs.errors import Conflict, NotFound, StorageError
from scenejobs.ports import BlobStore
from scenejobs.state import codec
from scenejobs.state.layout import marker_name
from scenejobs.state.record import Phase

log = logging.getLogger(__name__)


def is_active(metadata: Mapping[str, str]) -> bool:
    """Whether somebody has to come back to a scene, from its record's metadata as a listing or `head` shows them."""
    return metadata.get("phase") != Phase.IDLE or "wish" in metadata or "held" in metadata


@dataclass(frozen=True)
class Sent:
    """That sweeps sent messages for the scene, as its marker tells it."""

    at: datetime  # of the last one
    times: int


def mark(state: BlobStore, scene: str, sent: Sent | None = None) -> str:
    """Before the scene becomes active. Returns the marker's ETag, for `clear`. Safe to repeat.

    It is written anew where there is one: then no sweep and no runner removes it that looked before.
    sent: of a sweep that sent a message for it. Raises StorageError: then nothing may become active.
    """
    metadata = {"queued_at": sent.at.isoformat(), "sends": str(sent.times)} if sent else {}
    try:
        return state.write(marker_name(scene), json.dumps({"scene": scene}).encode(), metadata=metadata)
    except Conflict:  # another wrote it at this moment: it is there, which is all that is wanted
        return state.head(marker_name(scene)).etag


def version(state: BlobStore, scene: str) -> str:
    """The ETag of the marker that is there, "" when there is none. By the holder of the record's lease."""
    try:
        return state.head(marker_name(scene)).etag
    except NotFound:
        return ""


def clear(state: BlobStore, scene: str, etag: str) -> None:
    """After the record is idle: removes this version, no newer one. What fails here a sweep makes good."""
    if not etag:
        return
    try:
        with suppress(NotFound, Conflict):
            state.delete(marker_name(scene), if_match=etag)
    except StorageError as exc:
        log.warning("the marker of scene %s stays until a sweep removes it: %s", scene, exc)


def sent(metadata: Mapping[str, str]) -> Sent | None:
    """From the marker's metadata; None: no sweep has sent anything."""
    try:
        return Sent(codec.parse_time(metadata["queued_at"]), int(metadata["sends"]))
    except (KeyError, ValueError):
        return None
