"""How far the present attempt of a scene is, as its runner wrote it: best effort, nobody relies on it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import msgspec

from scenejobs.errors import NotFound
from scenejobs.ports import SMALL_BYTES, BlobStore
from scenejobs.state.layout import progress_name
from scenejobs.state.record import SceneRecord

LEAST_FRACTION = 0.05  # of a run; before, nothing can be said about its end


Seconds = Annotated[float, msgspec.Meta(ge=0)]


class Progress(msgspec.Struct):
    """What is read of `state/progress/<key>.json` (runner/worker/progress_blob.py). No number that is not finite."""

    run: str
    stage: str
    total_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)]
    detail: str
    eta_s: float | None
    expected_s: tuple[Seconds, Seconds] | None = None  # of the whole run, as it was estimated
    first_look: bool = False  # there is one to look at (scenejobs/state/previews.py)
    execution: str = ""  # the platform's name of the one it runs in


def load(state: BlobStore, record: SceneRecord) -> Progress | None:
    """None where there is none of the present run, or it cannot be read."""
    try:
        found = msgspec.json.decode(state.read(progress_name(record.scene), limit_bytes=SMALL_BYTES)[0], type=Progress)
    except (NotFound, ValueError, RecursionError):
        return None
    return found if found.run == record.run else None


def ends_at(state: BlobStore, record: SceneRecord, now: datetime) -> datetime | None:
    """When the present attempt will end, if it goes on as it went; None where that is not known."""
    found = load(state, record)
    if found is None or record.started_at is None or found.total_fraction < LEAST_FRACTION:
        return None
    return record.started_at + (now - record.started_at) / found.total_fraction
