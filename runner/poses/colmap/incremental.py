"""COLMAP's incremental mapper, which adjusts all of a large model less often.

COLMAP adjusts everything again whenever a model has grown by a tenth. With N images of one place each point is seen by
a share of them all, so one adjustment costs in the order of N^2, and eleven times the last one is spent on all of them.
A model of some images holds: what is added is placed against it and adjusted with its neighbours, and all of it once
it has grown by half. Measured: docs/decisions/poses.md, 327.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from collections.abc import Callable

import pycolmap

from runner.poses.colmap.requests import MapperRun

HOLDS = 30  # images of a model that grows as COLMAP lets it: what begins wrong is seen there
GROWN = 1.5  # times as many images or points of a larger model as at the last adjustment of all of it


class Adjustments:
    """When all of a model is adjusted while it grows: options of a mapper, changed while it runs."""

    def __init__(self, options: pycolmap.IncrementalPipelineOptions) -> None:
        self._options = options
        self._usual = options.ba_global_frames_ratio, options.ba_global_points_ratio
        self._placed = 0

    def begin(self) -> None:
        """Another model begins with two images."""
        self._placed = 2
        self._options.ba_global_frames_ratio, self._options.ba_global_points_ratio = self._usual

    def grow(self) -> None:
        """An image more."""
        self._placed += 1
        if self._placed == HOLDS:
            self._options.ba_global_frames_ratio = self._options.ba_global_points_ratio = GROWN


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
        for when, calls in (
            (event.INITIAL_IMAGE_PAIR_REG_CALLBACK, (adjustments.begin, pair_placed)),
            (event.NEXT_IMAGE_REG_CALLBACK, (adjustments.grow, image_placed)),
        ):
            for call in calls:
                pipeline.add_callback(int(when), call)
        pipeline.run()
    return {number: models.get(number) for number in range(models.size())}
