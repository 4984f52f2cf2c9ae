"""The last stages: from views with cameras to Gaussians and the files that hold them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

from runner.export.extras import EXTRAS
from runner.export.formats import EXPORTERS
from runner.export.loss import loss_of
from runner.export.view_colours import flatten
from runner.export.viewer.own import write_viewer
from runner.export.viewer.supersplat import write_supersplat
from runner.files import json_file
from runner.pipeline import first_look, training_time
from runner.pipeline.cameras import Posed
from runner.pipeline.scene_settings.budget import training_within
from runner.pipeline.stages import JobContext
from runner.postprocess.finish import finish
from runner.postprocess.floaters import CleanReport
from runner.postprocess.marker import find_scale
from runner.postprocess.place import Place, find_place, in_metres, with_marker
from runner.postprocess.positions import by_positions
from runner.postprocess.upright import Orientation
from runner.quality.evaluate import Evaluation, SplitScore, evaluate
from runner.quality.lpips import load_lpips
from runner.quality.refined_views import score_refined
from runner.quality.result_checks import check_result
from runner.quality.witness import Witness, doubts, examine
from runner.raster import rasterizer as make_rasterizer
from runner.raster.port import Rasterizer
from runner.report.pictures import write_comparisons, write_poster
from runner.scene.resize import resize_gaussians, resize_scene
from runner.scene.shots import shots_of
from runner.scene.stages import Stage
from runner.scene.views import TrainingScene
from runner.training.loop import Trained, train

EXPORTS = {Stage.PLY: ("ply",), Stage.SPLAT: ("splat",), Stage.SMALL: ("spz", "compressed.ply", "glb")}
"""The suffixes of each stage of exports, in order. See runner/export/formats.py."""


@dataclass(frozen=True)
class TrainedSplats:
    """Gaussians as training left them, and what draws them."""

    trained: Trained
    rasterizer: Rasterizer

    @property
    def summary(self) -> dict[str, Any]:
        return {"gaussians": self.trained.gaussians.count, "steps": self.trained.steps}


@dataclass(frozen=True)
class FinishedSplats:
    """The Gaussians that are exported, and how good they are."""

    posed: Posed
    trained: Trained  # with the finished Gaussians
    scene: TrainingScene  # with cameras in their world
    rasterizer: Rasterizer
    cleaning: CleanReport
    orientation: Orientation
    scores: Evaluation
    pictures: Mapping[str, str]  # of the report: file names by image
    witness: Witness
    place: Place
    refined: SplitScore | None = None  # the held-out views once more, each camera refined on its own picture
    doubts: tuple[str, ...] = ()  # sentences that say why the result may be wrong; not empty: it is suspect

    @property
    def summary(self) -> dict[str, Any]:
        removed = self.cleaning.before - self.cleaning.after
        return {
            "removed": removed,
            "upright": self.orientation.confidence,
            "psnr_heldout": self.scores.test.psnr,
            "witness": self.witness.to_json(),
            "doubts": self.doubts,
        }


@dataclass(frozen=True)
class Exported:
    """What one stage of exports wrote: per format its ExportReport, and what was measured on the file read back."""

    reports: dict[str, dict[str, Any]]

    @property
    def summary(self) -> dict[str, Any]:
        if len(self.reports) == 1:
            (report,) = self.reports.values()
            return report
        return {key: report["size_bytes"] for key, report in self.reports.items()}


def train_splats(context: JobContext, posed: Posed) -> TrainedSplats:
    """Raises the errors of `train`, and RunnerError(TRAINING_TIMED_OUT) where another attempt gets more time."""
    settings = context.settings
    rasterizer = make_rasterizer(settings.backend, settings.threads)
    look = first_look.writer(context, posed.scene, rasterizer)
    planned = training_within(settings.preset.train, settings.budget, settings.ends_at, settings.finish_s)
    trained = train(posed.scene, context, planned, rasterizer, save_s=settings.save_s, first_look=look)
    if settings.train_again and trained.stopped == "budget" and not trained.can_be_judged:
        raise training_time.out_of_time(trained, settings.preset.train)
    return TrainedSplats(trained, rasterizer)


def clean_up(context: JobContext, posed: Posed, splats: TrainedSplats) -> FinishedSplats:
    """Removes floaters, turns the scene upright where its coordinates are not the user's, scores it, draws pictures.

    Asks whether such a result can be right; last, the scene gets the size of metres where these are wanted and known.

    Raises RunnerError(TRAINING_DIVERGED) when nothing of it can be seen, Interrupted.
    """
    out, rasterizer = context.out, splats.rasterizer
    users_coordinates = bool(posed.poses.supplied and posed.poses.supplied["used"])
    scene = splats.trained.scene_of(posed.scene)
    positions = {frame.image: frame.gps for frame in posed.frames.frames if frame.gps is not None}
    kinds = {"films" if frame.photo is None else "photos" for frame in posed.frames.frames if frame.gps is not None}
    source = f"GPS of {' and '.join(sorted(kinds, reverse=True))}"
    altitudes = {frame.image: frame.altitude_m for frame in posed.frames.frames if frame.altitude_m is not None}
    fitting = by_positions(scene.views, positions, altitudes)
    finished = finish(
        splats.trained.gaussians, scene, context, rasterizer, out, rotate=not users_coordinates,
        told=fitting.up if fitting else None,
    )  # fmt: skip
    gaussians, scene = finished.gaussians, finished.scene
    place = find_place(scene.views, positions, finished.orientation.up_in_output, source, altitudes)
    if size_m := context.settings.marker_size_m:
        place = with_marker(place, find_scale(scene.views, size_m))
    size, orientation = 1.0, finished.orientation
    if context.settings.metric:
        in_files = in_metres(place, users_coordinates=users_coordinates)
        size, place = (place.metres_per_unit or 1.0) if in_files.in_metres else 1.0, in_files
        orientation = replace(orientation, size=size)
    told = {**orientation.to_json(), "scale": place.to_json(publish=context.settings.publish_geo)}
    json_file.write_json(out / "orientation.json", told)
    weights = context.settings.lpips
    scores = evaluate(gaussians, scene, rasterizer, load_lpips(weights, rasterizer.device) if weights else None)
    refined = score_refined(gaussians, scene, rasterizer) if splats.trained.cameras else None
    pictures = write_comparisons(gaussians, scene, rasterizer, scores.test, out)
    write_poster(gaussians, scene, rasterizer, out / "poster.jpg")
    trained = replace(splats.trained, gaussians=resize_gaussians(gaussians, size))
    films = [shot.names for shot in shots_of(posed.frames) if all(frame.photo is None for frame in shot.frames)]
    witness = examine(
        scene, scores, context.progress, Stage.CLEAN_UP, films, formed=trained.can_be_judged,
        right=() if fitting is None or users_coordinates else fitting.right,  # of supplied ones GPS may be the source
    )  # fmt: skip
    strange = check_result(gaussians, scene.views, Stage.CLEAN_UP)
    return FinishedSplats(
        posed, trained, resize_scene(scene, size), rasterizer, finished.cleaning, orientation, scores, pictures,
        witness, place, refined, (*doubts(witness), *strange),
    )  # fmt: skip


def export(context: JobContext, splats: FinishedSplats, suffixes: tuple[str, ...]) -> Exported:
    """Writes <name>.<suffix> for each that is wanted, reads it back and measures it; with .spz the page and the extras.

    Raises RunnerError when no Gaussian can be drawn, ResourceError when the disk is full.
    """
    gaussians, scene = splats.trained.gaussians, splats.scene
    reports = {}
    for suffix in (each for each in suffixes if each in context.settings.formats):
        exporter, path = EXPORTERS[suffix], context.out / f"{context.name}.{suffix}"
        written = gaussians
        if not exporter.view_dependent:
            written = flatten(gaussians, [scene.views[index] for index in scene.subset("train")])
        report = exporter.write(written, path)
        loss = loss_of(exporter.read(path), scene, splats.rasterizer, splats.scores.test.psnr)
        reports[suffix.replace(".", "_")] = {**asdict(report), **loss}
    if "spz" in suffixes:  # the page holds the same values, whether or not the file is wanted
        _write_page(context, splats)
        for file in context.settings.formats:
            if file in EXTRAS:
                EXTRAS[file](gaussians, scene, splats.rasterizer, context.out / file)
    return Exported(reports)


def _write_page(context: JobContext, splats: FinishedSplats) -> None:
    gaussians, views, path = splats.trained.gaussians, splats.scene.views, context.out / "viewer.html"
    poster = context.out / "poster.jpg"
    package, up = context.settings.supersplat, splats.orientation.up_in_output
    write = (
        partial(write_supersplat, package=package)
        if package
        else partial(write_viewer, up=up, metres_per_unit=splats.place.metres_per_unit)
    )
    write(
        gaussians, views, path, title=context.name, note=_note(splats), doubt=_doubt(splats),
        poster=poster if poster.is_file() else None,
    )  # fmt: skip


def _note(splats: FinishedSplats) -> str:
    """One line about the scene for the viewer page."""
    psnr = splats.scores.test.psnr
    quality = f", {psnr:.1f} dB on held-out frames" if psnr is not None else ""
    return f"{splats.trained.gaussians.count:,} Gaussians from {splats.posed.poses.images_registered} frames{quality}"


def _doubt(splats: FinishedSplats) -> str:
    """The banner of the viewer page over a suspect scene; "" for any other."""
    if not splats.doubts:
        return ""
    more = f" (and {len(splats.doubts) - 1} more)" if len(splats.doubts) > 1 else ""
    return f"This scene is doubtful: {splats.doubts[0].rstrip('.')}{more}. report.html says more."
