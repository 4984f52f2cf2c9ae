"""Frames -> camera poses and a sparse model, by a ladder of methods; the first that passes the gates wins.

Exhaustive matching with incremental mapping was right in all twelve measured runs that have reference poses. The other
rungs are for what it cannot do: too many frames for all pairs, few features, a lens that does not come out.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner import sfm_child
from runner.gates import Counts, Verdict, describe_side, judge, lens_is_impossible
from runner.marker import fingerprint, read_marker, write_marker
from runner.presets import PoseSettings
from runner.progress import Progress
from runner.scene import FrameSet, Health, PoseReport
from scenejobs.errors import Code, InputError, RunnerError

STAGE = "colmap_reconstruction"
LOST_BELOW = 0.1  # share of a clip's frames: with fewer placed the clip counts as lost
STRONG_FEATURES, STRONG_IMAGE_SIZE = 8192, 1600  # of the second try, when features were too few
EXTRACTED, MATCHED = 0.3, 0.75  # shares of the stage's time after which features and matches are done
PREPARE_LIMIT_S = 4 * 3600.0  # for features or matches: a stop for what hangs, not a budget
GRACE_S = 300.0  # for the mapper to end after its own time limit: it finishes a bundle adjustment first


@dataclass(frozen=True)
class Rung:
    """One way to reconstruct."""

    matching: str  # "exhaustive" | "sequential"
    mapper: str  # "incremental" | "global"
    features: int  # per image
    max_image_size: int  # px
    guided: bool = False  # match a second time along the epipolar lines found

    def __str__(self) -> str:
        guided = " guided" if self.guided else ""
        return f"{self.matching}{guided} + {self.mapper}, {self.features} features"


@dataclass(frozen=True)
class Model:
    """One reconstruction as the child process describes it."""

    folder: Path
    names: tuple[str, ...]  # registered images
    points: int
    mean_track_length: float
    mean_reprojection_error_px: float
    health: Health
    smaller_side: tuple[str, ...]  # images on the smaller side of the weakest joint


@dataclass(frozen=True)
class Attempt:
    """One rung tried, with its best model."""

    rung: Rung
    model: Model | None
    verdict: Verdict
    others: tuple[Model, ...] = ()  # further, smaller models: parts that did not connect

    def __str__(self) -> str:
        if self.model is None:
            return f"{self.rung}: no model"
        outcome = "passed" if self.verdict.passed else "; ".join(self.verdict.reasons)
        parts = f" and {len(self.others)} separate parts" if self.others else ""
        return f"{self.rung}: {len(self.model.names)} frames, {self.model.points:,} points{parts}: {outcome}"


def find_poses(frames: FrameSet, workspace: Path, settings: PoseSettings, progress: Progress) -> PoseReport:
    """Writes workspace/sparse and, last, workspace/sparse.json. Skips when they are there already.

    Raises InputError when no rung passes (STATIC_CAMERA, NO_OVERLAP, TOO_FEW_REGISTERED, POSES_UNRELIABLE), RunnerError
    or ResourceError when the child process fails, Interrupted.
    """
    marker, root, work = workspace / "sparse.json", workspace / "frames", workspace / "sfm"
    sizes = [(root / frame.image).stat().st_size for frame in frames.frames]
    made_from = fingerprint([frame.image for frame in frames.frames], sizes, settings)
    if (stored := read_marker(marker, made_from)) and (workspace / "sparse").is_dir():
        return pose_report_from_json(stored)
    marker.unlink(missing_ok=True)
    if read_marker(work / "started.json", made_from) is None:  # else features and matches found so far are kept
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        write_marker(work / "started.json", made_from, {"started": True})

    job = _Job(frames, root, work, settings, progress)
    attempts: list[Attempt] = []
    while (rung := next_rung(attempts, len(frames.frames), settings)) is not None:
        attempts.append(job.attempt(rung, len(attempts)))
    best = max(attempts, key=lambda attempt: (attempt.verdict.passed, len(attempt.model.names) if attempt.model else 0))
    if best.model is None or not best.verdict.passed:
        raise InputError(
            "; ".join(best.verdict.reasons), advice=best.verdict.advice, code=best.verdict.code, stage=STAGE
        )
    _keep(best.model.folder, workspace / "sparse")
    placed = set(best.model.names)
    report = PoseReport(
        images_total=len(frames.frames),
        images_registered=len(placed),
        points=best.model.points,
        mean_track_length=best.model.mean_track_length,
        mean_reprojection_error_px=best.model.mean_reprojection_error_px,
        health=best.model.health,
        rung=str(best.rung),
        attempts=tuple(map(str, attempts)),
        unregistered=tuple(frame.image for frame in frames.frames if frame.image not in placed),
        warnings=best.verdict.warnings,
    )
    write_marker(marker, made_from, asdict(report))
    shutil.rmtree(work)
    progress.report(STAGE, 1.0, f"{len(placed)} of {len(frames.frames)} frames placed")
    return report


def pose_report_from_json(value: dict[str, Any]) -> PoseReport:
    """Reads what `find_poses` wrote."""
    lists = {name: tuple(value[name]) for name in ("attempts", "unregistered", "warnings")}
    return PoseReport(**{**value, **lists, "health": Health(**value["health"])})


def next_rung(tried: Sequence[Attempt], frame_count: int, settings: PoseSettings) -> Rung | None:
    """Pure: what to try next, or None when something passed or nothing is left that could help."""
    all_pairs = frame_count <= settings.exhaustive_up_to
    first = Rung("exhaustive" if all_pairs else "sequential", "incremental", settings.features, settings.max_image_size)
    if not tried:
        return first
    last, done = tried[-1], {attempt.rung for attempt in tried}
    if last.verdict.passed:
        return None
    lens_bad = last.model is not None and lens_is_impossible(last.model.health)
    if last.verdict.code == Code.STATIC_CAMERA and not lens_bad:
        return None  # no method finds depth where there is no parallax
    exhaustive = replace(first, matching="exhaustive")
    affordable = exhaustive if frame_count <= 2 * settings.exhaustive_up_to else first
    stronger = replace(
        affordable, features=max(STRONG_FEATURES, settings.features),
        max_image_size=max(STRONG_IMAGE_SIZE, settings.max_image_size),
    )  # fmt: skip
    ladder = [affordable]  # weak joins hold with all pairs where neighbours in time fail
    if lens_bad:
        ladder.append(replace(affordable, mapper="global"))
    else:
        ladder += [stronger, replace(stronger, guided=True)]
    return next((rung for rung in ladder if rung not in done), None)


class _Job:
    """The scene, its settings and its working folder, for one attempt after another."""

    def __init__(self, frames: FrameSet, images: Path, work: Path, settings: PoseSettings, progress: Progress) -> None:
        self._frames, self._images, self._work = frames, images, work
        self._settings, self._progress = settings, progress
        self._names = [frame.image for frame in frames.frames]
        self._reached = 0.0  # fraction reported so far; a further rung does not go back

    def attempt(self, rung: Rung, number: int) -> Attempt:
        """Runs one rung and judges its models."""
        database = self._matched(rung)
        output = self._work / f"models{number}"
        shutil.rmtree(output, ignore_errors=True)
        limit_s = self._settings.max_runtime_s
        result = self._run(
            {"action": "reconstruct", "mapper": rung.mapper, "database": str(database), "images": str(self._images),
             "output": str(output), "max_runtime_s": limit_s},
            limit_s + GRACE_S, lambda placed: self._report(MATCHED, 1.0, placed, len(self._names), "frames placed"),
        )  # fmt: skip
        models = [_model(entry) for entry in result["models"]]
        if not models:
            reason = f"no camera pose was found for any of {len(self._names)} frames"
            verdict = Verdict(
                False, Code.TOO_FEW_REGISTERED, (reason,), "film a scene with texture, slower and in good light"
            )
            return Attempt(rung, None, verdict)
        judged = [(model, judge(model.health, self._counts(model))) for model in models]
        judged.sort(key=lambda pair: (pair[1].passed, len(pair[0].names), pair[0].points), reverse=True)
        return Attempt(rung, *judged[0], others=tuple(model for model, _ in judged[1:]))

    def _matched(self, rung: Rung) -> Path:
        """The database with the rung's features and matches; work that an earlier rung did is kept."""
        settings, names = self._settings, self._names
        plain = self._work / f"{rung.features}_{rung.max_image_size}" / "database.db"
        plain.parent.mkdir(exist_ok=True)
        count = self._run(
            {"action": "extract", "database": str(plain), "images": str(self._images), "names": names,
             "camera_model": settings.camera_model, "features": rung.features, "max_image_size": rung.max_image_size},
            PREPARE_LIMIT_S,
            lambda _: self._report(0.0, EXTRACTED, _rows(plain, "keypoints"), len(names), "frames have features"),
        )["images"]  # fmt: skip
        if count != len(names):  # COLMAP leaves out, without a word, pictures whose size differs in their folder
            raise RunnerError(
                f"{count} of {len(names)} frames are in the database", code=Code.BUG, stage=STAGE,
                advice="report the scene: the frames of one clip have different sizes or are unreadable",
            )  # fmt: skip
        database = plain
        if rung.guided:
            database = plain.with_name("guided.db")
            if not database.is_file():
                shutil.copyfile(plain, database)
                self._run({"action": "forget_matches", "database": str(database)}, PREPARE_LIMIT_S)
        expected = len(names) * (len(names) - 1) // 2
        if rung.matching == "sequential":
            thinned = min(len(names), settings.exhaustive_up_to // 2)
            expected = min(expected, 11 * len(names) + thinned**2 // 2)
        self._run(
            {"action": "match", "database": str(database), "names": names, "matching": rung.matching,
             "guided": rung.guided, "thinned_to": max(2, settings.exhaustive_up_to // 2)},
            PREPARE_LIMIT_S,
            lambda _: self._report(
                EXTRACTED, MATCHED, _rows(database, "two_view_geometries"), expected, "pairs matched"
            ),
        )  # fmt: skip
        return database

    def _run(self, request: dict[str, Any], limit_s: float, watch: Any = lambda _placed: None) -> dict[str, Any]:
        settings = self._settings
        common = {"threads": settings.threads or -1, "seed": settings.seed}
        return sfm_child.run({**common, **request}, self._work, self._progress, limit_s=limit_s, watch=watch)

    def _report(self, start: float, end: float, done: int, of: int, what: str) -> None:
        self._reached = max(self._reached, start + (end - start) * min(1.0, done / max(of, 1)))
        self._progress.report(STAGE, self._reached, f"{min(done, of)} of {of} {what}")

    def _counts(self, model: Model) -> Counts:
        placed, smaller = set(model.names), set(model.smaller_side)
        lost = []
        for clip in self._frames.clips:
            own = [frame.image for frame in self._frames.frames if frame.video == clip.name]
            if own and sum(name in placed for name in own) < LOST_BELOW * len(own):
                lost.append(clip.name)
        sides = tuple(
            describe_side(
                [
                    (frame.video, frame.timestamp_s)
                    for frame in self._frames.frames
                    if frame.image in placed and (frame.image in smaller) == inside
                ]
            )
            for inside in (True, False)
        )
        return Counts(
            len(self._names), len(placed), model.points, self._settings.min_registered_share,
            self._settings.min_points, tuple(lost), (sides[0], sides[1]),
        )  # fmt: skip


def _model(entry: dict[str, Any]) -> Model:
    return Model(
        Path(entry["folder"]), tuple(entry["names"]), entry["points"], entry["mean_track_length"],
        entry["mean_reprojection_error_px"], Health(**entry["health"]), tuple(entry["smaller_side"]),
    )  # fmt: skip


def _rows(database: Path, table: str) -> int:
    """How far COLMAP is, seen through a second, read-only connection; 0 while the table cannot be read."""
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, timeout=0.1)
        try:
            return int(connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return 0


def _keep(model: Path, target: Path) -> None:
    """Puts the chosen model in its place in one step."""
    part = target.with_name(f".{target.name}.part")
    for folder in (part, target):
        shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(model, part)
    part.rename(target)
