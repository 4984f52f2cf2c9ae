"""turntable.mp4: a short film along a smooth path through the cameras, which every phone and chat plays.

The path follows the longest film, or else the photos from neighbour to neighbour: some of its cameras, positions by a
cubic spline and rotations by a spline on the rotations (scipy), after their jitter was averaged away.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation, RotationSpline

from runner.files.atomic import replacing
from runner.quality.evaluate import render_view
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.geometry import camera_centre
from runner.scene.views import TrainingScene, View, evenly

FRAMES, RATE = 180, 30  # six seconds
KEYS = 24  # cameras that the path goes through
JITTER = 1.5  # standard deviation of the average along the path, in cameras
QUALITY = "20"  # x264's constant rate factor: no visible loss
LONGEST_SIDE = 1280


def write_turntable(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, path: Path, *, frames: int = FRAMES
) -> bool:
    """H.264 in an .mp4 that plays while it loads. False, and no file, for fewer than four cameras: there is no path.

    Raises ResourceError when the disk is full.
    """
    views = path_views(scene.views, frames)
    if not views:
        return False
    params = parameters.parameters(gaussians, rasterizer.device)
    pictures = (np.round(render_view(params, view, rasterizer).cpu().numpy() * 255).astype(np.uint8) for view in views)
    with replacing(path) as file:
        _encode(pictures, views[0].width, views[0].height, file)
    return True


def path_views(views: Sequence[View], count: int) -> list[View]:
    """The cameras of the film, all with the lens of the first: even sides, as H.264 wants them."""
    along = _in_order(views)
    if len(along) < 4:
        return []
    to_world = np.stack([np.linalg.inv(view.world_to_camera) for view in along])
    places = gaussian_filter1d(to_world[:, :3, 3], JITTER, axis=0, mode="nearest")
    quats = Rotation.from_matrix(to_world[:, :3, :3]).as_quat()
    for index in range(1, len(quats)):  # neighbours on one side of the sphere, so that they can be averaged
        quats[index] *= 1.0 if quats[index] @ quats[index - 1] >= 0 else -1.0
    turns = Rotation.from_quat(gaussian_filter1d(quats, JITTER, axis=0, mode="nearest"))
    keys = evenly(range(len(along)), KEYS)
    times = np.linspace(0, 1, len(keys))
    wanted = 0.5 - 0.5 * np.cos(np.pi * np.linspace(0, 1, count))  # begins and ends slowly
    position, rotation = CubicSpline(times, places[keys])(wanted), RotationSpline(times, turns[keys])(wanted)
    lens = along[0]
    shrink = min(1.0, LONGEST_SIDE / max(lens.width, lens.height))
    width, height = (max(2, 2 * int(side * shrink / 2)) for side in (lens.width, lens.height))
    K = np.diag([width / lens.width, height / lens.height, 1.0]) @ lens.K
    film = []
    for place, turn in zip(position, rotation.as_matrix(), strict=True):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = turn.T, -turn.T @ place
        film.append(View("", lens.video, 0.0, width, height, K, pose, "train"))
    return film


def _in_order(views: Sequence[View]) -> list[View]:
    """Of the film with most views, by time; photos, whose times tell no path, from neighbour to neighbour."""
    counts = Counter(view.video for view in views)
    most = max(counts, key=lambda name: counts[name])
    film = sorted((view for view in views if view.video == most), key=lambda view: view.timestamp_s)
    if len({view.timestamp_s for view in film}) == len(film) >= 4:
        return film
    left = list(views)
    centres = np.stack([camera_centre(view.world_to_camera) for view in left])
    middle = centres.mean(axis=0)
    here = int(np.linalg.norm(centres - middle, axis=1).argmax())  # an end, not the middle
    tour, free = [], set(range(len(left)))
    while free:
        tour.append(left[here])
        free.discard(here)
        if free:
            origin = centres[here]
            here = min(free, key=lambda index: float(np.linalg.norm(centres[index] - origin)))
    return tour


def _encode(pictures: Iterator[NDArray[np.uint8]], width: int, height: int, file: Any) -> None:
    import av  # here: a job that makes no film does not load FFmpeg

    with av.open(file, "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=RATE, options={"crf": QUALITY, "preset": "medium"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.time_base = Fraction(1, RATE)
        for picture in pictures:
            for packet in stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
