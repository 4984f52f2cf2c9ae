"""Saves what a running job has achieved to the resume store, as stages finish and training writes checkpoints.

The job has no credentials, so its parent does this, in a thread of its own beside the heartbeats. It looks at files
that stages write atomically, copies those that changed, uploads the copies and then the pointer. Whatever fails is
logged and tried again: the job never waits for it and never fails by it.
"""

from __future__ import annotations

import hashlib
import logging
import os
import stat
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType

from runner.scene.stages import RESUME_FILES
from runner.worker.periodic import Repeat, Repeating, Thread
from runner.worker.saved_work.resume_store import (
    CHUNK,
    MAX_PART_BYTES,
    Part,
    Restored,
    ResumeLocation,
    plain_name,
    run_of,
)
from runner.worker.shutdown import SAVED_S
from scenejobs.errors import Conflict, InfrastructureError, Interrupted, LeaseLost, NotFound, SceneJobError

LOOK_S = 1.0  # between two looks at the workspace
AFTER_FAILURE_S = 60.0  # the last save of a job that failed by itself may take this long
RETRY_S = 15.0  # after a save that failed
ASSUMED_BYTES_PER_S = 20e6  # before an upload was measured
MEASURED_BYTES = 1 << 20  # smaller uploads say nothing about the speed
PAUSE_S = 0.05

Stamp = tuple[int, ...]  # changes when a file does

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SaverContext:
    """What the saver needs of its worker."""

    check: Callable[[], None]  # raises LeaseLost when the scene may be somebody else's
    stopped_s: Callable[[], float | None]  # since a stop was asked for; None: none was
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[float], None] = time.sleep
    repeat: Repeat = Thread


def fits(size_bytes: int, left_s: float, bytes_per_s: float) -> bool:
    """Whether that much can be copied and uploaded in `left_s` seconds, with a reserve for the pointer."""
    return 0.5 + 1.3 * size_bytes / bytes_per_s <= left_s


class ResumeSaver:
    """Context manager around the job. Left by a failure that another attempt may follow, it saves a last time."""

    def __init__(
        self, location: ResumeLocation, found: Restored, run: str, workspace: Path, scratch: Path, context: SaverContext
    ) -> None:
        self._location = location
        self._saved, self._etag = found.saved, found.etag
        self._run = run
        self._workspace = workspace
        self._scratch = scratch
        self._context = context
        self._stamps: dict[str, Stamp] = {}  # of each stage's files, as they are saved
        self._bytes_per_s = ASSUMED_BYTES_PER_S
        self._not_before = -1.0  # after a failed save
        self._end_at: float | None = None  # set: nothing is begun later than this
        self._finishing = False  # the job has ended, and a last round is wanted
        self._last_round_done = False
        self._closed = False  # nothing is changed any more
        self._repeating: Repeating | None = None

    def __enter__(self) -> ResumeSaver:
        for stage in self._saved.stages():  # what was restored need not be saved again
            self._stamps[stage] = _stamp(self._workspace, stage) or ()
        self._repeating = self._context.repeat("resume saver", self.look, LOOK_S)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(value, (Interrupted, InfrastructureError)):
            self._save_a_last_time()
        self._closed = True
        if self._repeating is not None:
            self._repeating.end()

    def look(self) -> None:
        """One round: saves what has changed. Raises nothing."""
        now, last_round = self._context.clock(), self._finishing
        if self._notice_stop() and not last_round:
            return  # the job is about to leave its newest state
        if self._closed or (now < self._not_before and not last_round):
            return
        try:
            self._save_changes()
        except LeaseLost:
            self._closed = True
        except Conflict as exc:
            log.warning("another runner saves the work of scene %s, so this one no longer does: %s",
                        self._location.scene, exc)  # fmt: skip
            self._closed = True
        except Interrupted as exc:
            log.info("%s", exc)
        except (SceneJobError, OSError) as exc:
            log.warning("the work of scene %s could not be saved: %s", self._location.scene, exc)
            self._not_before = self._context.clock() + RETRY_S
        self._last_round_done = self._last_round_done or last_round

    def _save_a_last_time(self) -> None:
        self._end_by(self._context.clock() + AFTER_FAILURE_S)
        self._finishing = True
        while self._changed() and not (self._last_round_done or self._closed) and self._left_s() > 0:
            self._context.pause(PAUSE_S)
            self._notice_stop()  # the thread may hang in an upload

    def _notice_stop(self) -> bool:
        stopped_s = self._context.stopped_s()
        if stopped_s is None:
            return False
        self._end_by(self._context.clock() + SAVED_S - stopped_s)
        return True

    def _end_by(self, at: float) -> None:
        self._end_at = at if self._end_at is None else min(self._end_at, at)

    def _left_s(self) -> float:
        return float("inf") if self._end_at is None else self._end_at - self._context.clock()

    def _changed(self) -> list[str]:
        """Stages that are finished, all before them too, and are not saved as they are now."""
        changed = []
        for stage in RESUME_FILES:
            stamp = _stamp(self._workspace, stage)
            if stamp is None:
                break
            if stamp != self._stamps.get(stage):
                changed.append(stage)
        return changed

    def _save_changes(self) -> None:
        for stage in self._changed():
            stamp = _stamp(self._workspace, stage)
            size_bytes = sum(path.stat().st_size for path in _paths(self._workspace, stage))
            if not fits(size_bytes, self._left_s(), self._bytes_per_s):
                raise Interrupted(
                    f"{size_bytes / 1e6:.0f} MB of {stage} are not saved: only {self._left_s():.0f} s left"
                )
            try:
                parts = [self._copy(file) for file in RESUME_FILES[stage]]
                if stamp is None or _stamp(self._workspace, stage) != stamp:
                    return  # it changed meanwhile: next time
                for part in parts:
                    if part not in self._saved.parts:
                        self._upload(part)
            finally:
                for file in RESUME_FILES[stage]:  # the disk is the job's
                    (self._scratch / plain_name(file)).unlink(missing_ok=True)
            self._point_at(parts)
            self._stamps[stage] = stamp

    def _copy(self, file: str) -> Part:
        """A copy that the job cannot change, and its hash. The job parses hostile media: it gets no link followed."""
        if (self._workspace / file).parent.is_symlink():
            raise OSError(f"the folder of {file} is a link")
        handle = os.open(self._workspace / file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        digest, size_bytes = hashlib.sha256(), 0
        with os.fdopen(handle, "rb") as source, (self._scratch / plain_name(file)).open("wb") as copy:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(f"{file} is no plain file")
            while block := source.read(CHUNK):
                copy.write(block)
                digest.update(block)
                size_bytes += len(block)
                if size_bytes > MAX_PART_BYTES:
                    raise OSError(f"{file} is larger than {MAX_PART_BYTES / 1e9:.0f} GB")
        return Part(file, size_bytes, digest.hexdigest())

    def _upload(self, part: Part) -> None:
        self._may_change()
        begun_at = self._context.clock()
        self._location.store.upload(self._scratch / plain_name(part.file), self._location.blob(part))
        seconds = self._context.clock() - begun_at
        if part.size_bytes >= MEASURED_BYTES and seconds > 0:
            self._bytes_per_s = part.size_bytes / seconds

    def _point_at(self, parts: list[Part]) -> None:
        """The pointer, and then nothing needs the parts it pointed at before."""
        old = self._saved
        new = old.with_parts(parts, self._run, self._context.now())
        self._may_change()
        self._etag = self._write_pointer(new.to_json())
        self._saved = new
        needed = {part.sha256 for part in new.parts}
        for part in old.parts:
            if part.sha256 not in needed:
                self._may_change()
                try:
                    self._location.store.delete(self._location.blob(part))
                except NotFound:
                    continue
        log.info("saved work of scene %s: %s", self._location.scene,
                 ", ".join(f"{part.file} {part.size_bytes / 1e6:.1f} MB" for part in parts))  # fmt: skip

    def _write_pointer(self, data: bytes) -> str:
        """Raises Conflict when another runner wrote it meanwhile; a write of this one whose answer was lost is none."""
        store, name = self._location.store, self._location.pointer
        try:
            return store.write(name, data, if_match=self._etag, if_absent=self._etag is None)
        except Conflict:
            found, etag = store.read(name)
            if run_of(found) != self._run:
                raise
            return store.write(name, data, if_match=etag)

    def _may_change(self) -> None:
        """Before every change of the store."""
        self._context.check()
        if self._closed or self._left_s() <= 0:
            raise Interrupted("no more time to save the work; what was saved before counts")


def _paths(workspace: Path, stage: str) -> list[Path]:
    return [workspace / file for file in RESUME_FILES[stage]]


def _stamp(workspace: Path, stage: str) -> Stamp | None:
    """Of all files of a stage; None when one is missing, so that the stage is not finished."""
    stamp: list[int] = []
    for path in _paths(workspace, stage):
        try:
            info = path.lstat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        stamp += (info.st_ino, info.st_size, info.st_mtime_ns)
    return tuple(stamp)
