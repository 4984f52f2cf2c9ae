"""Do pictures agree with each other, if the cameras are where the poses say? Told without matches and without training.

Two neighbours of a view are each searched along its lines of sight, by plane-sweep stereo (Collins 1996) with
normalised cross-correlation. With true cameras both find a detail at one depth. With wrong ones the lines lead past it:
each finds something that looks alike by chance, somewhere else. How often chance does that is measured on the same
pictures, with the neighbours moved across the lines of sight. So a picture with little or with repeating detail is its
own yardstick.

One of the two neighbours is from another time where there is one: parts that were joined at the wrong place agree
within themselves. What it cannot see: such parts when hardly any view sees both, a slow drift, and a scene that is
wrong only where all pictures are alike.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.quality.small_views import COMMON_MIN, SmallView, scored_views, small_view
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene, evenly

AVAILABLE = importlib.util.find_spec("numba") is not None
SIDE_PX = 160  # long side of the pictures that are compared
PLANES = 48
MOST_VIEWS = 32  # that are asked, evenly chosen
FAR = 0.1  # of all views lie between a view and a neighbour from another time, or it is of another clip ...
FAR_SCORE = 0.3  # ... which is asked when its score is at least this share of the best one's
AREA_RATIO_MAX = 2.0  # of what one thing covers in two pictures: windows of more are unlike with true cameras, too
MARGINS = (0.8, 1.6)  # nearest and farthest plane, as multiples of the depths of the sparse points
SCORE_MIN = 0.6  # correlation of a place that is found
DEVIATION_MIN = 0.02  # of the grey values of a window, 0..1: less is no detail to compare
SAME_PLACE_PX = 1.5  # at SIDE_PX: between where one neighbour's depth leads in the other, and where that finds it
ASIDE = 0.06  # of the long side: how far the neighbours are moved to see what chance finds
LEAST_PX = 200  # details of a view that both neighbours show; fewer tell nothing
Array = NDArray[np.float64]


@dataclass(frozen=True)
class ViewAgreement:
    """How far one view and its two best neighbours agree."""

    view: int  # index of TrainingScene.views
    share: float  # of its details, 0..1, that both neighbours find at the same place
    by_chance: float  # the same share with the neighbours moved aside
    details: int  # pixels that were looked for
    angle_deg: float = 0.0  # between the lines of sight of it and of the neighbour that looks from farther aside


@dataclass(frozen=True)
class _Line:
    """Where a neighbour shows a pixel (x, y) of a view at an inverse depth w: at `rays` (x, y, 1) + w `shift`."""

    rays: Array  # [3, 3]
    shift: Array  # [3]

    def at(self, x: Array, y: Array, inverse_depth: Array | float) -> Array:
        """[2, M] pixels of the neighbour."""
        place = self.rays @ np.stack([x, y, np.ones_like(x)]) + inverse_depth * self.shift[:, None]
        depth = np.where(np.abs(place[2]) < 1e-9, 1e-9, place[2])
        return np.asarray(place[:2] / depth)


def agreement(scene: TrainingScene, progress: Progress, stage: str) -> tuple[ViewAgreement, ...]:
    """Of at most MOST_VIEWS views of both splits that have two comparable neighbours and enough details. Deterministic.

    Empty where nothing can be said, and where the kernels cannot be compiled. Raises Interrupted.
    """
    if not AVAILABLE or not len(scene.sightings):
        return ()
    images = [small_view(scene, view, SIDE_PX) for view in range(len(scene.views))]
    places = _places(scene)
    found = []
    for view in evenly(range(len(images)), MOST_VIEWS):
        progress.check(stage)
        scored = [
            (score, other) for score, other in scored_views(view, images, scene.points)
            if _area_ratio(images[view], images[other], scene.points) <= AREA_RATIO_MAX
        ]  # fmt: skip
        neighbours = [images[other] for other in _two(view, scored, places)]
        planes = _inverse_depths(images[view], scene.points)
        if len(neighbours) < 2:
            continue
        if planes is None:  # it shares points with others, and they lie behind it
            found.append(ViewAgreement(view, 0.0, 0.0, 0))
            continue
        share, details = _found_alike(images[view], neighbours, planes, 0.0)
        by_chance, _ = _found_alike(images[view], neighbours, planes, ASIDE)
        if details >= LEAST_PX:
            angle_deg = max(_angle_deg(images[view], other, scene.points) for other in neighbours)
            found.append(ViewAgreement(view, share, by_chance, details, angle_deg))
    return tuple(found)


def _places(scene: TrainingScene) -> list[int]:
    """Of each view in the order in which all were filmed."""
    order = sorted(
        range(len(scene.views)), key=lambda index: (scene.views[index].video, scene.views[index].timestamp_s)
    )
    return [place for _, place in sorted((view, place) for place, view in enumerate(order))]


def _common(image: SmallView, other: SmallView, points: NDArray[np.float32]) -> Array:
    """[N, 3] points that both see."""
    return points[np.intersect1d(image.seen, other.seen, assume_unique=True)].astype(np.float64)


def _area_ratio(image: SmallView, other: SmallView, points: NDArray[np.float32]) -> float:
    """How many times as large as in the one picture a thing is in the other: the median over their common points.

    Of a thing that faces the camera: of one at distance d and depth z, the area grows with d / z^3. So it is far from 1
    where cameras are near and far, and towards the edges of wide lenses that look in different directions.
    """
    common = _common(image, other, points)
    areas = []
    for view in (image, other):
        depth = np.maximum(common @ view.rotation[2] + view.translation[2], 1e-9)
        areas.append(np.log(np.linalg.norm(common - view.centre, axis=1) / depth**3))
    return float(np.exp(np.median(np.abs(areas[0] - areas[1]))))


def _angle_deg(image: SmallView, other: SmallView, points: NDArray[np.float32]) -> float:
    """Between the lines of sight of the two to a thing that both see: the median over their common points."""
    common = _common(image, other, points)
    one, two = common - image.centre, common - other.centre
    lengths = np.maximum(np.linalg.norm(one, axis=1) * np.linalg.norm(two, axis=1), 1e-12)
    return float(np.degrees(np.median(np.arccos(np.clip((one * two).sum(axis=1) / lengths, -1.0, 1.0)))))


def _two(view: int, scored: Sequence[tuple[float, int]], places: Sequence[int]) -> list[int]:
    """The best neighbour, and the best one from another time where there is one that is nearly as good.

    Neighbours in time agree with each other in a scene that is put together wrongly, too.
    """
    near = [number for _, number in scored[:2]]
    if len(near) < 2:
        return near
    apart = max(2.0, FAR * len(places))
    far = [
        number for score, number in scored[1:]
        if score >= FAR_SCORE * scored[0][0] and abs(places[number] - places[view]) > apart
    ]  # fmt: skip
    return [near[0], far[0]] if far else near


def _inverse_depths(image: SmallView, points: NDArray[np.float32]) -> Array | None:
    """[PLANES] rising, 1 / world units; None: it sees too few points."""
    ahead = image.depths(points)
    if len(ahead) < COMMON_MIN:
        return None
    nearest, farthest = np.percentile(ahead, 1) * MARGINS[0], np.percentile(ahead, 99) * MARGINS[1]
    return np.linspace(1 / farthest, 1 / nearest, PLANES)


def _found_alike(image: SmallView, neighbours: Sequence[SmallView], planes: Array, aside: float) -> tuple[float, int]:
    """Share of the details that both neighbours find at the same place, and how many details both show.

    aside: how far the neighbours are moved across the lines of sight, one to either side, as a share of the long side.
    """
    from runner.quality.kernels.plane_sweep import OUTSIDE, window_moments

    mean, variance = window_moments(image.grey)
    lines, depths, scores = [], [], []
    for neighbour, sign in zip(neighbours, (1.0, -1.0), strict=True):
        line = _moved(_line(image, neighbour), image, planes, sign * aside * max(image.grey.shape))
        depth, score = _searched(image, mean, variance, neighbour, line, planes)
        lines.append(line)
        depths.append(depth)
        scores.append(score)
    known = (variance >= DEVIATION_MIN**2) & (scores[0] > OUTSIDE) & (scores[1] > OUTSIDE)
    if image.used is not None:
        known &= image.used
    y, x = np.nonzero(known)
    if len(y) < LEAST_PX:
        return 0.0, len(y)
    column, row = x + np.float64(0.5), y + np.float64(0.5)
    places = [[line.at(column, row, depth[y, x]) for depth in depths] for line in lines]
    apart = np.max([np.linalg.norm(one - other, axis=0) for one, other in places], axis=0)
    alike = (scores[0][y, x] >= SCORE_MIN) & (scores[1][y, x] >= SCORE_MIN) & (apart <= SAME_PLACE_PX)
    return float(alike.mean()), len(y)


def _line(image: SmallView, neighbour: SmallView) -> _Line:
    rotation = neighbour.rotation @ image.rotation.T
    shift = neighbour.translation - rotation @ image.translation
    return _Line(neighbour.K @ rotation @ np.linalg.inv(image.K), neighbour.K @ shift)


def _moved(line: _Line, image: SmallView, planes: Array, pixels: float) -> _Line:
    """The line beside itself, by so many pixels across the direction that it has for the middle of the image."""
    if not pixels:
        return line
    height, width = image.grey.shape
    middle = np.array([width / 2]), np.array([height / 2])
    along = (line.at(*middle, planes[-1]) - line.at(*middle, planes[0]))[:, 0]
    length = float(np.linalg.norm(along))
    across = np.array([-along[1], along[0]]) / length if length > 1e-6 else np.array([0.0, 1.0])
    step = np.eye(3)
    step[:2, 2] = pixels * across
    return _Line(step @ line.rays, step @ line.shift)


def _searched(
    image: SmallView, mean: NDArray[np.float32], variance: NDArray[np.float32], neighbour: SmallView, line: _Line,
    planes: Array,
) -> tuple[Array, NDArray[np.float32]]:  # fmt: skip
    """[H, W] inverse depth at which the neighbour is most alike, and its correlation, OUTSIDE where it shows none."""
    from runner.quality.kernels.plane_sweep import sweep

    scores = np.empty((len(planes), *image.grey.shape), np.float32)
    flat = np.float32(DEVIATION_MIN**2 / 4)
    sweep(image.grey, mean, variance, neighbour.grey, line.rays, line.shift, planes, flat, scores)
    best = scores.argmax(axis=0)
    return planes[best], np.take_along_axis(scores, best[None], axis=0)[0]
