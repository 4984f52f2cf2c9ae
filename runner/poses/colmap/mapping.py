"""Models from matches, and what is done to finished models, in the COLMAP process."""

from __future__ import annotations

import time
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import pycolmap

from runner.poses.colmap.describe import centres, is_finite, written
from runner.poses.colmap.explained import Matches
from runner.poses.colmap.incremental import map_incrementally
from runner.poses.colmap.left_out import with_left_out
from runner.poses.colmap.lenses import fisheye, rigs
from runner.poses.colmap.lenses.zoom import zoomed
from runner.poses.colmap.requests import Centres, Cut, FindCentres, MapperRun, Model, Models, Reconstruct, Rescale, Step
from runner.poses.colmap.rescale import rescaled


def reconstruct(request: Reconstruct) -> Models:
    """Camera poses and points. Every model found is written to its own folder and measured."""
    run, output = request.run, Path(request.run.output)
    output.mkdir(parents=True)
    was_cut = False
    if request.mapper == "global":
        # Without view graph calibration: it took planar pairs at their word and broke three of five tried scenes.
        options = pycolmap.GlobalPipelineOptions(random_seed=request.seed, num_threads=run.threads)
        if rigs.known_cameras(run.database):
            options.mapper.refine_sensor_from_rig = False
            rigs.hold_still(options.mapper.bundle_adjustment)
        models = pycolmap.global_mapping(run.database, run.images, str(output), options)
        matches = Matches(run.database)
    else:
        models, matches, was_cut = _incrementally(run, request.seed, output)
    found = []
    for number, model in models.items():
        if model.num_reg_images() < 2 or model.num_points3D() == 0:
            continue
        contradicted = () if rigs.has_rigs(model) else matches.drop_contradicted(model)
        if model.num_reg_images() < 2:
            continue
        if was_cut or contradicted:
            _adjust(model)
        zoom = None if rigs.has_rigs(model) else zoomed(model)
        model, spread = (zoom.model, zoom.spread) if zoom else (model, 1.0)
        found.append(written(model, output / f"model{number}", spread))
    return Models(models=tuple(filter(is_finite, found)), cut=was_cut)


def _incrementally(run: MapperRun, seed: int, output: Path) -> tuple[dict[int, pycolmap.Reconstruction], Matches, bool]:
    """Models of the incremental mapper, the matches they are made of, and whether its time limit ended the look.

    It ends by its clock without a word, and without the last adjustment.
    """
    end = time.monotonic() + run.max_runtime_s
    models = _incremental(run, seed)
    was_cut = time.monotonic() >= end
    if not was_cut and not run.fixed_lens:
        models, run, was_cut = _with_fisheye(run, seed, models, end - time.monotonic())
    matches, left_s = Matches(run.database), end - time.monotonic()
    if not was_cut and left_s >= 1 and not rigs.known_cameras(run.database):
        options = mapper_options(msgspec.structs.replace(run, max_runtime_s=int(left_s)), seed)
        models = with_left_out(models, options, run, matches, output / "left_out")
    return models, matches, was_cut


def _incremental(run: MapperRun, seed: int) -> dict[int, pycolmap.Reconstruction]:
    return map_incrementally(run, mapper_options(run, seed), counter(2), counter(1))


def _with_fisheye(
    run: MapperRun, seed: int, usual: dict[int, pycolmap.Reconstruction], left_s: float
) -> tuple[dict[int, pycolmap.Reconstruction], MapperRun, bool]:
    """The same models, or where the pictures fit a fisheye better than the usual lens, others with that; how they were
    made; and whether the time limit ended the look for these."""
    if not fisheye.may_be_fisheye(list(usual.values()), run.database):
        return usual, run, False
    database = fisheye.as_fisheye(Path(run.database), run.threads, seed)
    again = msgspec.structs.replace(run, database=str(database), max_runtime_s=max(1, int(left_s)))
    begun = time.monotonic()
    found = _incremental(again, seed)
    was_cut = time.monotonic() - begun >= again.max_runtime_s
    one, other = (max(models.values(), key=_size, default=None) for models in (found, usual))
    better = one is not None and fisheye.is_better(one, other)
    return (found, again, was_cut) if better else (usual, run, was_cut)


def _size(model: pycolmap.Reconstruction) -> int:
    return int(model.num_reg_images())


def mapper_options(run: MapperRun, seed: int) -> pycolmap.IncrementalPipelineOptions:
    """Of the incremental mapper."""
    options = pycolmap.IncrementalPipelineOptions(
        random_seed=seed, num_threads=run.threads, max_runtime_seconds=run.max_runtime_s
    )
    # Without this range a forward flight collapsed to a focal length of 0.18 of the width; no phone has such a lens.
    wide = fisheye.holds_fisheye(run.database)
    for part in (options, options.mapper, options.triangulation):
        part.min_focal_length_ratio, part.max_focal_length_ratio = 0.4, 3.0
        if wide:
            part.min_focal_length_ratio = fisheye.SHORTEST
    options.ba_refine_focal_length = not run.fixed_lens
    if known := rigs.known_cameras(run.database):
        options.constant_cameras = options.mapper.constant_cameras = known
        options.ba_refine_sensor_from_rig = False
    return options


def cut(request: Cut) -> Model:
    """A model without some of its images, adjusted anew: what lies beyond a wrong link had bent it."""
    model = pycolmap.Reconstruction(request.model)
    dropped = set(request.drop)
    for frame in {image.frame_id for image in model.images.values() if image.has_pose and image.name in dropped}:
        model.deregister_frame(frame)
    _adjust(model)
    return written(model, Path(request.output))


def _adjust(model: pycolmap.Reconstruction) -> None:
    """All of it, with its points."""
    options = pycolmap.BundleAdjustmentOptions(refine_principal_point=False)
    pycolmap.bundle_adjustment(model, rigs.hold_still(options) if rigs.has_rigs(model) else options)


def rescale(request: Rescale) -> Model:
    """Known poses for images of another size, or for fewer of them."""
    return written(rescaled(pycolmap.Reconstruction(request.model), request.images), Path(request.output))


def find_centres(request: FindCentres) -> Centres:
    """Where the cameras of models are, by image name."""
    return Centres(centres=tuple(centres(pycolmap.Reconstruction(folder)) for folder in request.models))


def counter(step: int) -> Callable[[], None]:
    """Reports progress on standard output: each call, so many images more."""
    line = msgspec.json.encode(Step(placed=step)).decode()

    def count() -> None:
        print(line, flush=True)

    return count
