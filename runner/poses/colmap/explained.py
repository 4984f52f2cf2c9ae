"""Which images of a model contradict their own matches.

Where two images fit together, by one fundamental matrix, a right model makes points of most of those matches. An image
that was placed by a few chance matches (a repeated window, a far corner) explains hardly any of the many that it shares
with its true neighbours: their rays do not meet. In right models of photos and films an image explains a quarter of its
matches and more; images of a courtyard that mapping had put to its wrong side, with a third of a pixel of reprojection
error, explained a tenth.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib

import numpy as np
import pycolmap
from numpy.typing import NDArray

LEAST = 0.2  # share of the matches of an image with others of its model


class Matches:
    """The matches of a database that fit together, of each pair of images."""

    def __init__(self, path: str) -> None:
        with pycolmap.Database.open(path) as database:
            pairs, geometries = database.read_two_view_geometries()
        self._of_pair: dict[tuple[int, ...], NDArray[np.int64]] = {
            tuple(pycolmap.pair_id_to_image_pair(pair)): np.asarray(geometry.inlier_matches, np.int64).reshape(-1, 2)
            for pair, geometry in zip(pairs, geometries, strict=True)
        }

    def explained(self, model: pycolmap.Reconstruction) -> dict[int, float]:
        """By registered image: the share of its matches with other registered images whose two ends are one point."""
        points = {
            image.image_id: np.array(
                [point.point3D_id if point.has_point3D() else -1 for point in image.points2D], np.int64
            )
            for image in model.images.values() if image.has_pose
        }  # fmt: skip
        every, joined = dict.fromkeys(points, 0), dict.fromkeys(points, 0)
        for (one, two), matches in self._of_pair.items():
            if one in points and two in points:
                ends = points[one][matches[:, 0]], points[two][matches[:, 1]]
                same = int(((ends[0] >= 0) & (ends[0] == ends[1])).sum())
                for image in (one, two):
                    every[image] += len(matches)
                    joined[image] += same
        return {image: joined[image] / every[image] for image in points if every[image]}

    def drop_contradicted(self, model: pycolmap.Reconstruction) -> tuple[str, ...]:
        """Takes the images that explain less than LEAST out of a model, the worst one first, as its neighbours may owe
        it their low share; their names. What is left is to be adjusted."""
        dropped = []
        while shares := self.explained(model):
            worst = min(shares, key=shares.__getitem__)
            if shares[worst] >= LEAST:
                break
            dropped.append(model.images[worst].name)
            model.deregister_frame(model.images[worst].frame_id)
        return tuple(dropped)
