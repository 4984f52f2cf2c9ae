"""What finished scenes took, against what was expected of them: `state/estimates.json`, of the last hundred.

Estimates learn from it and `status` tells of it. Nothing else needs it: one that is gone, or cannot be read, begins
anew.
"""

from __future__ import annotations

import msgspec

from scenejobs.errors import Conflict, NotFound
from scenejobs.estimate.learned import Finished, with_one_more
from scenejobs.ports import SMALL_BYTES, BlobStore
from scenejobs.state.layout import ESTIMATES_RECORD

TRIES = 5  # where several runners end at once


def load(state: BlobStore) -> tuple[Finished, ...]:
    """Oldest first. Raises StorageError."""
    return _read(state)[0]


def of_run(state: BlobStore, run: str) -> Finished | None:
    """None where it is not known, or too long ago. Raises StorageError."""
    return next((each for each in load(state) if each.run == run), None)


def add(state: BlobStore, one: Finished) -> bool:
    """False where others were faster each time: then it is not remembered. Raises StorageError."""
    for _ in range(TRIES):
        finished, etag = _read(state)
        data = msgspec.json.encode(with_one_more(finished, one))
        try:
            if etag is None:
                state.write(ESTIMATES_RECORD, data, if_absent=True)
            else:
                state.write(ESTIMATES_RECORD, data, if_match=etag)
        except Conflict:
            continue
        return True
    return False


def _read(state: BlobStore) -> tuple[tuple[Finished, ...], str | None]:
    try:
        data, etag = state.read(ESTIMATES_RECORD, limit_bytes=SMALL_BYTES)
    except NotFound:
        return (), None
    try:
        return msgspec.json.decode(data, type=tuple[Finished, ...]), etag
    except (ValueError, RecursionError):
        return (), etag
