"""The stages in order: videos -> frames -> poses -> views -> Gaussians -> files. What a job is, in one place.

Stages are imported when their turn comes: a job that fails on its videos never loads torch.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.cache.store import StageCache
from runner.context import StageContext
from runner.export.ply import read_ply, write_ply
from runner.export.splat import read_splat, write_splat
from runner.export.viewer import write_viewer
from runner.pipeline.settings import JobSettings
from runner.scene.frames import Clip
from runner.scene.progress import Progress

if TYPE_CHECKING:
    pass
from runner.export.measure import _Drawing
from runner.pipeline.stages import Stages, require_clips
from runner.pipeline.summary import clip_warnings, note, smaller, training_summary
from runner.poses.colmap.intrinsics import intrinsics

log = logging.getLogger(__name__)


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
        from runner.poses.supplied.match import match
        from runner.poses.supplied.read import read_supplied
        from runner.scene.pose_files import split

        clips, files = split(clips)
        require_clips(clips)
        supplied = read_supplied(files)
        left.update(poses=supplied.source if supplied else "")
    with stages.stage("frame_extraction") as left:
        from runner.media.extract import extract_frames
        from runner.pipeline.frame_preferences import FramesWithPoses

        with stages.noticing(workspace / "frames.json"):
            context = StageContext(workspace, stages.progress, cache)
            preference = FramesWithPoses(clips, preset.frames, preset.poses, cache, supplied)
            frames = extract_frames(clips, context, preset.frames, preference)
        left.update(frames=len(frames.frames), clips=len(frames.clips), refused=len(frames.refused))
    with stages.stage("colmap_reconstruction") as left:
        from runner.dataset.build import build_views
        from runner.poses.find import find_poses

        with stages.noticing(workspace / "sparse.json"):
            given = match(supplied, frames) if supplied else None
            poses = find_poses(frames, workspace, preset.poses, stages.progress, cache, given)
        scene = build_views(frames, workspace, preset.train.long_side, stages.progress)
        stages.reused = dict(cache.used) if cache else {}
        left.update(images=poses.images_registered, points=poses.points, rung=poses.rung, reused=stages.reused)
    with stages.stage("training") as left:
        from runner.raster import rasterizer as make_rasterizer
        from runner.training.loop import train

        rasterizer = make_rasterizer(settings.backend, settings.threads)
        trained = train(scene, context, preset.train, rasterizer, save_s=settings.save_s)
        stages.resumed_at = trained.resumed_at
        left.update(gaussians=trained.gaussians.count, steps=trained.steps)
    with stages.stage("clean_up") as left:
        from runner.postprocess.finish import finish
        from runner.quality.evaluate import evaluate
        from runner.quality.lpips import load_lpips
        from runner.report.pictures import write_comparisons, write_poster

        own_world = bool(poses.supplied and poses.supplied["used"])  # the user's: it stays where it is
        finished = finish(trained.gaussians, scene, context, rasterizer, out, rotate=not own_world)
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
        from runner.export.view_colours import flatten

        splat = out / f"{name}.splat"
        flat = flatten(trained.gaussians, [scene.views[index] for index in scene.subset("train")])
        exports["splat"] = {**asdict(write_splat(flat, splat)), **drawing.loss_of(read_splat(splat))}
        write_viewer(
            splat, scene.views, out / "viewer.html", title=name, note=note(poses, trained, scores),
            up=finished.orientation.up_in_output,
        )  # fmt: skip
        left.update(exports["splat"])
    with stages.stage("small_exports") as left:
        from runner.export.compressed_ply import read_compressed, write_compressed
        from runner.export.spz import read_spz, write_spz

        spz, compressed = out / f"{name}.spz", out / f"{name}.compressed.ply"
        exports["spz"] = {**asdict(write_spz(trained.gaussians, spz)), **drawing.loss_of(read_spz(spz))}
        written = write_compressed(trained.gaussians, compressed)
        exports["compressed_ply"] = {**asdict(written), **drawing.loss_of(read_compressed(compressed))}
        left.update({key: exports[key]["size_bytes"] for key in ("spz", "compressed_ply")})
    warnings = (*smaller(settings), *settings.warnings, *clip_warnings(frames))
    training = training_summary(settings, trained, scores, pictures, warnings, finished.cleaning, finished.orientation)
    by_clip, lenses = intrinsics(workspace, frames)
    return stages.write_documents(name, frames, poses, scene, training, exports, by_clip, lenses)
