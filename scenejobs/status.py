"""What a user wants to know about a scene: uploaded -> settling -> queued -> running -> archiving -> done or failed.

Read from the blobs alone; nothing here changes anything.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from scenejobs import layout, records
from scenejobs.errors import NotFound
from scenejobs.listing import list_scene, snapshot
from scenejobs.model import Outcome, Phase, SceneRecord, digest
from scenejobs.names import refusal
from scenejobs.ports import Containers


class State(StrEnum):
    """A scene as its user sees it."""

    UNKNOWN = "unknown"  # no upload and no record of that name
    SETTLING = "settling"  # uploads are there; waiting for the quiet time to pass
    QUEUED = "queued"  # sealed; waiting for a runner
    RUNNING = "running"  # frames, poses, training
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
        return text + (f": {self.reason}" if self.reason else "")


def scene_status(containers: Containers, scene: str, depth: int = 1) -> SceneStatus:
    """Raises ValueError for a name no scene can have."""
    reason = refusal(scene)
    if reason:
        raise ValueError(f"no scene has the name {scene!r}: {reason}")
    stored = records.load(containers.state, scene)
    record = stored.record if stored else SceneRecord(scene)
    if record.phase is Phase.RUNNING:
        return _running(containers, record)
    if record.phase in (Phase.COMMITTED, Phase.FAILING):
        return SceneStatus(scene, State.ARCHIVING, attempt=record.attempts, run=record.run)
    waiting = list_scene(containers.input, scene, depth)
    if waiting:
        sealed = _exists(containers, layout.batch_name(scene, digest(snapshot(waiting))))
        reason = record.failures[-1].failure.cause if record.attempts and record.failures else ""
        state = State.QUEUED if sealed else State.SETTLING
        return SceneStatus(scene, state, waiting=len(waiting), attempt=record.attempts, reason=reason)
    if record.ending is None:
        return SceneStatus(scene, State.UNKNOWN)
    if record.ending.outcome is Outcome.SUCCEEDED:
        return SceneStatus(scene, State.DONE, fraction=1.0, run=record.ending.run, since=record.ending.at)
    why = record.ending.failure.cause if record.ending.failure else ""
    return SceneStatus(scene, State.FAILED, run=record.ending.run, since=record.ending.at, reason=why)


def _running(containers: Containers, record: SceneRecord) -> SceneStatus:
    status = SceneStatus(
        record.scene, State.RUNNING, attempt=record.attempts, run=record.run, since=record.started_at, stage="starting"
    )
    try:
        progress = json.loads(containers.state.read(layout.progress_name(record.scene))[0])
        if progress.get("run") != record.run:
            return status
        return SceneStatus(
            record.scene,
            State.RUNNING,
            stage=str(progress["stage"]),
            fraction=float(progress["total_fraction"]),
            detail=str(progress["detail"]),
            eta_s=progress["eta_s"],
            attempt=record.attempts,
            run=record.run,
            since=record.started_at,
        )
    except (NotFound, ValueError, KeyError):
        return status  # progress is a courtesy; the record is the truth


def _exists(containers: Containers, name: str) -> bool:
    try:
        containers.state.head(name)
    except NotFound:
        return False
    return True


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
