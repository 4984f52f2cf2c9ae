"""What keeps work from going on: found at every look, told by /health, /metrics and the log, in words that help."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from runner.process import gpu_present
from scenejobs.adapters.folder import Places
from scenejobs.errors import AccessDenied, SceneJobError
from scenejobs.ports import Containers
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.overview.status import SceneStatus, State

DEVICE_S = 30.0  # so long a look at the GPU counts: it starts a process
DUE = (State.QUEUED, State.ARCHIVING)
STALLED_S = 300.0  # a scene that is due and that no worker was there for, in all that time, is told
NAMED = 3  # scenes in one sentence


class Kind(StrEnum):
    """Labels of `video_splat_problem`, which alerts may name: they never change."""

    STOPPING = "stopping"  # told to stop
    HUNG = "hung"  # the loop does not turn: a mount that does not answer
    FOLDERS = "folders"  # the last look failed, or a folder cannot be written to
    STORAGE = "storage"  # the containers could not be looked at
    DISK = "disk"  # less free than MIN_DISK_SPACE_GB
    DEVICE = "device"  # the backend needs a GPU, and there is none
    WORKER = "worker"  # the last worker refused its settings, or crashed
    STUCK = "stuck"  # a scene that cannot be brought to its end, or that nobody takes
    RIGHTS = "rights"  # uploads that this user may not move
    INSTANCE = "instance"  # another instance is in the way


STARTS_NOTHING = frozenset({Kind.DISK, Kind.DEVICE, Kind.FOLDERS})  # scenes wait, at no cost of attempts
VARYING = frozenset({Kind.DISK, Kind.STUCK, Kind.FOLDERS, Kind.STORAGE})  # their words hold what changes: told once


@dataclass(frozen=True)
class Problem:
    """One reason, for people."""

    kind: Kind
    text: str
    about: str = ""  # what it is known by while its words vary: a scene, a folder, the code of an error

    @property
    def known_by(self) -> tuple[Kind, str]:
        """Two of the same are one problem to the log."""
        return self.kind, self.about if self.kind in VARYING else self.text


def of_folders(workspace: Path, containers: Containers, places: Places | None) -> list[Problem]:
    """Folders that every worker writes to, and could not. places: None where the containers are no folders."""
    return [Problem(Kind.FOLDERS, text, place) for place, text in _unwritable(workspace, containers, places)]


def _unwritable(workspace: Path, containers: Containers, places: Places | None) -> Iterator[tuple[str, str]]:
    """The place and why."""
    try:
        with tempfile.TemporaryFile(dir=workspace):
            pass
    except OSError as exc:
        yield "workspace", f"the workspace {workspace} cannot be written to: {exc.strerror} (TEMP_PATH)"
    if places is None:
        return
    for name in ("output", "processed", "error", "state"):
        folder: Path = getattr(places, name)
        try:
            getattr(containers, name).now()  # writes: the clock of a folder is a file in it
            if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
                yield name, f"{folder} cannot be written to by user {os.geteuid()}: sudo chown {owner()} {folder}"
        except AccessDenied as exc:
            yield name, f"{exc.cause.rstrip('.')}: sudo chown -R {owner()} {folder}"
        except SceneJobError as exc:
            yield name, str(exc)


def owner() -> str:
    """User and group of this process, as `chown` takes them."""
    return f"{os.geteuid()}:{os.getegid()}"


@dataclass
class Device:
    """Whether the backend that is asked for by name has its GPU; looked at again from time to time."""

    pipeline: PipelineSettings
    clock: Callable[[], float] = time.monotonic
    look: Callable[[], str] = gpu_present.why_none
    _looked_at: float | None = field(default=None, init=False)
    _found: str = field(default="", init=False)

    def problems(self) -> list[Problem]:
        """Why no scene could be trained; none where one could, or the backend is one that takes what is there."""
        if self.pipeline.backend != "gsplat":
            return []
        if self.pipeline.force_cpu:
            return [Problem(Kind.DEVICE, "BACKEND=gsplat and FORCE_CPU_BACKEND are both set: unset one of them")]
        now = self.clock()
        if self._looked_at is None or now - self._looked_at >= DEVICE_S:
            self._looked_at, self._found = now, self.look()
        return [Problem(Kind.DEVICE, f"BACKEND=gsplat needs a GPU, and {self._found}")] if self._found else []


@dataclass
class Waiting:
    """Scenes that are due while no worker is there."""

    clock: Callable[[], float] = time.monotonic
    _since: dict[str, float] = field(default_factory=dict, init=False)

    def problems(self, scenes: Iterable[SceneStatus], workers: int, *, held: bool) -> list[Problem]:
        """Of stuck scenes. held: work is held back by a problem that is told already."""
        scenes, now = list(scenes), self.clock()
        found = [_stuck(each, each.reason or "it is blocked") for each in scenes if each.state is State.BLOCKED]
        found += [_stuck(each, "its uploads stay") for each in scenes if each.undeleted]
        working = workers or any(each.state is State.RUNNING for each in scenes)  # here, or in another instance
        idle = not working and not held
        due = [each for each in scenes if idle and each.state in DUE and not each.expected]
        self._since = {each.scene: self._since.get(each.scene, now) for each in due}
        for each in due:
            if (waited := now - self._since[each.scene]) >= STALLED_S:
                found.append(_stuck(each, f"{each.state}, and no worker took it for {waited / 60:.0f} min"))
        return found


def _stuck(scene: SceneStatus, why: str) -> Problem:
    text = f"scene {scene.scene}: {why}" + (f" ({scene.note})" if scene.note else "")
    return Problem(Kind.STUCK, text, scene.scene)


def in_words(problems: Iterable[Problem]) -> str:
    """One line; "" where all is well. Of many of a kind some are named."""
    kinds: dict[Kind, list[str]] = {}
    for each in problems:
        kinds.setdefault(each.kind, []).append(each.text)
    lines = []
    for texts in kinds.values():
        more = f"; and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
        lines.append("; ".join(texts[:NAMED]) + more)
    return "; ".join(lines)
