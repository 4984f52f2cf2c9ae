"""When the cameras of a finished scene are doubtful: once more by another method, and the better of the two is kept.

Everything of the second scene lies in a folder of its own (workspace/another_way), so that the first stays whole until
the second has won, and an attempt that resumes finds both.
"""

from __future__ import annotations

import logging
import shutil
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from runner.pipeline import splats
from runner.pipeline.cameras import Posed, find_other_cameras
from runner.pipeline.splats import FinishedSplats
from runner.pipeline.stages import JobContext
from runner.quality.witness import Witness
from runner.scene.frames import FrameSet
from runner.scene.geometry import camera_positions, residuals, similarity
from runner.scene.masks import FOLDER as MASKS
from runner.scene.progress import Progress, Report
from runner.scene.stages import Stage
from runner.scene.views import TrainingScene
from scenejobs.errors import InputError, RunnerError

SAME = 0.02  # median distance of the cameras of two methods, of the path's size, that are the same cameras
LEAST_COMMON = 4  # cameras that both have; fewer fit each other always
RESERVE = 1.5  # times what the first way took is left before the deadline, else the second is not begun
FINISH_S = 120.0  # for what comes after
PICTURES = ("comparison_*", "poster.jpg", "orientation.json")  # of the output folder, which the stage writes

log = logging.getLogger(__name__)


def better_of_two(context: JobContext, frames: FrameSet, first: FinishedSplats) -> FinishedSplats:
    """The scene again from the cameras of another method where that can help, or the first with its doubts.

    Raises Interrupted, ResourceError.
    """
    if not first.witness.cameras_doubted:
        return first  # other cameras would not help
    if first.posed.poses.supplied and first.posed.poses.supplied["used"]:
        return _with_doubt(first, "the cameras are those that were supplied, and no other way was tried")
    if not has_time(context.settings.ends_at, time.monotonic(), _spent_s(first)):
        return _with_doubt(first, "there was no time left to try another way")
    second = _second_context(context)
    try:
        posed = find_other_cameras(second, frames, first.posed.poses)
        if (differs := difference(first.posed.scene, posed.scene)) is not None and differs <= SAME:
            return _with_doubt(first, f"another way ({posed.poses.rung}) finds the same cameras to {differs:.1%}")
        finished = splats.clean_up(second, posed, splats.train_splats(second, posed))
    except (InputError, RunnerError) as exc:  # the first scene is there, and it is what was asked for
        log.warning("another way to the poses failed: %s", exc)
        return _with_doubt(first, f"another way to find the cameras was tried and failed: {exc.cause}")
    log.info("another way (%s): %s, doubts: %s", posed.poses.rung, finished.witness.to_json(), finished.doubts)
    if not is_better(finished.witness, len(finished.doubts), first.witness, len(first.doubts)):
        return _with_doubt(first, f"another way ({posed.poses.rung}) gives nothing better")
    _take_pictures(second.out, context.out)
    return replace(finished, posed=_explained(posed, first))


def has_time(ends_at: float | None, now: float, spent_s: float) -> bool:
    """Pure: whether a second way is begun. ends_at, now: on one clock; spent_s: what the first way took."""
    return ends_at is None or ends_at - now >= RESERVE * spent_s + FINISH_S


def is_better(second: Witness, second_doubts: int, first: Witness, first_doubts: int) -> bool:
    """Pure: what has no doubts, then what explains more pictures, then what shows them better."""

    def rank(witness: Witness, doubts: int) -> tuple[bool, float, float]:
        unexplained = witness.unexplained_share
        return doubts == 0, -round(1.0 if unexplained is None else unexplained, 1), witness.train_gain_db or 0.0

    return rank(second, second_doubts) > rank(first, first_doubts)


def difference(one: TrainingScene, other: TrainingScene) -> float | None:
    """Median distance between the cameras of two scenes after a similarity, relative to the size of the path.

    None: they have too few pictures in common, or other ones.
    """
    places = [dict(zip((view.image for view in scene.views), camera_positions(scene.views), strict=True))
              for scene in (one, other)]  # fmt: skip
    common = sorted(places[0].keys() & places[1].keys())
    if len(common) < LEAST_COMMON or places[0].keys() != places[1].keys():
        return None
    here, there = (np.array([place[name] for name in common]) for place in places)
    return float(np.median(residuals(there, here, similarity(there, here))))


def _spent_s(first: FinishedSplats) -> float:
    """Seconds of the first way to poses and of its training, earlier attempts included."""
    return sum(first.posed.poses.attempt_s) + first.trained.wall_s


def _second_context(context: JobContext) -> JobContext:
    """The same frames and masks in a folder of its own; its progress is that of this stage."""
    workspace = context.workspace / "another_way"
    workspace.mkdir(exist_ok=True)
    for name in ("frames", MASKS):
        if (context.workspace / name).is_dir() and not (workspace / name).exists():
            (workspace / name).symlink_to(Path("..") / name, target_is_directory=True)
    out = workspace / "out"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    outer = context.progress

    def emit(report: Report) -> None:
        outer.report(Stage.CLEAN_UP, 0.5, f"another way, {report.stage}: {report.detail}".rstrip(": "))

    return replace(context, workspace=workspace, out=out, progress=Progress(emit, outer.stop_requested))


def _take_pictures(source: Path, target: Path) -> None:
    """Those of the second scene in the place of the first one's."""
    for pattern in PICTURES:
        for old in target.glob(pattern):
            old.unlink()
    for path in source.iterdir():
        shutil.move(path, target / path.name)


def _explained(posed: Posed, first: FinishedSplats) -> Posed:
    """With what became of the first way."""
    poses = posed.poses
    why = f"{poses.why}; before, {first.posed.poses.rung} gave a doubtful scene: {first.doubts[0]}"
    attempts = (*first.posed.poses.attempts, *poses.attempts)
    return replace(
        posed,
        poses=replace(poses, why=why, attempts=attempts, attempt_s=(*first.posed.poses.attempt_s, *poses.attempt_s)),
    )


def _with_doubt(first: FinishedSplats, sentence: str) -> FinishedSplats:
    return replace(first, doubts=(*first.doubts, sentence))
