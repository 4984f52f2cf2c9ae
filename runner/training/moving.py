"""What moves while it is filmed: regions that one view shows and the others contradict. Pure, on blocks of pixels.

Somebody who walks through the picture is seen by each view somewhere else. Gaussians that the views share cannot show
that, so the view differs there from its rendering, by a whole region and in its mean colour, while other views of
the same surface are explained well (the idea of RobustNeRF, Sabour et al. 2023, with the surface looked up in other
views instead of in a window). What no view explains is not told: water, a screen, a place that one view alone sees.
There a blurred mean of what was filmed is better than a hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from runner.scene.views import View

FLOOR = 0.12  # of the range of colours: a smaller difference of mean colours means nothing
FACTOR = 5.0  # times the median difference of all blocks: what is far above
STRONG = 1.5  # times that: one block of a region at least
LEAST_AREA = 0.012  # of the image: a smaller region is a highlight or an edge
OTHERS = 12  # views that are asked, the nearest ones
LEAST_SEEING, FITTING = 2, 0.5  # of them that must see the surface; share of these that must explain it
LEAST_SHARE = 0.03  # of all images: with less nothing is said to move; still places had up to 0.011, photos 0.036
SAME_DEPTH = 0.08  # relative difference of depths, of one surface


@dataclass(frozen=True)
class Compared:
    """A training view and its rendering, in blocks that divide the view evenly."""

    view: View
    difference: NDArray[np.float32]  # [h, w] of the mean colours, largest channel, 0..1
    depth: NDArray[np.float32]  # [h, w] along the camera's z; 0 where nothing is opaque


def moving_regions(compared: Sequence[Compared]) -> list[NDArray[np.bool_]]:
    """[h, w] of each view, True where something moves."""
    limit = max(FLOOR, FACTOR * float(np.median(np.concatenate([each.difference.ravel() for each in compared]))))
    centres = np.stack([-each.view.world_to_camera[:3, :3].T @ each.view.world_to_camera[:3, 3] for each in compared])
    found = []
    for number, each in enumerate(compared):
        apart = np.linalg.norm(centres - centres[number], axis=1)
        nearest = [index for index in np.argsort(apart, kind="stable") if index != number][:OTHERS]
        found.append(_regions(each, [compared[index] for index in nearest], limit))
    told = np.mean([regions.mean() for regions in found])
    return found if told >= LEAST_SHARE else [np.zeros_like(regions) for regions in found]


def _regions(each: Compared, others: Sequence[Compared], limit: float) -> NDArray[np.bool_]:
    moving = np.zeros(each.difference.shape, bool)
    rows, columns = np.nonzero((each.difference > limit) & (each.depth > 0))
    places = _places(each, rows, columns)
    seeing, fitting = np.zeros(len(rows)), np.zeros(len(rows))
    for other in others:
        sees, difference = _seen(other, places)
        seeing += sees
        fitting += sees & (difference < limit)
    contradicted = (seeing >= LEAST_SEEING) & (fitting >= FITTING * seeing)
    moving[rows[contradicted], columns[contradicted]] = True
    labels, count = ndimage.label(moving, np.ones((3, 3)))
    for label in range(1, count + 1):
        region = labels == label
        if region.mean() < LEAST_AREA or each.difference[region].max() < STRONG * limit:
            moving[region] = False
    grown = ndimage.binary_dilation(moving, np.ones((3, 3)))
    return np.asarray(ndimage.binary_fill_holes(grown), bool)


def _places(each: Compared, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> NDArray[np.float64]:
    """[N, 3] world: what is drawn at the middle of blocks."""
    height, width = each.depth.shape
    K, pose = each.view.K, each.view.world_to_camera
    z = each.depth[rows, columns].astype(np.float64)
    x = ((columns + 0.5) * each.view.width / width - K[0, 2]) / K[0, 0] * z
    y = ((rows + 0.5) * each.view.height / height - K[1, 2]) / K[1, 1] * z
    world: NDArray[np.float64] = (np.stack([x, y, z], axis=1) - pose[:3, 3]) @ pose[:3, :3]
    return world


def _seen(other: Compared, places: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """[N] whether a view sees each place, and how far its block there is from its rendering."""
    height, width = other.depth.shape
    K, pose = other.view.K, other.view.world_to_camera
    x, y, z = (places @ pose[:3, :3].T + pose[:3, 3]).T
    ahead = np.where(z > 1e-6, z, np.inf)
    column = np.floor((K[0, 0] * x / ahead + K[0, 2]) * width / other.view.width).astype(int)
    row = np.floor((K[1, 1] * y / ahead + K[1, 2]) * height / other.view.height).astype(int)
    inside = (z > 1e-6) & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    row, column = row.clip(0, height - 1), column.clip(0, width - 1)
    depth = other.depth[row, column]
    return inside & (depth > 0) & (np.abs(depth - z) < SAME_DEPTH * z), other.difference[row, column]
