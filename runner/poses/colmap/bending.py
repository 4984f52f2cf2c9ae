"""Are the pictures of a film bent, each in another way? Told from the matches of neighbours, where no camera was found.

Between two pictures of one lens every match lies on a line that the motion of the camera gives: one fundamental matrix
explains all of them. A program that steadies a film or adds an effect may bend each picture on its own, smoothly, by
some pixels. A match then still moves as its neighbours do, so it is no mistake; but lines explain fewer of them, all
over the picture. What walks by is in one part of it, and a lens bends all pictures alike: it is found by trying some.
"""

from __future__ import annotations

import zlib  # noqa: F401 - must be loaded before pycolmap, else Pillow's PNG writer frees its memory in another zlib
from itertools import pairwise

import numpy as np
import pycolmap
from numpy.typing import NDArray
from scipy.spatial import KDTree

from runner.poses.colmap.requests import FindBent, Unexplained
from runner.scene.views import evenly

PAIRS = 12  # of a shot that are looked at, evenly in time
NEIGHBOURS = 8  # of a match in the picture; half of them have to move as it does
ALIKE = 0.01  # of the long side: they move as it does
SMOOTH = 0.4  # of the matches of a pair that do so: in less the two pictures are too far from each other
LEAST_MATCHES = 80  # of these
OFF_PX, AT_PX = 1.5, 1000.0  # from the line; of a picture with this long side or less
CELLS, LEAST_IN_CELL, LEAST_CELLS = 5, 8, 6  # along each side; matches; cells with so many
LENSES = (0.0, -1.0, -0.6, -0.3, -0.15, 0.15)  # of the division model (Fitzgibbon 2001), in long sides

F64 = NDArray[np.float64]
Pair = tuple[F64, F64]  # places of the matches [M, 2] in two pictures, in long sides from the centre


def find_bent(request: FindBent) -> Unexplained:
    """For each list, of each pair of neighbours that says something, which share of the matches no motion explains."""
    with pycolmap.Database.open(request.database) as database:
        images = {image.name: image for image in database.read_all_images()}
        cameras = {camera.camera_id: camera for camera in database.read_all_cameras()}

        def places(name: str) -> F64:
            lens = cameras[images[name].camera_id]
            pixels = np.asarray(database.read_keypoints(images[name].image_id), np.float64)[:, :2]
            return np.asarray((pixels - np.array([lens.width, lens.height]) / 2) / max(lens.width, lens.height))

        def matched(first: str, second: str) -> Pair | None:
            pair = images[first].image_id, images[second].image_id
            if not database.exists_matches(*pair):
                return None
            matches = np.asarray(database.read_matches(*pair), np.int64).reshape(-1, 2)
            return _smooth(places(first)[matches[:, 0]], places(second)[matches[:, 1]])

        found = []
        for names in request.lists:
            known = [pair for pair in pairwise(names) if pair[0] in images and pair[1] in images]
            chosen = [known[number] for number in evenly(range(len(known)), PAIRS)]
            pairs = [pair for one, two in chosen if (pair := matched(one, two)) is not None]
            lenses = [cameras[images[name].camera_id] for name in names if name in images]
            side = max((max(lens.width, lens.height) for lens in lenses), default=AT_PX)
            found.append(_unexplained(pairs, OFF_PX / min(side, AT_PX), request.seed))
    return Unexplained(shares=tuple(found))


def _smooth(one: F64, two: F64) -> Pair | None:
    """The matches that move as their neighbours do; None where these are few."""
    if len(one) <= max(NEIGHBOURS, LEAST_MATCHES):
        return None
    steps = two - one
    _, near = KDTree(one).query(one, NEIGHBOURS + 1)
    apart = np.linalg.norm(steps[near[:, 1:]] - steps[:, None], axis=2)
    smooth = (apart < ALIKE).sum(axis=1) >= NEIGHBOURS // 2
    if smooth.mean() < SMOOTH or smooth.sum() < LEAST_MATCHES:
        return None
    return one[smooth], two[smooth]


def _unexplained(pairs: list[Pair], off: float, seed: int) -> tuple[float, ...]:
    """Of each pair, by the lens that explains most of all of them. off: long sides from a line that are too far."""
    by_lens = []
    for bends in LENSES:
        shares = [_off_lines(_straight(one, bends), _straight(two, bends), one, off, seed) for one, two in pairs]
        by_lens.append(tuple(share for share in shares if share is not None))
    return min(by_lens, key=lambda shares: float(np.median(shares)) if shares else 1.0)


def _straight(places: F64, bends: float) -> F64:
    """As a lens would see them that does not bend."""
    return np.asarray(places / (1 + bends * (places**2).sum(axis=1, keepdims=True)))


def _off_lines(one: F64, two: F64, seen: F64, off: float, seed: int) -> float | None:
    """In the middling cell of a grid over the picture, which share of the matches is off the line that the best
    fundamental matrix gives; None where too few cells have matches. seen: where they are in the first picture."""
    options = pycolmap.RANSACOptions(max_error=off * AT_PX, random_seed=seed, max_num_trials=2000)
    found = pycolmap.estimate_fundamental_matrix(one * AT_PX, two * AT_PX, options)
    if found is None:
        return None
    x, y = (np.column_stack([place * AT_PX, np.ones(len(place))]) for place in (one, two))
    F = np.asarray(found["F"], np.float64)
    lines, back = x @ F.T, y @ F
    slope = np.sqrt((lines[:, :2] ** 2).sum(axis=1) + (back[:, :2] ** 2).sum(axis=1))
    far = np.abs((y * lines).sum(axis=1)) > off * AT_PX * np.maximum(slope, 1e-12)  # Sampson's distance
    cell = np.clip(((seen + 0.5) * CELLS).astype(int), 0, CELLS - 1) @ (CELLS, 1)
    inside, wrong = np.bincount(cell, minlength=CELLS**2), np.bincount(cell, far, minlength=CELLS**2)
    full = inside >= LEAST_IN_CELL
    return float(np.median(wrong[full] / inside[full])) if full.sum() >= LEAST_CELLS else None
