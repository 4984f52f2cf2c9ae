"""Which frames of a scene's clips to keep: measures of sharpness and motion, and the choice under one budget.

Pure functions on small grey pictures and numbers; reading and writing video is in runner/frames.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.scene import ClipInfo

SHARPNESS_SIDE = 640  # px, long side of the picture whose sharpness is measured: blur of 2 px at 1280 still shows
MOTION_SIDE = 96  # px: one Gauss-Newton step then follows motion up to about 2 % of the picture per frame
MOTION_BLOCKS = 6  # per side
MIN_TEXTURE = (
    2.0  # (grey levels / px)^2, smaller eigenvalue of a block's structure tensor: below, motion cannot be seen
)
NEW_VIEW = 0.002  # of the long side: less motion than that is the same picture again
STATIC_TRAVEL = 0.02  # of the long side over a whole clip: the camera stood still
MAX_RATE_FPS = 6.0  # more frames per second add time (pairs grow with the square) and no parallax
ALWAYS_USEFUL = 24  # frames of a clip, however short it is: a scene needs that many to hold together
MIN_PER_CLIP = 8  # fewer frames of a clip seldom register together
MAX_CROWDING = 2.0  # frames per second in a fast part of a clip, relative to an even spread: fast parts are blurred
MAX_PARTS = 4  # picture sizes of one clip that become cameras
PHOTO_CLIP = (60, 10.0)  # at most this many frames and per second: each frame may be another photo


@dataclass(frozen=True)
class Seen:
    """What the first pass keeps of one frame."""

    index: int
    timestamp_s: float
    sharpness: float  # variance of the Laplacian
    travel: float  # motion of the picture up to here, in long sides; equal values are the same view
    luma: float = 128.0  # mean grey level, 0 to 255
    change: float = 0.0  # of the picture's layout since the frame before, 0 to 2: runner/cuts.py
    change_over: float = 0.0  # and since the one before that
    isotropy: float = 1.0  # detail along its weakest direction / its strongest, 0 to 1: smeared pictures have little


@dataclass(frozen=True)
class Surveyed:
    """One clip after the first pass."""

    info: ClipInfo
    seen: tuple[Seen, ...]


def file_name(index: int) -> str:
    """Of a chosen frame, in the folder of its clip."""
    return f"{index:06d}.png"


class Odometer:
    """Adds up how far the picture moved. Compares with the last view that was new, so slow motion counts as well and
    noise, compression and a person walking by do not."""

    def __init__(self) -> None:
        self._anchor: NDArray[np.float32] | None = None
        self._travel = 0.0

    def read(self, luma: NDArray[np.uint8]) -> float:
        """luma [height, width] -> travel in long sides."""
        small = block_mean(luma, max(1, round(max(luma.shape) / MOTION_SIDE)))
        if self._anchor is None:
            self._anchor = small
        moved = displacement_px(self._anchor, small) / max(small.shape)
        if moved >= NEW_VIEW:
            self._anchor = small
            self._travel += moved
        return self._travel


def sharpness(luma: NDArray[np.uint8]) -> float:
    """Variance of the Laplacian (Pech-Pacheco et al. 2000). luma: [height, width]."""
    if min(luma.shape) < 3:
        return 0.0
    p = luma.astype(np.float32)
    laplacian = p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * p[1:-1, 1:-1]
    return float(laplacian.var())


def isotropy(luma: NDArray[np.uint8]) -> float:
    """Smaller over larger eigenvalue of the mean structure tensor: motion blur wipes out one direction."""
    if min(luma.shape) < 3:
        return 1.0
    p = luma.astype(np.float32)
    gx, gy = (p[:, 2:] - p[:, :-2])[1:-1], (p[2:] - p[:-2])[:, 1:-1]
    xx, yy, xy = (float((one * other).mean()) for one, other in ((gx, gx), (gy, gy), (gx, gy)))
    mean, deviation = (xx + yy) / 2, float(np.hypot((xx - yy) / 2, xy))
    return max(0.0, mean - deviation) / (mean + deviation) if mean > 0 else 1.0


def displacement_px(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Median motion over the textured blocks of a picture [height, width], by one step of Lucas and Kanade (1981).

    The median ignores what moves in front of a still camera. A picture without texture counts as still.
    """
    height, width = (size - size % MOTION_BLOCKS for size in before.shape)
    if min(height, width) == 0:  # a strip so thin that it has no blocks
        return 0.0
    before, after = before[:height, :width], after[:height, :width]
    gain = (before.std() + 1.0) / (after.std() + 1.0)  # exposure may change while the camera does not move
    after = (after - after.mean()) * gain + before.mean()
    gy, gx = np.gradient((before + after) / 2)
    gt = after - before
    sxx, sxy, syy = _block_sum(gx * gx), _block_sum(gx * gy), _block_sum(gy * gy)
    count = (height // MOTION_BLOCKS) * (width // MOTION_BLOCKS)
    mean_t = _block_sum(gt) / count  # a block that only became brighter did not move
    bx = _block_sum(gx * gt) - _block_sum(gx) * mean_t
    by = _block_sum(gy * gt) - _block_sum(gy) * mean_t
    smaller_eigenvalue = (sxx + syy) / 2 - np.sqrt(((sxx - syy) / 2) ** 2 + sxy**2)
    textured = smaller_eigenvalue > MIN_TEXTURE * count
    if not textured.any():
        return 0.0
    sxx, sxy, syy, bx, by = (value[textured] for value in (sxx, sxy, syy, bx, by))
    determinant = sxx * syy - sxy**2
    return float(np.median(np.hypot(syy * bx - sxy * by, sxx * by - sxy * bx) / determinant))


def is_static(seen: Sequence[Seen]) -> bool:
    """Did the camera stand still for the whole clip?"""
    return seen[-1].travel < STATIC_TRAVEL


def is_slide_show(seen: Sequence[Seen]) -> bool:
    """May each frame of a clip be another photo?"""
    frames, fps = PHOTO_CLIP
    return len(seen) <= frames and len(seen) - 1 <= fps * 1.01 * _duration_s(seen)


def choose(
    clips: Sequence[Sequence[Seen]], budget: int, rate_fps: float | None = None, photos: Sequence[bool] = (),
    liked: Sequence[Container[int]] = (),
) -> list[list[int]]:  # fmt: skip
    """Indices into each clip's frames, increasing, at most `budget` over all clips.

    photos: which clips are sets of photos, one after the other; default: none is.
    liked: of each clip, numbers of frames that win in their window, since their features are known; default: none do.

    A clip gets frames by its duration and its motion in equal parts, and not fewer than MIN_PER_CLIP where it has them.
    Within a clip the frames are spread evenly over the same mixture, the sharpest of each window is taken, and repeated
    views are left out.
    """
    photos = photos or [False] * len(clips)
    most = [len(seen) if photo else _most(seen, rate_fps) for seen, photo in zip(clips, photos, strict=True)]
    whole = [photo or is_slide_show(seen) for seen, photo in zip(clips, photos, strict=True)]
    shares = allocate([_weight(seen, clips) for seen in clips], most, whole, budget)
    return [
        _sharpest_in_turn(seen, count) if photo else _spread(seen, count, known)
        for seen, count, photo, known in zip(clips, shares, photos, liked or [()] * len(clips), strict=True)
    ]


def allocate(weights: Sequence[float], most: Sequence[int], photos: Sequence[bool], budget: int) -> list[int]:
    """Frames per clip: all of a clip of photos if that leaves the others their minimum, the rest by weight."""
    floor = [min(limit, MIN_PER_CLIP, budget // len(most)) for limit in most]
    shares = list(floor)
    whole = [limit if photo else low for limit, low, photo in zip(most, floor, photos, strict=True)]
    if sum(whole) <= budget:
        shares = whole
    while sum(shares) < budget:
        open_clips = [i for i, share in enumerate(shares) if share < most[i]]
        if not open_clips:
            break
        # The clip that is furthest below its part gets the next frame: the highest averages method of D'Hondt.
        shares[max(open_clips, key=lambda i: weights[i] / (shares[i] + 1))] += 1
    return shares


def _weight(seen: Sequence[Seen], clips: Sequence[Sequence[Seen]]) -> float:
    duration = sum(_duration_s(clip) for clip in clips) or 1.0
    travel = sum(clip[-1].travel for clip in clips) or 1.0
    return 0.5 * _duration_s(seen) / duration + 0.5 * seen[-1].travel / travel + 1e-9


def _most(seen: Sequence[Seen], rate_fps: float | None) -> int:
    """How many frames of a clip are of use."""
    views = len({frame.travel for frame in seen})
    if rate_fps is None:
        return views if is_slide_show(seen) else min(views, max(ALWAYS_USEFUL, int(_duration_s(seen) * MAX_RATE_FPS)))
    return min(views, 1 + int(_duration_s(seen) * rate_fps))


def _duration_s(seen: Sequence[Seen]) -> float:
    return seen[-1].timestamp_s - seen[0].timestamp_s


def _sharpest_in_turn(photos: Sequence[Seen], count: int) -> list[int]:
    """The sharpest of each `count`-th part. Photos are few and each another view: how they are spaced says little."""
    ends = [len(photos) * part // max(count, 1) for part in range(count + 1)]
    return [max(range(start, end), key=lambda i: photos[i].sharpness) for start, end in itertools.pairwise(ends)]


def _spread(seen: Sequence[Seen], count: int, liked: Container[int] = ()) -> list[int]:
    views = np.unique([frame.travel for frame in seen], return_inverse=True)[1]
    if count >= views[-1] + 1:  # every view is wanted: the sharpest frame of each
        windows, inner = views, np.ones(len(seen), bool)
    else:
        time = np.array([frame.timestamp_s for frame in seen])
        travel = np.array([frame.travel for frame in seen])
        by_time = np.diff(time, prepend=time[0]) / max(time[-1] - time[0], 1e-9)
        by_travel = np.diff(travel, prepend=travel[0]) / max(travel[-1], 1e-9)
        position = np.cumsum(np.minimum((by_time + by_travel) / 2, MAX_CROWDING * by_time))
        position *= count / max(position[-1], 1e-9)
        windows = np.minimum(position.astype(int), count - 1)
        inner = np.abs(position - windows - 0.5) <= 0.35  # else two neighbours meet at the edge of their windows
    chosen: list[int] = []
    sharp = np.array([frame.sharpness for frame in seen])
    for window in np.unique(windows):
        members = np.flatnonzero(windows == window)
        known = [i for i in members if seen[i].index in liked]
        if known:  # each was the sharpest of a window before
            members = np.array(known)
        elif inner[members].any():
            members = members[inner[members]]
        best = int(members[np.argmax(sharp[members])])
        if not chosen or seen[best].travel > seen[chosen[-1]].travel:
            chosen.append(best)
    return chosen


def block_mean(luma: NDArray[np.uint8], factor: int) -> NDArray[np.float32]:
    """The picture shrunk by a whole factor; what fills no block is left out, a thinner picture is one block thick."""
    down, across = (min(factor, side) for side in luma.shape)
    rows, columns = luma.shape[0] // down, luma.shape[1] // across
    blocks = luma[: rows * down, : columns * across].reshape(rows, down, columns, across)
    return blocks.mean(axis=(1, 3), dtype=np.float32)


def _block_sum(picture: NDArray[np.float32]) -> NDArray[np.float32]:
    height, width = picture.shape
    n = MOTION_BLOCKS
    return picture.reshape(n, height // n, n, width // n).sum(axis=(1, 3))
