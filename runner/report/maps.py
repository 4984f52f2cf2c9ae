"""Drawings of the report, as coordinates of SVG: the scene from above and from the side, and quality along the path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.report.verdict import NO_PHOTOS, clock
from runner.scene.geometry import camera_centre
from runner.scene.views import View, evenly

SIDE = 420  # of a map, user units
MOST_POINTS = 2500  # in a map; about 20 kB
BEYOND = 1.6  # of the cameras' reach around the middle of the scene: points farther out would shrink the rest to a dot
WIDTH, HEIGHT, LEFT, BOTTOM, EDGE = 640, 220, 56, 34, 12  # of the path's quality
LETTER = 7.0  # width of a letter there, at most


@dataclass(frozen=True)
class Camera:
    """A held-out view in a map."""

    x: float
    y: float
    grade: str  # "good", "warn", "bad"
    title: str


@dataclass(frozen=True)
class Map:
    """The scene seen along one axis. Coordinates in a square of SIDE."""

    title: str
    points: str  # path data: a dot for each sparse point
    paths: tuple[str, ...]  # polyline points, one per clip
    held_out: tuple[Camera, ...]
    side: int = SIDE


@dataclass(frozen=True)
class Along:
    """PSNR of the held-out views in the order of the path."""

    spots: tuple[Camera, ...]
    lines: tuple[tuple[float, str], ...]  # y, dB there
    clips: tuple[tuple[float, float, str], ...]  # x of the clip's first frame, x of its name, name
    lowest: float
    highest: float
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def maps(
    views: Sequence[View],
    points: NDArray[np.float32] | None,
    scores: Sequence[Mapping[str, Any]],
    up: Sequence[float] | None,
    photos: Mapping[str, str] = NO_PHOTOS,
) -> tuple[Map, ...]:
    """From above and from the side; from the first camera's axes where up is unknown. Empty without two cameras.

    photos: by image, the name of the photo that it is.
    """
    if len(views) < 2:
        return ()
    centres = np.array([camera_centre(view.world_to_camera) for view in views])
    vertical = np.asarray(up if up is not None else -views[0].world_to_camera[1, :3], float)
    vertical = vertical / np.linalg.norm(vertical)
    across, away = _ground_axes(centres, vertical)
    cloud = np.zeros((0, 3)) if points is None else np.asarray(points, float)
    middle, reach = _frame(centres, cloud)
    near = cloud[np.linalg.norm(cloud - middle, axis=1) < reach] if len(cloud) else cloud
    near = near[evenly(range(len(near)), MOST_POINTS)] if len(near) else near
    graded = _grades(scores)
    known = up is not None
    return tuple(
        _map(title, (across, second), views, centres, near, middle, reach, graded, photos)
        for title, second in (
            ("From above" if known else "Along the first picture's vertical", away),
            ("From the side" if known else "Across it", -vertical),
        )
    )


def along_the_path(
    views: Sequence[View], scores: Sequence[Mapping[str, Any]], photos: Mapping[str, str] = NO_PHOTOS
) -> Along | None:
    """None with fewer than two held-out views. photos: see `maps`."""
    by_image = {score["image"]: float(score["psnr"]) for score in scores if score.get("psnr") is not None}
    measured = [by_image[view.image] for view in views if view.image in by_image]
    if len(measured) < 2:
        return None
    low, high = float(np.floor(min(measured) - 0.5)), float(np.ceil(max(measured) + 0.5))
    graded = _grades(scores)

    def across(index: int) -> float:
        return round(LEFT + (WIDTH - LEFT - EDGE) * index / max(len(views) - 1, 1), 1)

    def down(psnr: float) -> float:
        return round(EDGE + (HEIGHT - BOTTOM - EDGE) * (high - psnr) / (high - low), 1)

    spots = tuple(
        Camera(
            across(index), down(by_image[view.image]), graded[view.image], _title(view, by_image[view.image], photos)
        )
        for index, view in enumerate(views)
        if view.image in by_image
    )
    clips, start = [], 0
    for video, run in groupby(views, key=lambda view: view.video):
        count = len(list(run))
        room = across(start + count) - across(start) - 3
        clips.append((across(start), across(start) + 3, _fitting(video, int(room / LETTER))))
        start += count
    lines = tuple((down(value), f"{value:g}") for value in (low, (low + high) / 2, high))
    return Along(spots, lines, tuple(clips), min(measured), max(measured))


def _fitting(name: str, letters: int) -> str:
    """A name beside which another one begins; "" where nothing of it could be read."""
    if len(name) <= letters:
        return name
    return f"{name[: letters - 1]}…" if letters >= 4 else ""


def _map(
    title: str,
    axes: tuple[NDArray[np.float64], NDArray[np.float64]],
    views: Sequence[View],
    centres: NDArray[np.float64],
    cloud: NDArray[np.float64],
    middle: NDArray[np.float64],
    reach: float,
    graded: Mapping[str, str],
    photos: Mapping[str, str],
) -> Map:
    def flat(places: NDArray[np.float64]) -> NDArray[np.float64]:
        seen = np.stack([(places - middle) @ axis for axis in axes], axis=-1)
        return np.round((seen / reach * 0.48 + 0.5) * SIDE, 1)

    spots = flat(centres)
    dots = "".join(f"M{x:g} {y:g}h0" for x, y in flat(cloud)) if len(cloud) else ""
    paths, start = [], 0
    for _, run in groupby(views, key=lambda view: view.video):
        count = len(list(run))
        paths.append(" ".join(f"{x:g},{y:g}" for x, y in spots[start : start + count]))
        start += count
    held_out = tuple(
        Camera(float(x), float(y), graded[view.image], _title(view, None, photos))
        for view, (x, y) in zip(views, spots, strict=True)
        if view.image in graded
    )
    return Map(title, dots, tuple(paths), held_out)


def _ground_axes(
    centres: NDArray[np.float64], vertical: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two horizontal unit vectors, the first along the longest way of the cameras."""
    flat = centres - centres.mean(axis=0)
    flat = flat - np.outer(flat @ vertical, vertical)
    across = np.linalg.svd(flat, full_matrices=False)[2][0]
    across = across - (across @ vertical) * vertical
    if np.linalg.norm(across) < 1e-9:  # one place, or a vertical line
        across = np.cross(vertical, [1.0, 0, 0] if abs(vertical[0]) < 0.9 else [0, 1.0, 0])
    across = across / np.linalg.norm(across)
    return across, np.cross(across, vertical)


def _frame(centres: NDArray[np.float64], cloud: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Middle and radius of what is drawn: all cameras, and most of the points."""
    everything = centres if not len(cloud) else np.concatenate([centres, cloud[_inner(cloud, centres)]])
    middle = (everything.min(axis=0) + everything.max(axis=0)) / 2
    return middle, float(np.linalg.norm(everything - middle, axis=1).max()) or 1.0


def _inner(cloud: NDArray[np.float64], centres: NDArray[np.float64]) -> NDArray[np.bool_]:
    middle = np.median(cloud, axis=0)
    apart = np.linalg.norm(cloud - middle, axis=1)
    reach = max(np.linalg.norm(centres - middle, axis=1).max(), np.quantile(apart, 0.8))
    inner: NDArray[np.bool_] = apart < min(BEYOND * reach, np.quantile(apart, 0.97))
    return inner


def _grades(scores: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """By image: against the middle view of the same scene."""
    values = {score["image"]: float(score["psnr"]) for score in scores if score.get("psnr") is not None}
    if not values:
        return {}
    middle = float(np.median(list(values.values())))
    return {
        image: "bad" if value < middle - 3 else "warn" if value < middle - 1.5 else "good"
        for image, value in values.items()
    }


def _title(view: View, psnr: float | None, photos: Mapping[str, str]) -> str:
    return photos.get(view.image, f"{view.video} at {clock(view.timestamp_s)}") + (
        "" if psnr is None else f": {psnr:.1f} dB"
    )
