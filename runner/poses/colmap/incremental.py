"""COLMAP's incremental mapper, which adjusts all of a large model less often, and begins with other images.

COLMAP adjusts everything again whenever a model has grown by a tenth. With N images of one place each point is seen by
a share of them all, so one adjustment costs in the order of N^2, and eleven times the last one is spent on all of them.
A model of some images holds: what is added is placed against it and adjusted with its neighbours, and all of it once
it has grown by half. It ends when nothing gets better, and is done again where much changed by it. Measured:
docs/decisions/poses.md, 327 and 341.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable, Mapping

import pycolmap

from runner.poses.colmap.first_pair import FirstPairs, far_apart
from runner.poses.colmap.lenses import rigs
from runner.poses.colmap.requests import MapperRun

HOLDS = 30  # images of a model that grows as COLMAP lets it: what begins wrong is seen there
# Of a larger model:
LARGE = {
    "ba_global_frames_ratio": 1.5,  # times as many images as at the last adjustment of all of it
    "ba_global_points_ratio": 1.5,  # or points
    "ba_global_function_tolerance": 1e-6,  # of the squared error: a step that gains less is the last one
    "ba_global_max_refinement_change": 0.003,  # of the sightings joined or dropped: with fewer, not adjusted once more
}


class Adjustments:
    """When and how all of a model is adjusted while it grows: options of a mapper, changed while it runs."""

    def __init__(self, options: pycolmap.IncrementalPipelineOptions) -> None:
        self._options = options
        self._usual = {name: getattr(options, name) for name in LARGE}
        self.placed = 0  # images of the model that grows

    def begin(self) -> None:
        """Another model begins with two images."""
        self.placed = 2
        self._set(self._usual)

    def grow(self) -> None:
        """An image more."""
        self.placed += 1
        if self.placed == HOLDS:
            self._set(LARGE)

    def _set(self, values: Mapping[str, float]) -> None:
        for name, value in values.items():
            setattr(self._options, name, value)


def map_incrementally(
    run: MapperRun, options: pycolmap.IncrementalPipelineOptions, pair_placed: Callable[[], None],
    image_placed: Callable[[], None],
) -> dict[int, pycolmap.Reconstruction]:  # fmt: skip
    """Models by number. options: changed. The two are called for the first images of a model, and for each further one.

    It ends by the time limit of the options without a word.
    """
    options.image_path = run.images
    models, adjustments = pycolmap.ReconstructionManager(), Adjustments(options)
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
    return {number: models.get(number) for number in range(models.size())}
