"""What a user wants to know about a scene: uploaded -> settling -> queued -> running -> archiving -> done or failed;
blocked where somebody has to help.

Read from the blobs alone; nothing here changes anything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Annotated

import msgspec

from scenejobs.errors import NotFound, UnreadableRecord
from scenejobs.names import is_companion, refusal
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.state import batches, layout, records, start_backoff, usage
from scenejobs.state.blobs import digest
from scenejobs.state.record import Outcome, Phase, SceneRecord
from scenejobs.state.uploads import look, snapshot


class State(StrEnum):
    """A scene as its user sees it."""

    UNKNOWN = "unknown"  # no upload and no record of that name
    SETTLING = "settling"  # uploads are there; waiting for the quiet time to pass
    QUEUED = "queued"  # sealed; waiting for a runner
    RUNNING = "running"  # frames, poses, training
    BLOCKED = "blocked"  # it cannot go on before somebody helps; the reason says how
    ARCHIVING = "archiving"  # the result is final; files are being published and moved
    DONE = "done"  # the result lies in the output container
    FAILED = "failed"  # the inputs and the reason lie in the error container


@dataclass(frozen=True)
class SceneStatus:
    """One line about a scene."""

    scene: str
    state: State
    waiting: int = 0  # uploads in the input container
    stage: str = ""  # of a running attempt
    fraction: float = 0.0  # of the whole run, 0..1
    detail: str = ""
    eta_s: float | None = None
    attempt: int = 0
    run: str = ""
    since: datetime | None = None
    reason: str = ""  # of a failure
    note: str = ""  # what keeps it waiting
    refused: int = 0  # uploads in its folder whose names are used for nothing

    def line(self) -> str:
        """For a terminal."""
        text = f"{self.scene}: {self.state}"
        if self.state is State.SETTLING:
            text += f", {self.waiting} upload{'s' if self.waiting != 1 else ''}"
        if self.state is State.RUNNING:
            text += f" {self.fraction:4.0%} {self.stage}" + (f": {self.detail}" if self.detail else "")
            if self.eta_s is not None:
                text += f" (about {_duration(self.eta_s)} left in this stage)"
        if self.attempt > 1:
            text += f", attempt {self.attempt}"
        if self.note:
            text += f", {self.note}"
        if self.refused:
            text += f", {self.refused} upload{'s' if self.refused != 1 else ''} refused for the name"
        return text + (f": {self.reason}" if self.reason else "")


def scene_status(containers: Containers, scene: str, depth: int = 1) -> SceneStatus:
    """Raises ValueError for a name no scene can have."""
    reason = refusal(scene)
    if reason:
        raise ValueError(f"no scene has the name {scene!r}: {reason}")
    try:
        stored = records.load(containers.state, scene)
    except UnreadableRecord as exc:
        return SceneStatus(scene, State.BLOCKED, reason=str(exc))
    record = stored.record if stored else SceneRecord(scene)
    if record.phase is Phase.RUNNING:
        return _running(containers, record)
    if record.blocked and record.phase in (Phase.COMMITTED, Phase.FAILING):
        return _blocked(record, f"{record.blocked.cause.rstrip('.')}: {record.blocked.advice}".rstrip(": "))
    if record.phase in (Phase.COMMITTED, Phase.FAILING):
        return SceneStatus(scene, State.ARCHIVING, attempt=record.attempts, run=record.run)
    waiting, refused = look(containers.input, scene, depth)
    alone = all(is_companion(blob.name) for blob in waiting)  # markers and poses: nothing happens before videos come
    if not alone:
        return replace(_waiting(containers, record, waiting), refused=len(refused))
    ending = record.ending
    if ending is None and waiting:
        note = "no video and no photo yet"
        return SceneStatus(scene, State.SETTLING, waiting=len(waiting), note=note, refused=len(refused))
    if ending is None:
        return SceneStatus(scene, State.UNKNOWN, refused=len(refused))
    state = State.DONE if ending.outcome is Outcome.SUCCEEDED else State.FAILED
    return SceneStatus(
        scene,
        state,
        fraction=1.0 if state is State.DONE else 0.0,
        run=ending.run,
        since=ending.at,
        reason=ending.failure.cause if ending.failure else "",
        refused=len(refused),
    )


def _waiting(containers: Containers, record: SceneRecord, uploads: tuple[BlobInfo, ...]) -> SceneStatus:
    """Settling or queued, and what is known about why it does not begin."""
    state = containers.state
    status = SceneStatus(
        record.scene,
        State.QUEUED if _is_sealed(state, record.scene, uploads) else State.SETTLING,
        waiting=len(uploads),
        attempt=record.attempts,
        reason=record.failures[-1].failure.cause if record.attempts and record.failures else "",
    )
    if record.held:
        return replace(_blocked(record, f"held: {record.held}"), waiting=status.waiting)
    if status.state is State.SETTLING:
        return status
    now = state.now()
    if record.not_before and record.not_before > now:
        return replace(status, note=f"next attempt at {record.not_before:%Y-%m-%d %H:%M:%S} UTC")
    starter = start_backoff.load(state)
    if starter.unanswered_since and usage.begun_since(state, starter.unanswered_since, now):
        starter = starter.answered()
    return replace(status, note=starter.held_back(now))


def _blocked(record: SceneRecord, why: str) -> SceneStatus:
    """Decided and not brought to its end, or held."""
    due = f"next try at {record.not_before:%Y-%m-%d %H:%M:%S} UTC" if record.tries and record.not_before else ""
    return SceneStatus(record.scene, State.BLOCKED, run=record.run, note=due, reason=why)


def _is_sealed(state: BlobStore, scene: str, uploads: tuple[BlobInfo, ...]) -> bool:
    """Every upload is in a batch: in one of exactly these, or, where some of a batch have gone already, in any."""
    entries = snapshot(uploads)
    found = batches.listed(state, scene)
    if any(item.digest == digest(entries) for item in found):
        return True
    sealed = {blob for stored in batches.read_all(state, found) for blob in stored.batch.blobs}
    return sealed.issuperset(entries)


class _Progress(msgspec.Struct):
    """What is read of `state/progress/<key>.json` (runner/worker/progress_blob.py). No number that is not finite."""

    run: str
    stage: str
    total_fraction: Annotated[float, msgspec.Meta(ge=0, le=1)]
    detail: str
    eta_s: float | None


def _running(containers: Containers, record: SceneRecord) -> SceneStatus:
    status = SceneStatus(
        record.scene, State.RUNNING, attempt=record.attempts, run=record.run, since=record.started_at, stage="starting"
    )
    try:
        data, _ = containers.state.read(layout.progress_name(record.scene))
        progress = msgspec.json.decode(data, type=_Progress)
        if progress.run != record.run:
            return status
        return SceneStatus(
            record.scene,
            State.RUNNING,
            stage=progress.stage,
            fraction=progress.total_fraction,
            detail=progress.detail,
            eta_s=progress.eta_s,
            attempt=record.attempts,
            run=record.run,
            since=record.started_at,
        )
    except (NotFound, ValueError, RecursionError):
        return status  # progress is best effort; the record is the truth


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
