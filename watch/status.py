"""The state of a running watch: written by its loop, read by the threads that serve health and metrics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from runner.files import disk
from scenejobs.adapters.folder import Places
from scenejobs.errors import SceneJobError
from scenejobs.state.overview.status import SceneStatus
from scenejobs.state.record import Outcome
from watch.problems import Kind, Problem

HUNG_AFTER_POLLS = 12  # the loop counts as hung when it has missed so many polls, and never before ...
HUNG_AFTER_S = 300.0  # ... this long: a listing of a network mount may take minutes


@dataclass(frozen=True)
class FinishedScene:
    """One scene that was finished while this process watched."""

    scene: str
    run: str
    outcome: Outcome
    seconds: float = 0.0  # of all its stages
    frames: int = 0
    frames_seconds: float = 0.0  # of the stage that extracts them
    gaussians: int = 0
    psnr: float | None = None  # of held-out views, dB
    loss: float | None = None  # of the training at its end, smoothed
    suspect: bool = False  # it succeeded, and its result may be wrong


@dataclass
class WatchStatus:
    """Running state. Each field is replaced as a whole, so a reader needs no lock."""

    workspace: Path
    places: Places | None  # None: the containers are no folders
    min_free_gb: float
    instance: str = ""  # its name
    clock: Callable[[], float] = time.monotonic
    started_at: float = 0.0
    last_poll_at: float = 0.0  # when the poll began that runs, or ran last
    last_error: str = "the folders were not looked at yet"  # why the last poll failed; "" when it did not
    error_code: str = ""  # of last_error, whose words vary
    found: tuple[Problem, ...] = ()  # at the last look: what keeps work from going on
    stopping: bool = False
    scenes: tuple[SceneStatus, ...] = ()  # in the input folder
    queued: int = 0  # messages for the worker
    poisoned: int = 0  # messages that nobody can act on
    workers: int = 0
    succeeded: int = 0  # scenes since the start
    failed: int = 0
    suspect: int = 0  # of those that succeeded
    last: FinishedScene | None = None
    totals: dict[str, float] = field(
        default_factory=lambda: dict.fromkeys(("seconds", "frames", "frames_seconds"), 0.0)
    )
    pruned: int = 0  # files removed because they were old

    def __post_init__(self) -> None:
        self.started_at = self.last_poll_at = self.clock()

    # ---- written by the loop ----------------------------------------------------------------------------------------

    def poll_started(self) -> None:
        self.last_poll_at = self.clock()

    def poll_failed(self, error: SceneJobError) -> None:
        self.last_error, self.error_code = str(error), str(error.code)

    def scene_finished(self, finished: FinishedScene) -> None:
        self.succeeded += finished.outcome is Outcome.SUCCEEDED
        self.failed += finished.outcome is not Outcome.SUCCEEDED
        self.suspect += finished.suspect
        added = {"seconds": finished.seconds, "frames": finished.frames, "frames_seconds": finished.frames_seconds}
        self.totals = {name: total + added[name] for name, total in self.totals.items()}
        self.last = finished

    # ---- read by the HTTP server ------------------------------------------------------------------------------------

    @property
    def place(self) -> str:
        """For messages."""
        return "the folders" if self.places else "the storage"

    @property
    def uptime_s(self) -> float:
        return self.clock() - self.started_at

    def free_gb(self) -> float:
        """Of the fullest disk that is written to. Raises OSError."""
        return min(disk.free_bytes(folder) for folder in self._disks) / disk.GB

    @property
    def _disks(self) -> tuple[Path, ...]:
        return (*(self.places.all() if self.places else ()), self.workspace)

    def is_mine(self, scene: SceneStatus) -> bool:
        """Whether a scene of `scenes` is in work here. The folders of a watch are its own."""
        return scene in self.scenes

    def is_alive(self, poll_s: float) -> bool:
        """Whether the loop runs. A hung mount blocks it; then a restart may help."""
        return self.clock() - self.last_poll_at < max(HUNG_AFTER_S, HUNG_AFTER_POLLS * poll_s)

    def problems(self, poll_s: float) -> tuple[Problem, ...]:
        """Everything that keeps work from going on; () when it does."""
        if self.stopping:
            return (Problem(Kind.STOPPING, "told to stop"),)
        if not self.is_alive(poll_s):
            return (Problem(Kind.HUNG, f"no answer of {self.place}"),)
        return (*self.looks(), *self.disk(), *self.found)

    def unwell(self, problems: Iterable[Problem]) -> tuple[Problem, ...]:
        """Those of the problems for which this process is not healthy."""
        return tuple(problems)

    def looks(self) -> tuple[Problem, ...]:
        """Why the last poll failed."""
        kind = Kind.FOLDERS if self.places else Kind.STORAGE
        return (Problem(kind, self.last_error, self.error_code),) if self.last_error else ()

    def disk(self) -> tuple[Problem, ...]:
        """Whether the disks have what MIN_DISK_SPACE_GB asks for, now."""
        why = disk.lacking(self._disks, self.min_free_gb)
        return (Problem(Kind.DISK, f"scenes wait: {why}"),) if why else ()
