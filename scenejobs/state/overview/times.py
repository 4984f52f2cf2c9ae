"""How long finished scenes took, against what was expected of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from scenejobs.errors import StorageError
from scenejobs.estimate.learned import Finished
from scenejobs.ports import BlobStore
from scenejobs.state import estimates
from scenejobs.state.overview.status import SceneStatus, State


def known(state: BlobStore) -> tuple[Finished, ...]:
    """Of the last hundred; one read. None where they cannot be read: nothing depends on them."""
    try:
        return estimates.load(state)
    except StorageError:
        return ()


def timed(status: SceneStatus, finished: Iterable[Finished]) -> SceneStatus:
    """Of a finished scene, where it is among them."""
    if status.state is not State.DONE or not status.run:
        return status
    one = next((each for each in finished if each.run == status.run), None)
    return status if one is None else replace(status, estimate_s=(one.low_s, one.high_s), took_s=one.total_s)
