"""What finished scenes took is what the next estimates learn from. Best effort: no scene waits or fails for it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec

from scenejobs.errors import SceneJobError
from scenejobs.estimate.learned import Finished
from scenejobs.ports import BlobStore
from scenejobs.state import estimates

log = logging.getLogger(__name__)


class _Told(msgspec.Struct, frozen=True):
    """What is read of an estimate in the summary of a job, which is not trusted."""

    backend: str
    preset: str
    cores: float
    prior_s: dict[str, float]
    took_s: dict[str, float]
    total_s: dict[str, float]


def known(state: BlobStore) -> tuple[Finished, ...]:
    """Oldest first; none where they cannot be read."""
    try:
        return estimates.load(state)
    except SceneJobError as exc:
        log.warning("what earlier scenes took is not known: %s", exc)
        return ()


def remember(state: BlobStore, run: str, summary: Mapping[str, Any]) -> None:
    """Of a job that ended well; of a mock there is nothing to remember."""
    one = finished(run, summary)
    if one is None:
        return
    try:
        estimates.add(state, one)
    except SceneJobError as exc:
        log.warning("what run %s took is not remembered: %s", run, exc)


def finished(run: str, summary: Mapping[str, Any]) -> Finished | None:
    """None where the summary does not tell."""
    if not summary.get("estimate"):
        return None
    try:
        told = msgspec.convert(summary["estimate"], _Told, strict=False)
        one = Finished(
            run, told.backend, told.preset, told.cores, int(summary["images_total"]), told.prior_s, told.took_s,
            told.total_s["low"], told.total_s["high"], not (summary.get("resumed") or summary.get("reused")),
        )  # fmt: skip
        return msgspec.json.decode(msgspec.json.encode(one), type=Finished)  # with the bounds of each number
    except (ValueError, KeyError, TypeError):
        return None
