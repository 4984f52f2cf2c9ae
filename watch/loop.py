"""The loop of watch mode: poll the folders, let the dispatcher decide, keep one worker running, update the status.

Nothing that matters is kept in memory: batches, messages and records lie in the state folder, as in the cloud. After a
kill at any line, the next start resumes.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from function_app.sweep import Sweeper, SweepReport
from function_app.wiring import App
from runner.process.signals import StopFlag
from scenejobs.adapters.folder import Places
from scenejobs.adapters.folder.cleanup import tidy
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.errors import ComputeError, NotFound, SceneJobError, StorageError, UnreadableMessage, UnreadableRecord
from scenejobs.names import refusal, scene_key
from scenejobs.ports import BlobInfo, BlobStore, Containers, Queues
from scenejobs.settings.groups import WatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import codec, generations, records
from scenejobs.state.generations import Generation
from scenejobs.state.incoming.uploads import sort_uploads
from scenejobs.state.layout import ACTIVE, GENERATIONS, MANIFEST, is_check, key_of_marker, record_of_key, run_folder
from scenejobs.state.messages import DebounceCheck
from scenejobs.state.overview.status import SceneStatus, State, scene_status
from scenejobs.state.record import Outcome
from scenejobs.state.removal.expiry import expire
from watch.local_workers import LocalCompute
from watch.mended import Mended
from watch.problems import STARTS_NOTHING, Device, Kind, Problem, Waiting, of_folders
from watch.retention import prune
from watch.rights import Rights
from watch.status import FinishedScene, WatchStatus

MAX_SHOWN = 200  # scenes whose state is read at every poll
HINT_VISIBILITY_S = 60.0
MAX_NUMBER = 1e15  # of what a manifest tells: larger ones cannot be, and their sums were not finite

log = logging.getLogger(__name__)


class Watch:
    """See the module. Everything happens in the thread that calls `run`."""

    def __init__(
        self,
        containers: Containers,
        queues: Queues,
        app: App,
        compute: LocalCompute,
        status: WatchStatus,
        settings: WatchSettings,
        depth: int,
        places: Places | None,
        pipeline: PipelineSettings = PipelineSettings(),  # noqa: B008  # frozen
        rights: Rights | None = None,
        output_days: float = 0.0,
    ) -> None:
        """places: None where the containers are no folders. output_days: after so many results go; 0: never."""
        self._containers = containers
        self._queues = queues
        self._sweeper, self._waiting_sweeper = app.sweeper, without_starts(app.sweeper)
        self._app = app
        self._device, self._waiting = Device(pipeline), Waiting()
        self._rights = rights
        self._output_days = output_days
        self._mended = Mended(containers, queues, rights) if rights else None
        self._told: set[tuple[Kind, str]] = set()  # problems that the log knows
        self._active: set[str] = set()  # keys of scenes with something to do, uploads or not
        self._compute = compute
        self._status = status
        self._settings = settings
        self._depth = depth
        self._places = places
        self._known: set[str] | None = None  # generations that ended before this process, or that it has counted
        self._busy: set[str] = set()  # keys of scenes with something to do, at the last poll
        self._tidied_at: float | None = None

    def run(self, stop: StopFlag) -> None:
        """Polls until a stop is requested; then the worker requeues its scene."""
        try:
            while not stop.is_set():
                self.poll()
                stop.wait(self._settings.poll_s)
        finally:
            self._status.stopping = True
            log.info("told to stop: %d workers run", len(self._compute.live()))
            self._compute.end(self._settings.stop_s)

    def poll(self) -> None:
        """One poll. A failure is reported and tried again at the next: a mount may come back."""
        status = self._status
        status.poll_started()
        machine = [*of_folders(status.workspace, self._containers, self._places), *self._device.problems()]
        held = any(each.kind in STARTS_NOTHING for each in (*machine, *status.disk()))
        try:
            self._look(held=held)
        except SceneJobError as exc:
            status.poll_failed(exc)
        else:
            status.last_error = ""
        status.workers = len(self._compute.live())
        mine = self._concerning(status.scenes)
        running = status.workers and any(scene.state is State.RUNNING for scene in mine)  # it came past its settings
        if running or (not status.workers and not status.queued):  # or nobody waits for a better one
            self._compute.trouble = ""
        trouble = [Problem(Kind.WORKER, self._compute.trouble)] if self._compute.trouble else []
        stuck = self._waiting.problems(mine, status.workers, held=held or bool(trouble))
        denied = self._rights.problems(getattr(self._containers.input, "unopened", ())) if self._rights else []
        status.found = (*machine, *trouble, *denied, *stuck)
        self._tell()

    def _look(self, *, held: bool) -> None:
        """Raises SceneJobError; of folders too whatever the system says when a mount is gone."""
        status = self._status
        with os_errors(f"looking at {status.place}"):
            if self._rights:
                self._rights.begin()
            with self._starts():
                self._take_messages(held=held)
            with self._starts():
                if (report := self._sweep(held=held)) is not None:
                    self._log_sweep(report)
            uploads = sort_uploads(self._containers.input.list(), self._depth).scenes
            self._count_finished(uploads)
            self._tidy_if_due()
            status.scenes = self._scenes(uploads)
            if self._mended:
                self._mended.go_on(status.scenes)
            status.queued = self._queues.jobs.total()
            status.poisoned = self._queues.poison.total()

    @contextmanager
    def _starts(self) -> Iterator[None]:
        """A worker that cannot be started is a problem of workers: the look goes on."""
        try:
            yield
        except ComputeError as exc:
            self._compute.trouble = self._compute.trouble or str(exc)

    def _concerning(self, scenes: Iterable[SceneStatus]) -> list[SceneStatus]:
        """Those whose standing still is to be told here."""
        return list(scenes)

    def _tell(self) -> None:
        """Each problem once when it comes, and once when none of its kind is left."""
        now = {each.known_by: each for each in (*self._status.looks(), *self._status.disk(), *self._status.found)}
        before, self._told = self._told, set(now)
        for known_by in sorted(now.keys() - before):
            each = now[known_by]
            log.error("work does not go on: %s", each.text, extra={"event": f"watch.{each.kind}"})
        for kind in sorted({kind for kind, _ in before} - {kind for kind, _ in now}):
            log.info("work goes on: no problem of kind %s any more", kind, extra={"event": f"watch.{kind}"})

    def _sweep(self, *, held: bool) -> SweepReport | None:
        """Finds uploads and heals what was lost. held: waiting work is left waiting."""
        return (self._waiting_sweeper if held else self._sweeper).sweep()

    def _take_messages(self, *, held: bool) -> None:  # noqa: ARG002  # of serve
        """Somebody asks for a look at a scene. Every poll looks at all uploads; what remains are runs without any."""
        dispatcher = self._app.dispatcher
        while (message := self._queues.debounce.receive(HINT_VISIBILITY_S)) is not None:
            with suppress(UnreadableMessage):
                check = DebounceCheck.from_json(message.text)
                if refusal(check.scene) is None:
                    dispatcher.send_wish(check.scene, dispatcher.containers.input.now())
            self._queues.debounce.complete(message)

    def _log_sweep(self, report: SweepReport) -> None:
        if report.sealed or report.resent or report.requeued or report.refused or report.started:
            log.info("%d scenes complete, %d sent again, %d uploads refused, %d workers started",
                     report.sealed, report.resent + report.requeued, report.refused, report.started)  # fmt: skip

    def _scenes(self, uploads: Collection[str]) -> tuple[SceneStatus, ...]:
        """Of scenes with uploads, and of those that have something to do without any."""
        names, without = sorted(uploads), sorted(self._active - {scene_key(scene) for scene in uploads})
        for key in without[:MAX_SHOWN]:
            with suppress(UnreadableRecord):  # `status` tells it
                if (stored := records.read(self._containers.state, record_of_key(key))) is not None:
                    names.append(stored.record.scene)
        return tuple(scene_status(self._containers, scene, self._depth) for scene in names[:MAX_SHOWN])

    # ---- finished scenes --------------------------------------------------------------------------------------------

    def _count_finished(self, uploads: Collection[str]) -> None:
        """Looks at scenes that have or had something to do, at this poll or the last: others have not ended since.

        uploads: scenes that have some. Listing all that ever ended would cost each poll more from scene to scene.
        """
        state = self._containers.state
        if self._known is None:
            self._known = {info.name for info in state.list(GENERATIONS)}
        active = {key_of_marker(info.name) for info in state.list(ACTIVE) if not is_check(info.name)}
        self._active = active
        before, self._busy = self._busy, active | {scene_key(scene) for scene in uploads}
        notes = {info.name: info for key in sorted(before | self._busy) for info in state.list(f"{GENERATIONS}{key}/")}
        for name in sorted(notes.keys() - self._known):
            ended_in = generations.ended_in(notes[name])
            if ended_in and not self._compute.knows(ended_in):  # another instance did it, and counts it
                continue
            self._count(notes[name])
        self._known |= notes.keys()

    def _count(self, note: BlobInfo) -> bool:
        """Counts the end of a scene, and tells it; False where the note cannot be read."""
        try:
            finished = finished_scene(self._containers.output, generations.read(self._containers.state, note.name))
        except StorageError as exc:  # one damaged note must not hold up the rest
            log.error("%s cannot be counted: %s", note.name, exc)
            return False
        self._status.scene_finished(finished)
        log_finished(finished)
        return True

    # ---- old files ---------------------------------------------------------------------------------------------------

    def _tidy_if_due(self) -> None:
        now = self._status.clock()
        if self._tidied_at is not None and now - self._tidied_at < self._settings.tidy_s:
            return
        self._tidied_at = now
        removed = sum(tidy(folder) for folder in self._places.all()) if self._places else 0
        pruned = 0
        if self._settings.retention_days:
            before = self._containers.state.now() - timedelta(days=self._settings.retention_days)
            pruned = prune(self._containers, self._depth, before)
        if self._output_days:
            oldest = self._containers.state.now() - timedelta(days=self._output_days)
            pruned += expire(self._containers, self._depth, oldest)[1]
        self._status.pruned += pruned
        if removed or pruned:
            log.info("%d files left behind and %d old ones removed", removed, pruned)


def without_starts(sweeper: Sweeper) -> Sweeper:
    """The same sweeps, which leave waiting work waiting. No failed start is counted, so nothing has to wear off."""
    dispatcher = sweeper.dispatcher
    return replace(sweeper, dispatcher=replace(dispatcher, starter=replace(dispatcher.starter, limit=0)))


def finished_scene(output: BlobStore, generation: Generation) -> FinishedScene:
    """With the numbers of its manifest, where it succeeded. Raises StorageError."""
    suspect = generation.doubt is not None
    finished = FinishedScene(generation.scene, generation.run, generation.outcome, suspect=suspect)
    if generation.outcome is not Outcome.SUCCEEDED:
        return finished
    folder = run_folder(generation.scene, generation.run)
    try:
        manifest = codec.loads(output.read(folder + MANIFEST)[0])
    except (NotFound, ValueError):  # somebody moved the result away at once: its numbers are not known
        return finished
    return measured(finished, manifest)


def log_finished(finished: FinishedScene) -> None:
    """The line about a scene that ended."""
    log.info(
        "scene %s: %s%s", finished.scene, finished.outcome, ", suspect" if finished.suspect else "",
        extra={"job_id": finished.scene, "run_id": finished.run, "scene": finished.scene,
               "outcome": str(finished.outcome), "suspect": finished.suspect,
               "duration_secs": round(finished.seconds, 1), "frames_extracted": finished.frames,
               "gaussian_count": finished.gaussians},
    )  # fmt: skip


def measured(finished: FinishedScene, manifest: Any) -> FinishedScene:
    """With the numbers of a manifest. Somebody may have edited it: what is not a number counts as missing."""
    document = _object(manifest)
    training = _object(document.get("training"))
    stages = {name: _number(value) or 0.0 for name, value in _object(document.get("stage_seconds")).items()}
    videos = document.get("videos")
    frames = [_object(video).get("frames") for video in videos] if isinstance(videos, list) else []
    return replace(
        finished,
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
    """What a float can hold: JSON's whole numbers may have thousands of digits."""
    return float(value) if isinstance(value, int | float) and abs(value) <= MAX_NUMBER else None
