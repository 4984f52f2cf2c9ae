"""One machine with a workspace, and the state container that machines share, for tests of the resume store."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from runner.scene.stages import RESUME_FILES
from runner.worker.saved_work.resume_saver import ResumeSaver, SaverContext
from runner.worker.saved_work.resume_store import (
    Restored,
    restore,
    resume_location,
)
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.blobs import InputBlob
from tests.doubles.faults import FaultPlan, FaultyBlobStore, Rule
from tests.runner_world import ByHand

MANIFEST = (InputBlob("lobby/a.mp4", "E1", 3),)


def nothing() -> None:
    """Allows everything."""


class Machine:
    """One machine with a workspace, and the storage that machines share."""

    def __init__(self, folder: Path, store: Any, **key: Any) -> None:
        self.workspace, self.scratch = folder / "workspace", folder / "saved"
        for each in (self.workspace, self.scratch):
            each.mkdir(parents=True)
        self.store = store
        manifest, settings, program = (
            key.get(name, usual) for name, usual in
            (("manifest", MANIFEST), ("settings", PipelineSettings()), ("program", "p1"))
        )  # fmt: skip
        self.location = resume_location(store, "lobby", manifest, settings, program)
        self.threads, self.time_s = ByHand(), 0.0
        self.stopping = False  # told to stop, just now
        self.stopped_at: float | None = None  # or at this time
        self.check: Callable[[], None] = nothing

    def stopped_s(self) -> float | None:
        if self.stopping and self.stopped_at is None:
            self.stopped_at = self.time_s
        return None if self.stopped_at is None else self.time_s - self.stopped_at

    def restore(self) -> Restored:
        return restore(self.location, self.workspace, self.scratch, self.check)

    def saver(self, found: Restored | None = None, run: str = "run-1") -> ResumeSaver:
        threads = self.threads
        around = SaverContext(
            lambda: self.check(), self.stopped_s, ManualClock(), lambda: self.time_s, threads.pause, threads
        )
        return ResumeSaver(self.location, found or self.restore(), run, self.workspace, self.scratch, around)

    def leave(self, text: str, *stages: str) -> None:
        """The files of finished stages."""
        for stage in stages or RESUME_FILES:
            for file in RESUME_FILES[stage]:
                (self.workspace / file).parent.mkdir(exist_ok=True)
                (self.workspace / f"{file}.new").write_text(f"{text} {file}")
                (self.workspace / f"{file}.new").replace(self.workspace / file)

    def save(self, text: str = "one", *stages: str, run: str = "run-1") -> None:
        with self.saver(run=run):
            self.leave(text, *stages)
            self.threads.acts["resume saver"]()

    def holds(self) -> dict[str, str]:
        files = [path for path in self.workspace.rglob("*") if path.is_file()]
        return {path.relative_to(self.workspace).as_posix(): path.read_text() for path in files}


def failing(store: MemoryBlobStore, rule: Rule) -> FaultyBlobStore:
    return FaultPlan(store.clock, [rule]).store(store)


def what(text: str, *stages: str) -> dict[str, str]:
    return {file: f"{text} {file}" for stage in stages or RESUME_FILES for file in RESUME_FILES[stage]}


def pointer(store: MemoryBlobStore) -> str:
    return next(name for name in store.blobs if name.endswith("/saved.json"))


def spoil(store: MemoryBlobStore, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the pointer as somebody could who may write to the state container."""
    name = pointer(store)
    value = json.loads(store.blobs[name].data)
    change(value)
    store.write(name, json.dumps(value).encode())
