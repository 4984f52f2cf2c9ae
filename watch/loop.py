"""The loop of watch mode: look at the folders, let the dispatcher decide, keep one worker running, tell how it goes.

Nothing that matters is kept in memory: batches, messages and records lie in the state folder, as in the cloud. Killed
at any line, the next start goes on.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

from function_app.sweep import SweepReport
from function_app.wiring import App
from runner.process.signals import StopFlag
from scenejobs.adapters.folder import Places
from scenejobs.adapters.folder.cleanup import tidy
from scenejobs.errors import NotFound, SceneJobError, StorageError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import WatchSettings
from scenejobs.state import generations
from scenejobs.state.generations import Generation
from scenejobs.state.layout import GENERATIONS, MANIFEST, run_folder
from scenejobs.state.record import Outcome
from scenejobs.state.status import SceneStatus, scene_status
from scenejobs.state.uploads import sort_uploads
from watch.local_workers import LocalCompute
from watch.retention import prune
from watch.status import Ended, Facts

MAX_SHOWN = 200  # scenes whose state is looked up at every look
HINT_VISIBILITY_S = 60.0

log = logging.getLogger(__name__)


class Watch:
    """See the module. Everything happens in the thread that calls `run`."""

    def __init__(
        self,
        containers: Containers,
        queues: Queues,
        app: App,
        compute: LocalCompute,
        facts: Facts,
        settings: WatchSettings,
        depth: int,
        places: Places,
    ) -> None:
        self._containers = containers
        self._queues = queues
        self._app = app
        self._compute = compute
        self._facts = facts
        self._settings = settings
        self._depth = depth
        self._places = places
        self._known: set[str] | None = None  # generations that ended before this process, or that it has told of
        self._tidied_at: float | None = None

    def run(self, stop: StopFlag) -> None:
        """Until a stop is asked for; then the scene in work is given back."""
        try:
            while not stop.is_set():
                self.look()
                stop.wait(self._settings.poll_s)
        finally:
            self._facts.stopping = True
            log.info("told to stop: %d workers run", len(self._compute.live()))
            self._compute.end(self._settings.stop_s)

    def look(self) -> None:
        """One look. What fails is told and tried again at the next: a mount may come back."""
        facts = self._facts
        facts.begins_look()
        try:
            self._forget_hints()
            report = self._app.sweeper.sweep()
            self._tell(report)
            self._note_endings()
            self._tidy_if_due()
            facts.scenes = self._scenes()
            facts.queued = self._queues.jobs.total()
            facts.poisoned = self._queues.poison.total()
        except SceneJobError as exc:
            if str(exc) != facts.trouble:
                log.error("the look at the folders failed: %s", exc)
            facts.trouble = str(exc)
        else:
            if facts.trouble:
                log.info("the folders are looked at")
            facts.trouble = ""
        facts.workers = len(self._compute.live())

    def _forget_hints(self) -> None:
        """Runners ask for a look at what was left in a scene. Every look is at all scenes."""
        while (message := self._queues.debounce.receive(HINT_VISIBILITY_S)) is not None:
            self._queues.debounce.complete(message)

    def _tell(self, report: SweepReport) -> None:
        if report.sealed or report.resent or report.requeued or report.refused or report.started:
            log.info("%d scenes complete, %d sent again, %d uploads refused, %d workers started",
                     report.sealed, report.resent + report.requeued, report.refused, report.started)  # fmt: skip

    def _scenes(self) -> tuple[SceneStatus, ...]:
        found = sort_uploads(self._containers.input.list(), self._depth).scenes
        return tuple(scene_status(self._containers, scene, self._depth) for scene in sorted(found)[:MAX_SHOWN])

    # ---- what has ended ---------------------------------------------------------------------------------------------

    def _note_endings(self) -> None:
        state = self._containers.state
        names = {info.name for info in state.list(GENERATIONS)}
        for name in sorted(names - (names if self._known is None else self._known)):
            try:
                end = self._ended(generations.read(state, name))
            except StorageError as exc:  # one damaged note must not hold up the rest
                log.error("%s cannot be told of: %s", name, exc)
                continue
            self._facts.ended(end)
            log.info(
                "scene %s: %s", end.scene, end.outcome,
                extra={"job_id": end.run, "scene": end.scene, "outcome": str(end.outcome),
                       "duration_secs": round(end.seconds, 1), "frames_extracted": end.frames,
                       "gaussian_count": end.gaussians},
            )  # fmt: skip
        self._known = names

    def _ended(self, generation: Generation) -> Ended:
        ended = Ended(generation.scene, generation.run, generation.outcome)
        if generation.outcome is not Outcome.SUCCEEDED:
            return ended
        folder = run_folder(generation.scene, generation.run)
        try:
            manifest = json.loads(self._containers.output.read(folder + MANIFEST)[0])
        except (NotFound, ValueError):  # somebody took the result away at once: its numbers are not known
            return ended
        return measured(ended, manifest)

    # ---- what is old ------------------------------------------------------------------------------------------------

    def _tidy_if_due(self) -> None:
        now = self._facts.clock()
        if self._tidied_at is not None and now - self._tidied_at < self._settings.tidy_s:
            return
        self._tidied_at = now
        removed = sum(tidy(folder) for folder in self._places.all())
        pruned = 0
        if self._settings.retention_days:
            before = self._containers.state.now() - timedelta(days=self._settings.retention_days)
            pruned = prune(self._containers, self._depth, before)
        self._facts.pruned += pruned
        if removed or pruned:
            log.info("%d files left behind and %d old ones removed", removed, pruned)


def measured(ended: Ended, manifest: Any) -> Ended:
    """With the numbers of a manifest. Hands may have changed it: what is no number counts nothing."""
    document = _object(manifest)
    training = _object(document.get("training"))
    stages = {name: _number(value) or 0.0 for name, value in _object(document.get("stage_seconds")).items()}
    videos = document.get("videos")
    frames = [_object(video).get("frames") for video in videos] if isinstance(videos, list) else []
    return replace(
        ended,
        seconds=sum(stages.values()),
        frames=sum(len(each) for each in frames if isinstance(each, list)),
        frames_seconds=stages.get("frame_extraction", 0.0),
        gaussians=int(_number(training.get("n_gaussians")) or 0),
        psnr=_number(training.get("psnr_heldout")),
        loss=_number(training.get("loss")),
    )


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None
