"""The stages in order: videos -> frames -> poses -> views -> Gaussians -> files. What a job is, in one place.

Stages are imported when their turn comes: a job that fails on its videos never loads torch.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner import checkpoint, documents
from runner.export_ply import read_ply, write_ply
from runner.export_splat import read_splat, write_splat
from runner.export_viewer import write_viewer
from runner.job_settings import JobSettings
from runner.program import versions
from runner.progress import Progress, Report
from runner.publish import describe_file
from runner.scene import Clip, FrameSet, Gaussians, PoseReport, TrainingScene
from runner.stage_cache import StageCache
from scenejobs.errors import Code, InputError, SceneJobError

if TYPE_CHECKING:
    from runner.clean import CleanReport
    from runner.evaluate import Evaluation
    from runner.raster import Rasterizer
    from runner.train import Trained
    from runner.upright import Orientation

Reconstruct = Callable[[list[Clip], Path, Path, str, JobSettings, Progress], dict[str, Any]]

NOT_OUTPUTS = frozenset({"manifest.json", "error.json", "run.log"})
CHECKPOINT_S = 5.0  # between two writes of .checkpoint.json within a stage

log = logging.getLogger(__name__)


def choose(settings: JobSettings) -> Reconstruct:
    """The mock, when it was asked for by name, else the real thing."""
    if settings.backend == "mock":
        from runner.mock import reconstruct_mock

        return reconstruct_mock
    return reconstruct


def reconstruct(
    clips: list[Clip], workspace: Path, out: Path, name: str, settings: JobSettings, progress: Progress
) -> dict[str, Any]:
    """Runs every stage and writes <name>.ply, <name>.splat, the documents and, last, manifest.json to `out`.

    The same workspace again resumes: each stage finds what it has finished. Returns the metrics.
    Raises the errors of the stages, each with its stage filled in.
    """
    stages = Stages(out, settings, progress)
    preset = settings.preset
    cache = StageCache(settings.cache, preset.name) if settings.cache else None

    with stages.stage("validation") as left:
        from runner.supplied import match, read_supplied
        from runner.supplied_files import split

        clips, files = split(clips)
        require_clips(clips)
        supplied = read_supplied(files)
        left.update(poses=supplied.source if supplied else "")
    with stages.stage("frame_extraction") as left:
        from runner.frames import extract_frames

        with stages.noticing(workspace / "frames.json"):
            frames = extract_frames(
                clips, workspace, preset.frames, stages.progress,
                cache=cache, supplied=supplied, poses=preset.poses,
            )  # fmt: skip
        left.update(frames=len(frames.frames), clips=len(frames.clips), refused=len(frames.refused))
    with stages.stage("colmap_reconstruction") as left:
        from runner.poses import find_poses
        from runner.views import build_views

        with stages.noticing(workspace / "sparse.json"):
            given = match(supplied, frames) if supplied else None
            poses = find_poses(frames, workspace, preset.poses, stages.progress, cache, given)
        scene = build_views(frames, workspace, preset.train.long_side, stages.progress)
        stages.reused = dict(cache.used) if cache else {}
        left.update(images=poses.images_registered, points=poses.points, rung=poses.rung, reused=stages.reused)
    with stages.stage("training") as left:
        from runner.raster import rasterizer as make_rasterizer
        from runner.train import train

        rasterizer = make_rasterizer(settings.backend, settings.threads)
        trained = train(
            scene, preset.train, rasterizer, stages.progress, workspace / "training", save_s=settings.save_s
        )
        stages.resumed_at = trained.resumed_at
        left.update(gaussians=trained.gaussians.count, steps=trained.steps)
    with stages.stage("clean_up") as left:
        from runner.evaluate import evaluate, write_comparisons
        from runner.finish import finish, write_poster
        from runner.lpips import load_lpips

        own_world = bool(poses.supplied and poses.supplied["used"])  # the user's: it stays where it is
        finished = finish(trained.gaussians, scene, rasterizer, stages.progress, out, turn=not own_world)
        scene, trained = finished.scene, replace(trained, gaussians=finished.gaussians)
        lpips = load_lpips(settings.lpips, rasterizer.device) if settings.lpips else None
        scores = evaluate(trained.gaussians, scene, rasterizer, lpips)
        pictures = write_comparisons(trained.gaussians, scene, rasterizer, scores.test, out)
        write_poster(trained.gaussians, scene, rasterizer, out / "poster.jpg")
        removed = finished.cleaning.before - finished.cleaning.after
        left.update(removed=removed, upright=finished.orientation.confidence, psnr_heldout=scores.test.psnr)
    drawing = _Drawing(scene, rasterizer, scores)
    exports: dict[str, dict[str, Any]] = {}
    with stages.stage("ply_export") as left:
        ply = out / f"{name}.ply"
        exports["ply"] = {**asdict(write_ply(trained.gaussians, ply)), **drawing.loss_of(read_ply(ply))}
        left.update(exports["ply"])
    with stages.stage("splat_export") as left:
        from runner.flatten import flatten

        splat = out / f"{name}.splat"
        flat = flatten(trained.gaussians, [scene.views[index] for index in scene.subset("train")])
        exports["splat"] = {**asdict(write_splat(flat, splat)), **drawing.loss_of(read_splat(splat))}
        write_viewer(
            splat, scene.views, out / "viewer.html", title=name, note=_note(poses, trained, scores),
            up=finished.orientation.up_in_output,
        )  # fmt: skip
        left.update(exports["splat"])
    with stages.stage("small_exports") as left:
        from runner.export_compressed import read_compressed, write_compressed
        from runner.export_spz import read_spz, write_spz

        spz, compressed = out / f"{name}.spz", out / f"{name}.compressed.ply"
        exports["spz"] = {**asdict(write_spz(trained.gaussians, spz)), **drawing.loss_of(read_spz(spz))}
        written = write_compressed(trained.gaussians, compressed)
        exports["compressed_ply"] = {**asdict(written), **drawing.loss_of(read_compressed(compressed))}
        left.update({key: exports[key]["size_bytes"] for key in ("spz", "compressed_ply")})
    warnings = (*_smaller(settings), *settings.warnings, *_clip_warnings(frames))
    training = _training_summary(settings, trained, scores, pictures, warnings, finished.cleaning, finished.orientation)
    by_clip, lenses = intrinsics(workspace, frames)
    return stages.write_documents(name, frames, poses, scene, training, exports, by_clip, lenses)


def require_clips(clips: list[Clip]) -> None:
    """Raises InputError when there is nothing to look at."""
    if not clips:
        advice = "upload at least one video, or a set of photos"
        raise InputError("the scene holds no video and no photo", code=Code.NO_VIDEO, advice=advice)
    for clip in clips:
        if not clip.path.is_file():
            raise InputError(f"{clip.name} is missing", code=Code.INPUT_GONE, advice="upload it again")


@dataclass
class Stages:
    """What all stages share: their times, the checkpoint file, and the documents at the end."""

    out: Path
    settings: JobSettings
    outer: Progress
    mock: bool = False
    seconds: dict[str, float] = field(default_factory=dict)  # by stage, wall clock
    written_at: float = 0.0  # monotonic, of the checkpoint file
    found: list[str] = field(default_factory=list)  # what earlier attempts had finished: "frames", "sparse"
    resumed_at: tuple[int, ...] = ()  # the steps at which the training of earlier attempts was continued
    reused: dict[str, int] = field(default_factory=dict)  # what was taken from the cache: "poses", "matches of pairs"

    def __post_init__(self) -> None:
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "manifest.json").unlink(missing_ok=True)  # of an earlier run: what it names is about to change
        self.checkpoint = checkpoint.begin(self.settings.job_id, datetime.now(UTC))
        self.progress = Progress(self._emit, self.outer.stop_requested)

    @contextmanager
    def stage(self, name: str) -> Iterator[dict[str, Any]]:
        """Measures the stage, names it in its errors, and records in the checkpoint what it puts into the dict."""
        begun = time.monotonic()
        left: dict[str, Any] = {}
        self.progress.check(name)
        self.progress.report(name, 0.0)
        try:
            yield left
        except SceneJobError as exc:
            exc.stage = exc.stage or name
            raise
        self.seconds[name] = round(time.monotonic() - begun, 3)
        log.info("%s took %.1f s: %s", name, self.seconds[name], left)
        results = {**left, "seconds": self.seconds[name]}
        self.checkpoint = self.checkpoint.left(name, documents.plain(results), datetime.now(UTC))
        self._write_checkpoint()
        self.progress.report(name, 1.0)

    @contextmanager
    def noticing(self, marker: Path) -> Iterator[None]:
        """Around a stage that skips what is done: it was found, not made, when its marker stays the same file."""
        before = marker.stat() if marker.is_file() else None
        yield
        after = marker.stat() if marker.is_file() else None
        if before and after and (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
            self.found.append(marker.stem)

    def write_documents(
        self,
        name: str,
        frames: FrameSet,
        poses: PoseReport,
        scene: TrainingScene,
        training: documents.TrainingSummary,
        exports: Mapping[str, Mapping[str, Any]],
        intrinsics: tuple[documents.CameraIntrinsics, ...],
        lenses: Mapping[str, Mapping[str, Any]] | None = None,
    ) -> dict[str, Any]:
        """metrics.json, cameras.json, report.html, the last checkpoint, then manifest.json with every file's hash."""
        from runner.report import write_report

        now = datetime.now(UTC)
        run = documents.RunInfo(
            job_id=self.settings.job_id,
            processed_at=now,
            preset=self.settings.preset.name,
            seeds={
                "colmap_reconstruction": self.settings.preset.poses.seed,
                "training": self.settings.preset.train.seed,
            },
            versions=versions(),
            stage_seconds=self.seconds,
            mock=self.mock,
            found=tuple(self.found),
            resumed_at=self.resumed_at,
            reused=self.reused,
        )
        metrics: dict[str, Any] = documents.plain(documents.metrics(run, poses, training, exports))
        documents.write_json(self.out / "metrics.json", metrics)
        documents.write_json(self.out / "cameras.json", documents.cameras(scene.views, frames.frames, lenses))
        write_report(self.out, name, metrics, frames, poses, documents.utc(now))
        self.checkpoint = self.checkpoint.completed(now)
        self._write_checkpoint()
        outputs = described(self.out)
        manifest = documents.manifest(run, frames, poses, intrinsics, training, outputs)
        documents.write_json(self.out / "manifest.json", manifest)
        return metrics

    def _emit(self, report: Report) -> None:
        self.outer.emit(report)
        if time.monotonic() - self.written_at > CHECKPOINT_S:
            self.checkpoint = self.checkpoint.reported(report, datetime.now(UTC))
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        checkpoint.write_checkpoint(self.checkpoint, self.out)
        self.written_at = time.monotonic()


@dataclass(frozen=True)
class _Drawing:
    """For measuring what an exported file lost: it is read back and drawn like the trained scene was."""

    scene: TrainingScene
    rasterizer: Rasterizer
    scores: Evaluation

    def loss_of(self, gaussians: Gaussians) -> dict[str, float | None]:
        """`psnr_heldout` of the file in dB, and `db_lost` against the trained scene; None without held-out views."""
        from runner import optim
        from runner.evaluate import mean_psnr

        params = optim.parameters(gaussians, self.rasterizer.device)
        psnr = mean_psnr(params, self.scene, self.rasterizer, "test", gaussians.sh_degree)
        trained = self.scores.test.psnr
        lost = None if psnr is None or trained is None else trained - psnr
        return {"psnr_heldout": psnr, "db_lost": lost}


def described(folder: Path) -> tuple[documents.OutputFile, ...]:
    """Every finished file of the folder but the manifest, with size and hash."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.endswith(".part"))
    described = [describe_file(folder / name, name) for name in names if name not in NOT_OUTPUTS]
    return tuple(documents.OutputFile(file.name, file.size_bytes, file.sha256) for file in described)


def _smaller(settings: JobSettings) -> tuple[str, ...]:
    return (f"made with {settings.smaller}: an earlier attempt ran out of memory",) if settings.smaller else ()


def _clip_warnings(frames: FrameSet) -> tuple[str, ...]:
    """What the user should know about single clips: a result may hide that one of them is not in it."""
    left_out = [f"{clip.name} is not used: {clip.failure.cause}" for clip in frames.refused]
    return (
        *left_out,
        *frames.warnings,
        *(f"{clip.name}: {warning}" for clip in frames.clips for warning in clip.warnings),
    )


def _training_summary(
    settings: JobSettings,
    trained: Trained,
    scores: Evaluation,
    pictures: Mapping[str, str],
    warnings: tuple[str, ...],
    cleaning: CleanReport,
    orientation: Orientation,
) -> documents.TrainingSummary:
    return documents.TrainingSummary(
        backend=settings.backend,
        n_gaussians=trained.gaussians.count,
        steps=trained.steps,
        psnr_heldout=scores.test.psnr,
        ssim_heldout=scores.test.ssim,
        psnr_train=scores.train.psnr,
        psnr_heldout_corrected=scores.test.psnr_corrected,
        lpips_heldout=scores.test.lpips,
        history=tuple(asdict(measurement) for measurement in trained.history),
        details={
            "loss": trained.history[-1].loss if trained.history else None,
            "stopped": trained.stopped,
            "wall_s": trained.wall_s,
            "rollbacks": trained.rollbacks,
            "ssim_train": scores.train.ssim,
            "lpips_train": scores.train.lpips,
            "psnr_train_exposure_corrected": scores.train.psnr_corrected,
            "gap_db": scores.gap_db,
            "exposure": {
                "spread": trained.exposure_spread,
                "contradiction": trained.exposure_contradiction,
                "compensated": trained.exposure_compensated,
                "correction": "a gain and a bias per channel, fitted to each scored picture itself",
            },
            "settings": asdict(settings.preset.train),
            "worst_views": [{**asdict(view), "picture": pictures[view.image]} for view in scores.test.worst()],
        },
        warnings=warnings,
        cleaning=cleaning.to_json(),
        orientation=orientation.to_json(),
    )


def intrinsics(
    workspace: Path, frames: FrameSet
) -> tuple[tuple[documents.CameraIntrinsics, ...], dict[str, dict[str, Any]]]:
    """The cameras of the sparse model with their distortion: one per clip that has registered frames; by image."""
    import pycolmap

    model = pycolmap.Reconstruction(workspace / "sparse")
    folders = {clip.folder: clip.name for clip in frames.clips}
    found: dict[str, documents.CameraIntrinsics] = {}
    lenses: dict[str, dict[str, Any]] = {}
    for image in model.images.values():
        lens = model.cameras[image.camera_id]
        lenses[image.name] = {
            "model": lens.model.name, "width": lens.width, "height": lens.height, "params": list(lens.params),
        }  # fmt: skip
        video = folders.get(image.name.split("/")[0])
        if video is None or video in found:
            continue
        found[video] = documents.CameraIntrinsics.from_colmap(
            video, lens.model.name, lens.width, lens.height, list(lens.params)
        )
    return tuple(found[clip.name] for clip in frames.clips if clip.name in found), lenses


def _note(poses: PoseReport, trained: Trained, scores: Evaluation) -> str:
    quality = f", {scores.test.psnr:.1f} dB on held-out frames" if scores.test.psnr is not None else ""
    return f"{trained.gaussians.count:,} Gaussians from {poses.images_registered} frames{quality}"
