"""Which two images a large model begins with.

COLMAP takes the first pair, of those with most matches, whose rays meet at 16 degrees by its own estimate. The more
frames a film has, the nearer these are to each other, and the estimate of a near pair is noise: it tries hundreds,
and one that passes by chance begins a model that no third image joins. The pairs that were compared to see whether
the camera moved are far apart at any number of frames. So what moved far and still has many matches is tried first.
Measured: docs/decisions/poses.md, 341.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib

import numpy as np
import pycolmap

LEAST_ANGLE = 12.0  # degrees between the rays of the points; where the camera turned it is less, however far they move
TRIED = 30  # pairs that may turn out to be none to begin with
KEPT = 3  # of those that are: a model of a flat wall may lose its focal length with the third image

Pair = tuple[int, int]  # numbers of images


class FirstPairs:
    """What a mapper begins its models with: options of it, changed while it runs."""

    def __init__(self, options: pycolmap.IncrementalPipelineOptions, pairs: list[Pair]) -> None:
        self._options = options
        self._left = pairs
        self._offer()

    def begun(self) -> None:
        """A model has begun. A further one would be of other images, and the mapper looks for its pair itself."""
        self._options.init_image_id1 = self._options.init_image_id2 = -1

    def ended(self, images: int) -> None:
        """A model of so many images is as large as it gets: one that did not grow was begun with the wrong pair."""
        if images < self._options.min_model_size:
            self._offer()

    def _offer(self) -> None:
        options = self._options
        options.init_image_id1, options.init_image_id2 = self._left.pop(0) if self._left else (-1, -1)


def far_apart(pipeline: pycolmap.IncrementalPipeline, database: pycolmap.Database) -> list[Pair]:
    """Pairs that a mapper can begin with, the best one first. Its least angle is lowered where there are any."""
    options, found = pipeline.options, list[Pair]()
    usual, options.mapper.init_min_tri_angle = options.mapper.init_min_tri_angle, LEAST_ANGLE
    for pair in by_motion(database)[:TRIED]:
        options.init_image_id1, options.init_image_id2 = pair
        mapper, model = pycolmap.IncrementalMapper(pipeline.database_cache), pycolmap.Reconstruction()
        mapper.begin_reconstruction(model)
        status = pipeline.initialize_reconstruction(mapper, options.get_mapper(), model)
        mapper.end_reconstruction(discard=True)
        if status == pycolmap.IncrementalPipelineStatus.SUCCESS:
            found.append(pair)
        if len(found) == KEPT:
            break
    if not found:
        options.mapper.init_min_tri_angle = usual
    return found


def by_motion(database: pycolmap.Database) -> list[Pair]:
    """Pairs of images, those first whose matches are many and moved far: by the product of both."""
    pixels = {image.image_id: database.read_keypoints(image.image_id)[:, :2] for image in database.read_all_images()}
    moved: dict[Pair, float] = {}
    for number, geometry in zip(*database.read_two_view_geometries(), strict=True):
        one, two = pycolmap.pair_id_to_image_pair(number)
        matches = np.asarray(geometry.inlier_matches, np.int64).reshape(-1, 2)
        if len(matches):
            steps = np.linalg.norm(pixels[one][matches[:, 0]] - pixels[two][matches[:, 1]], axis=1)
            moved[one, two] = len(matches) * float(np.median(steps))
    return sorted(moved, key=moved.__getitem__, reverse=True)
