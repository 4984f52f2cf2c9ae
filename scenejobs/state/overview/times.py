"""How long finished scenes took, against what was expected of them."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

from scenejobs.errors import StorageError
from scenejobs.ports import BlobStore
from scenejobs.state import estimates
from scenejobs.state.overview.status import SceneStatus, State


def timed(status: SceneStatus, state: BlobStore) -> SceneStatus:
    """Of a finished scene, where it is among the last hundred: one read. Nothing depends on it, so none fails by it."""
    if status.state is not State.DONE or not status.run:
        return status
    with suppress(StorageError):
        if one := estimates.of_run(state, status.run):
            return replace(status, estimate_s=(one.low_s, one.high_s), took_s=one.total_s)
    return status
