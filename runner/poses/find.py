"""Frames -> camera poses and a sparse model, by a ladder of methods; the first that passes the gates wins.

All pairs with incremental mapping were right in all twelve measured runs that have reference poses. The other rungs are
for what they cannot do: too many frames for all pairs, few features, a lens that does not come out.
"""

from __future__ import annotations

import logging
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.context import StageContext
from runner.files.marker import fingerprint, read_marker, write_marker
from runner.poses.attempts import PoseAttempts
from runner.poses.colmap.session import Session, StageProgress
from runner.poses.coverage import Coverage
from runner.poses.databases import Databases
from runner.poses.gates import gate_results
from runner.poses.ladder import best, next_rung, time_for, untried
from runner.poses.out_of_time import first_way_took_too_long, lacks_frames, out_of_time
from runner.poses.refusal import refusal
from runner.poses.repetition import share_that_repeats
from runner.poses.reuse.cache import PoseCache
from runner.poses.rungs import Attempt
from runner.poses.settings import STAGE, PoseSettings
from runner.poses.supplied.attempt import supplied_rungs
from runner.poses.supplied.match import SuppliedPoses
from runner.scene.frames import FrameSet
from runner.scene.masks import digest_of_frames
from runner.scene.pose_report import PoseReport
from runner.scene.sizes import sizes_of
from scenejobs.errors import Code, RunnerError

log = logging.getLogger(__name__)


def find_poses(
    frames: FrameSet, context: StageContext, settings: PoseSettings, supplied: SuppliedPoses | None = None,
    without: frozenset[str] = frozenset(),
) -> PoseReport:  # fmt: skip
    """Writes workspace/sparse and, last, workspace/sparse.json. Skips when they are there already.

    Poses of these frames are taken from the cache, found with other settings as well (the frame stage chose frames that
    have such poses where they are as good as others), else features and matches as far as they are known. Poses that
    the user supplies are tried before any method, and the report says what became of them.

    without: names of rungs whose cameras turned out doubtful; they are not tried, and poses of earlier runs not taken.

    Raises InputError when no rung passes (NO_DETAIL, STATIC_CAMERA, NO_OVERLAP, TOO_FEW_REGISTERED,
    POSES_UNRELIABLE), RunnerError POSES_TIMED_OUT where one might have with more time, RunnerError or ResourceError
    when the COLMAP process fails, Interrupted.
    """
    result = _Result(context, _made_from(frames, context.workspace, settings, supplied, without))
    if (report := result.stored()) is not None:
        return report
    sizes = sizes_of(context.workspace / "frames", frames)  # width, height in px, by clip
    cache = _cache(frames, context, settings, supplied, sizes)
    if cache is not None and not without and (found := cache.report(result.model)) is not None:
        return result.reused(_read(found), len(frames.frames))
    result.begin()
    attempts = _attempts(frames, context, settings, supplied, cache, result.work)
    if not without and (reused := attempts.from_cache()) is not None:
        model, report = reused
        return result.finish(Path(model.folder), report)
    largest = max(map(max, sizes.values()))
    tried = _climb(attempts, len(frames.frames), settings, largest, without)
    chosen, left = best(tried), untried(tried, len(frames.frames), settings, largest, without)
    if chosen.model is None or not chosen.verdict.passed or lacks_frames(chosen, len(frames.frames)):
        bent = attempts.bent_clips(tried)
        if (late := out_of_time(tried, left, len(frames.frames), settings, bent)) is not None:
            raise late
        repeats = share_that_repeats(context.workspace / "frames", attempts.coverage.names)
        raise refusal(chosen, attempts.coverage, repeats, bent)
    report, folder = attempts.report(tried, chosen), Path(chosen.model.folder)
    if cache is not None and not chosen.cut:  # with more time there are better ones
        at_once = len(tried) == 1 and not left and not without
        cache.keep_poses(report, folder, at_once, chosen.rung, chosen.model.zoom)
    return result.finish(folder, report)


def _climb(
    attempts: PoseAttempts, frame_count: int, settings: PoseSettings, largest: int, without: frozenset[str]
) -> list[Attempt]:
    """One attempt after another: the user's poses, then the ladder as far as its budget allows.

    What each found goes to the cache before the next one begins, and whatever ends them: of a scene that fails as well,
    which one more clip may help, or more time. largest: long side of the largest frame, px.
    """
    tried: list[Attempt] = []
    for given in supplied_rungs(attempts.supplied, frame_count, settings):
        tried.append(attempts.attempt(given, tried, None))
        attempts.keep(given)
    while (rung := next_rung(tried, frame_count, settings, largest, without)) is not None:
        try:
            tried.append(attempts.attempt(rung, tried, time_for(rung, tried, frame_count, settings)))
        except RunnerError as exc:
            if exc.code != Code.JOB_TIMED_OUT:
                raise
            raise first_way_took_too_long(exc, settings) from exc
        finally:
            attempts.keep(rung)
    return tried


def _attempts(
    frames: FrameSet, context: StageContext, settings: PoseSettings, supplied: SuppliedPoses | None,
    cache: PoseCache | None, work: Path,
) -> PoseAttempts:  # fmt: skip
    coverage = Coverage(frames)
    session = Session(work, StageProgress(context.progress), settings.threads or -1, settings.seed)
    databases = Databases(coverage, context.workspace / "frames", settings, session, cache)
    return PoseAttempts(coverage, databases, session, settings, cache, supplied)


def _cache(
    frames: FrameSet, context: StageContext, settings: PoseSettings, supplied: SuppliedPoses | None,
    sizes: dict[str, tuple[int, int]],
) -> PoseCache | None:  # fmt: skip
    if context.cache is None:
        return None
    digest = supplied.digest if supplied else ""
    return PoseCache(context.cache, frames, context.workspace / "frames", sizes, settings, digest)


def _made_from(
    frames: FrameSet, workspace: Path, settings: PoseSettings, supplied: SuppliedPoses | None, without: frozenset[str]
) -> str:
    """Changes when the result would."""
    sizes = [(workspace / "frames" / frame.image).stat().st_size for frame in frames.frames]
    lenses = [(clip.folder, clip.focal_px, clip.cuts_s) for clip in frames.clips]
    digests = [supplied.digest] if supplied else []
    digests += [masks] if (masks := digest_of_frames(workspace, frames)) else []
    digests += sorted(without)
    return fingerprint([frame.image for frame in frames.frames], sizes, settings, lenses, *digests)


def _read(value: dict[str, Any]) -> PoseReport:
    """A report that an earlier run stored, with the results of today's gates."""
    report = PoseReport.from_json(value)
    return replace(report, gates=gate_results(report.health))


class _Result:
    """What the stage leaves in the workspace."""

    def __init__(self, context: StageContext, made_from: str) -> None:
        self._workspace, self._progress, self._made_from = context.workspace, context.progress, made_from
        self._marker = self._workspace / "sparse.json"
        self.model, self.work = self._workspace / "sparse", self._workspace / "sfm"

    def stored(self) -> PoseReport | None:
        """The report of an earlier call that finished; None: it is to be made."""
        if (stored := read_marker(self._marker, self._made_from)) and self.model.is_dir():
            return _read(stored)
        self._marker.unlink(missing_ok=True)
        return None

    def begin(self) -> None:
        """Features and matches of an earlier call that was stopped are kept, those of other frames are not."""
        started = self.work / "started.json"
        if read_marker(started, self._made_from) is None:
            shutil.rmtree(self.work, ignore_errors=True)
            self.work.mkdir(parents=True)
            write_marker(started, self._made_from, {"started": True})

    def reused(self, report: PoseReport, frame_count: int) -> PoseReport:
        """Of a model from the cache that is in its place already."""
        write_marker(self._marker, self._made_from, report.to_json())
        self._progress.report(STAGE, 1.0, f"{report.images_registered} of {frame_count} frames placed before")
        return report

    def finish(self, model: Path, report: PoseReport) -> PoseReport:
        """The model in its place in one step, the marker last."""
        part = self._workspace / ".sparse.part"
        for folder in (part, self.model):
            shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(model, part)
        part.rename(self.model)
        write_marker(self._marker, self._made_from, report.to_json())
        shutil.rmtree(self.work)
        self._progress.report(STAGE, 1.0, f"{report.images_registered} of {report.images_total} frames placed")
        return report
