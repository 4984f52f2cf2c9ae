"""Frames -> camera poses and a sparse model, by a ladder of methods; the first that passes the gates wins.

Exhaustive matching with incremental mapping was right in all twelve measured runs that have reference poses. The other
rungs are for what it cannot do: too many frames for all pairs, few features, a lens that does not come out.
"""

from __future__ import annotations

import logging
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from runner.cache.store import StageCache
from runner.files.marker import fingerprint, read_marker, write_marker
from runner.poses.attempts import PoseAttempts
from runner.poses.gates import gate_results
from runner.poses.ladder import (
    Model,
    best,
    next_rung,
)
from runner.poses.reuse.cache import PoseCache
from runner.poses.settings import STAGE, PoseSettings
from runner.poses.supplied.attempt import SuppliedWay
from runner.poses.supplied.match import Given
from runner.scene.frames import FrameSet
from runner.scene.pose_report import PoseReport
from runner.scene.progress import Progress
from runner.scene.sizes import sizes_of
from scenejobs.errors import InputError

log = logging.getLogger(__name__)


def find_poses(
    frames: FrameSet, workspace: Path, settings: PoseSettings, progress: Progress, cache: StageCache | None = None,
    given: Given | None = None,
) -> PoseReport:  # fmt: skip
    """Writes workspace/sparse and, last, workspace/sparse.json. Skips when they are there already.

    cache: poses of these frames are taken from it, found with other settings as well (the frame stage chose frames that
    have such poses where they are as good as others), else features and matches as far as they are known.
    given: poses that the user supplies; they are tried first, and the report says what became of them.

    Raises InputError when no rung passes (NO_DETAIL, STATIC_CAMERA, NO_OVERLAP, TOO_FEW_REGISTERED,
    POSES_UNRELIABLE), RunnerError or ResourceError when the child process fails, Interrupted.
    """
    marker, root, work = workspace / "sparse.json", workspace / "frames", workspace / "sfm"
    sizes = [(root / frame.image).stat().st_size for frame in frames.frames]
    lenses = [(clip.folder, clip.focal_px, clip.cuts_s) for clip in frames.clips]
    told = [given.digest] if given else []
    made_from = fingerprint([frame.image for frame in frames.frames], sizes, settings, lenses, *told)
    if (stored := read_marker(marker, made_from)) and (workspace / "sparse").is_dir():
        return _read(stored)
    marker.unlink(missing_ok=True)
    picture_sizes = sizes_of(root, frames)
    known = None if cache is None else PoseCache(cache, frames, root, picture_sizes, settings, *told)
    if known is not None and (found := known.report(workspace / "sparse")) is not None:
        report = _read(found)
        write_marker(marker, made_from, report.to_json())
        progress.report(STAGE, 1.0, f"{report.images_registered} of {len(frames.frames)} frames placed before")
        return report
    if read_marker(work / "started.json", made_from) is None:  # else features and matches found so far are kept
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write_marker(work / "started.json", made_from, {"started": True})

    way = SuppliedWay(given) if given else None
    job, largest = (
        PoseAttempts(frames, root, work, settings, progress, known, way),
        max(map(max, picture_sizes.values())),
    )
    if known is not None and (taken := job.of_another_run()) is not None:
        model, report = taken
        return _finish(workspace, model, report, made_from, progress)
    attempts = [job.attempt(rung, 0, None) for rung in (way.rungs(len(frames.frames), settings) if way else ())]
    own = len(attempts)  # the ladder begins here
    while (rung := next_rung(attempts, len(frames.frames), settings, largest)) is not None:
        spent_s = sum(attempt.seconds for attempt in attempts)
        attempts.append(job.attempt(rung, len(attempts), settings.budget_s - spent_s if attempts[own:] else None))
    if known is not None:  # of a scene that fails as well: one more clip may be what it needs
        known.keep_databases({attempt.rung.database for attempt in attempts}, work)
    chosen = best(attempts)
    if chosen.model is None or not chosen.verdict.passed:
        verdict = chosen.verdict
        raise InputError("; ".join(verdict.reasons), advice=verdict.advice, code=verdict.code, stage=STAGE)
    report = job.report(attempts, chosen)
    report = way.report(report, attempts, chosen) if way else report
    if known is not None:
        timeless = replace(settings, budget_s=math.inf)
        at_once = len(attempts) == 1 and next_rung(attempts, len(frames.frames), timeless, largest) is None
        known.keep_poses(report, chosen.model.folder, at_once, chosen.rung, chosen.model.zoom)
    return _finish(workspace, chosen.model, report, made_from, progress)


def _read(value: dict[str, Any]) -> PoseReport:
    """A report that an earlier run stored, with the results of today's gates."""
    report = PoseReport.from_json(value)
    return replace(report, gates=gate_results(report.health))


def _finish(workspace: Path, model: Model, report: PoseReport, made_from: str, progress: Progress) -> PoseReport:
    part, target = workspace / ".sparse.part", workspace / "sparse"
    for folder in (part, target):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model.folder, part)
    part.rename(target)  # in one step
    write_marker(workspace / "sparse.json", made_from, report.to_json())
    shutil.rmtree(workspace / "sfm")
    progress.report(STAGE, 1.0, f"{report.images_registered} of {report.images_total} frames placed")
    return report
