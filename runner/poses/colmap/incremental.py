"""COLMAP's incremental mapper, whose large models are adjusted as a whole here, and begin with other images.

COLMAP adjusts everything again whenever a model has grown by a tenth. With N images of one place each point is seen by
a share of them all, so one adjustment costs in the order of N^2, and eleven times the last one is spent on all of them.
A model of some images holds: what is added is placed against it and adjusted with its neighbours, and all of it once
it has grown by half, by some of the sightings. All sightings are used at the end, which begins where those led and so
takes a few steps. Measured: docs/decisions/poses.md, 327, 341 and 343.
"""

from __future__ import annotations

import time
import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable, Mapping

import pycolmap

from runner.poses.colmap.first_pair import FirstPairs, far_apart
from runner.poses.colmap.lenses import rigs
from runner.poses.colmap.requests import MapperRun
from runner.poses.colmap.thinned import NEAR, adjust_thinned

HOLDS = 30  # images of a model that grows as COLMAP lets it: what begins wrong is seen there
GROWN = 1.5  # times as many images or points as at the last adjustment of all of a larger model: another one is due
NEVER = 2**30
# Of a larger model:
LARGE = {
    "ba_global_frames_ratio": float(NEVER),  # COLMAP adjusts all of it neither while it grows
    "ba_global_points_ratio": float(NEVER),
    "ba_global_frames_freq": NEVER,
    "ba_global_points_freq": NEVER,
    "ba_global_max_refinements": 0,  # nor at its end
    "ba_global_function_tolerance": 1e-6,  # of the squared error: a step that gains less is the last one
}
LAST_ROUNDS = 5  # adjustments of all with all sightings, at most
LAST_STEPS = 2  # of each; the first one of them nearly gets there
LAST_CHANGE = 0.003  # of the sightings joined or dropped: with fewer, it is not adjusted once more


class Adjustments:
    """When and how all of a model is adjusted while it grows: options of a mapper, changed while it runs.

    models: those of the mapper; the last one is the one that grows.
    """

    def __init__(self, options: pycolmap.IncrementalPipelineOptions, models: pycolmap.ReconstructionManager) -> None:
        self._options, self._models = options, models
        self._usual = {name: getattr(options, name) for name in LARGE}
        self._completes = options.triangulation.complete_max_transitivity
        self._images = self._points = 0  # of the model when all of it was adjusted
        self.placed = 0  # images of the model that grows
        self.large = set[int]()  # numbers of the models that are not adjusted at their end

    def begin(self) -> None:
        """Another model begins with two images."""
        self.placed = 2
        self.large.discard(self._number())
        self.as_usual()

    def grow(self) -> None:
        """An image more."""
        self.placed += 1
        if self.placed <= HOLDS:
            return
        model = self._models.get(self._number())
        if self.placed == HOLDS + 1:
            self.large.add(self._number())
            self._set(LARGE)
            # Sightings that were missed are looked for at the end: for each image it means all those of all its points.
            self._options.triangulation.complete_max_transitivity = 0
        elif self.placed >= GROWN * self._images or model.num_points3D() >= GROWN * self._points:
            thinned(model, self._options)
        else:
            return
        self._images, self._points = self.placed, model.num_points3D()

    def as_usual(self) -> None:
        """The options are what they were."""
        self._set(self._usual)
        self._options.triangulation.complete_max_transitivity = self._completes

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            setattr(self._options, name, value)

    def _number(self) -> int:
        return int(self._models.size()) - 1


def thinned(model: pycolmap.Reconstruction, options: pycolmap.IncrementalPipelineOptions) -> None:
    """All of it adjusted by some of its sightings."""
    adjust_thinned(model, options.get_global_bundle_adjustment(), options.mapper.constant_cameras)


def finish(
    model: pycolmap.Reconstruction, options: pycolmap.IncrementalPipelineOptions, cache: pycolmap.DatabaseCache
) -> None:
    """What COLMAP does at the end of a model, but by some sightings first."""
    options.ba_global_function_tolerance = LARGE["ba_global_function_tolerance"]
    mapper, triangulation, limits = pycolmap.IncrementalMapper(cache), options.get_triangulation(), options.get_mapper()
    mapper.begin_reconstruction(model)
    mapper.complete_and_merge_tracks(triangulation)
    mapper.retriangulate(triangulation)
    thinned(model, options)
    mapper.filter_points(limits)
    adjustment = options.get_global_bundle_adjustment()
    adjustment.ceres.solver_options.max_num_iterations = LAST_STEPS
    adjustment.ceres.solver_options.initial_trust_region_radius = NEAR
    mapper.iterative_global_refinement(LAST_ROUNDS, LAST_CHANGE, limits, adjustment, triangulation)
    mapper.end_reconstruction(discard=False)


def map_incrementally(
    run: MapperRun, options: pycolmap.IncrementalPipelineOptions, pair_placed: Callable[[], None],
    image_placed: Callable[[], None],
) -> dict[int, pycolmap.Reconstruction]:  # fmt: skip
    """Models by number. options: changed. The two are called for the first images of a model, and for each further one.

    It ends by the time limit of the options without a word.
    """
    options.image_path = run.images
    end = time.monotonic() + options.max_runtime_seconds
    models = pycolmap.ReconstructionManager()
    adjustments = Adjustments(options, models)
    event = pycolmap.IncrementalPipelineCallback
    with pycolmap.Database.open(run.database) as database:
        pipeline = pycolmap.IncrementalPipeline(options, database, models)
        # Images of a rig that were taken together are no pair to begin with.
        large = database.num_images() > HOLDS and not rigs.known_cameras(run.database)
        pairs = FirstPairs(options, far_apart(pipeline, database) if large else [])
        for when, calls in (
            (event.INITIAL_IMAGE_PAIR_REG_CALLBACK, (adjustments.begin, pairs.begun, pair_placed)),
            (event.NEXT_IMAGE_REG_CALLBACK, (adjustments.grow, image_placed)),
            (event.LAST_IMAGE_REG_CALLBACK, (lambda: pairs.ended(adjustments.placed),)),
        ):
            for call in calls:
                pipeline.add_callback(int(when), call)
        pipeline.run()
        found = {number: models.get(number) for number in range(models.size())}
        adjustments.as_usual()
        if time.monotonic() < end:
            for number in adjustments.large & found.keys():
                finish(found[number], options, pipeline.database_cache)
    return found
