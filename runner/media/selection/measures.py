"""Measures of one decoded frame: sharpness, texture, displacement from the frame before; and the survey of a clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runner.scene.frames import ClipInfo

SHARPNESS_SIDE = 640  # px, long side of the image whose sharpness is measured: blur of 2 px at 1280 still shows
LINE_DIGITS = 4  # of the digest of a line of a photo
MOTION_SIDE = 96  # px: one Gauss-Newton step then follows motion up to about 2 % of the image per frame
MOTION_BLOCKS = 6  # per side
# (grey levels / px)^2, smaller eigenvalue of a block's structure tensor: below, motion cannot be seen
MIN_TEXTURE = 2.0
MIN_EDGES = 8.0  # the same of the larger one, of what is seen without that: stripes, but not light that fades away
NEW_VIEW = 0.002  # of the long side: less motion than that is the same view again
STATIC_TRAVEL = 0.02  # of the long side over a whole clip: the camera stood still
BLANK = 0.5  # sharpness of a frame of one colour; what shows little has 2.5 and more (detail_check.py)
LOOK_CELLS = 8  # per side
MAX_PARTS = 4  # frame sizes of one clip that become cameras
USUAL_LEVELS = 2.0  # grey levels of a cell of a look: so near it has its usual ones
TURNS, STANDS = 0.5, 0.8  # shares of the frames in which it has them
TURNING_CELLS, STANDING_CELLS = 2, 16  # of a look, at least
NO_MOTION = "the camera does not move in this clip"  # a clip's warning
PHOTO_CLIP = (60, 10.0)  # at most this many frames and per second: each frame may be another photo


@dataclass(frozen=True)
class FrameMeasures:
    """What the first pass keeps of one frame."""

    index: int
    timestamp_s: float
    sharpness: float  # variance of the Laplacian
    travel: float  # motion of the image up to here, in long sides; equal values are the same view
    luma: float = 128.0  # mean grey level, 0 to 255
    change: float = 0.0  # of the image's layout since the frame before, 0 to 2: shot_detection.py
    change_over: float = 0.0  # and since the one before that
    isotropy: float = 1.0  # detail along its weakest direction / its strongest, 0 to 1: smeared frames have little
    look: str = ""  # grey levels of a grid of LOOK_CELLS x LOOK_CELLS, in hexadecimal: tells copies of a film
    seen: float = 1.0  # share of the picture's blocks that show anything: edges in one direction or more
    alike: float = 1.0  # to the frame before, 0 to 1: noise.py


@dataclass(frozen=True)
class ClipSurvey:
    """What the first pass over one clip found."""

    info: ClipInfo
    measures: tuple[FrameMeasures, ...]


def file_name(index: int) -> str:
    """Of a chosen frame, in the folder of its clip."""
    return f"{index:06d}.png"


def motion_view(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """luma [height, width] -> the same with MOTION_SIDE px on the long side, about: motion is seen in it."""
    return block_mean(luma, max(1, round(max(luma.shape) / MOTION_SIDE)))


class Odometer:
    """Adds up how far the image moved. Compares with the last view that was new, so slow motion counts as well and
    noise, compression and a person walking by do not. An image that shows nothing, as a film has before it fades in,
    is compared with nothing."""

    def __init__(self) -> None:
        self._anchor: NDArray[np.float32] | None = None
        self._travel = 0.0
        self._seen = False  # the anchor shows something

    def read(self, view: NDArray[np.float32]) -> float:
        """view: of `motion_view` [height, width] -> travel in long sides."""
        if self._anchor is None or not self._seen:
            self._anchor, self._seen = view, shows_texture(view)
        elif not shows_texture(view):
            return self._travel
        moved = displacement_px(self._anchor, view) / max(view.shape)
        if moved >= NEW_VIEW:
            self._anchor = view
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


def shows_texture(view: NDArray[np.float32]) -> bool:
    """Whether motion can be seen in any block of it [height, width]."""
    weak, _ = _edges(view)
    return bool((weak > MIN_TEXTURE).any())


def seen_of(view: NDArray[np.float32]) -> float:
    """Share of the blocks of a picture [height, width] that show anything, 0 to 1."""
    weak, strong = _edges(view)
    return float(((weak > MIN_TEXTURE) | (strong > MIN_EDGES)).mean()) if weak.size else 0.0


def _edges(view: NDArray[np.float32]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Smaller and larger eigenvalue of the mean structure tensor, (grey levels / px)^2, of each block; none of a strip
    that has no blocks."""
    height, width = (size - size % MOTION_BLOCKS for size in view.shape)
    if min(height, width) == 0:
        return np.zeros(0, np.float32), np.zeros(0, np.float32)
    gradients: Any = np.gradient(view[:height, :width])
    gy, gx = gradients
    count = _pixels_of_block(height, width)
    sxx, sxy, syy = (_block_sum(each) / count for each in (gx * gx, gx * gy, gy * gy))
    mean, apart = (sxx + syy) / 2, np.sqrt(((sxx - syy) / 2) ** 2 + sxy**2)
    return mean - apart, mean + apart


def displacement_px(before: NDArray[np.float32], after: NDArray[np.float32]) -> float:
    """Median motion over the textured blocks of an image [height, width], by one step of Lucas and Kanade (1981).

    The median ignores what moves in front of a still camera. An image without texture counts as still.
    """
    height, width = (size - size % MOTION_BLOCKS for size in before.shape)
    if min(height, width) == 0:  # a strip so thin that it has no blocks
        return 0.0
    before, after = before[:height, :width], after[:height, :width]
    gain = (before.std() + 1.0) / (after.std() + 1.0)  # exposure may change while the camera does not move
    after = (after - after.mean()) * gain + before.mean()
    gradients: Any = np.gradient((before + after) / 2)  # typed for one axis only
    gy, gx = gradients
    gt = after - before
    sxx, sxy, syy = _block_sum(gx * gx), _block_sum(gx * gy), _block_sum(gy * gy)
    count = _pixels_of_block(height, width)
    mean_t = _block_sum(gt) / count  # a block that only became brighter did not move
    bx = _block_sum(gx * gt) - _block_sum(gx) * mean_t
    by = _block_sum(gy * gt) - _block_sum(gy) * mean_t
    textured = _textured(sxx, sxy, syy, height, width)
    if not textured.any():
        return 0.0
    sxx, sxy, syy, bx, by = (value[textured] for value in (sxx, sxy, syy, bx, by))
    determinant = sxx * syy - sxy**2
    return float(np.median(np.hypot(syy * bx - sxy * by, sxx * by - sxy * bx) / determinant))


def look(luma: NDArray[np.uint8]) -> str:
    """luma [height, width] -> the mean of each cell of a grid; "" for a strip that has no cells."""
    if min(luma.shape) < LOOK_CELLS:
        return ""
    return Image.fromarray(luma).resize((LOOK_CELLS, LOOK_CELLS), Image.Resampling.BOX).tobytes().hex()


def is_static(frames: Sequence[FrameMeasures]) -> bool:
    """Did the camera stand still for the whole clip?"""
    return frames[-1].travel < STATIC_TRAVEL


def is_one_picture(frames: Sequence[FrameMeasures]) -> bool:
    """Does a film show the same all the time, but for what its encoder adds? No cell of a grid changes by more than a
    grey level, as noise does not change it either; people who walk by do."""
    looks = np.array([list(bytes.fromhex(frame.look)) for frame in frames if frame.look])
    return looks.size > 0 and bool((np.ptp(looks, axis=0) <= 2).all())


def may_turn(frames: Sequence[FrameMeasures]) -> bool:
    """Of a film whose camera stands still: may something turn before it, all the time and at one place?

    Where people walk by, a place looks as usual most of the time. Changes of the light are taken out.
    """
    looks = np.array([list(bytes.fromhex(frame.look)) for frame in frames if frame.look], np.float32)
    if looks.size == 0:
        return False
    away = looks - np.median(looks, axis=0)
    away -= np.median(away, axis=1, keepdims=True)
    usual = (np.abs(away) <= USUAL_LEVELS).mean(axis=0)
    return bool((usual < TURNS).sum() >= TURNING_CELLS and (usual > STANDS).sum() >= STANDING_CELLS)


def as_it_turns(frames: Sequence[FrameMeasures]) -> tuple[FrameMeasures, ...]:
    """The same, each another view of what turns: its camera travels as time does."""
    return tuple(replace(frame, travel=float(number)) for number, frame in enumerate(frames))


def is_slide_show(frames: Sequence[FrameMeasures]) -> bool:
    """May each frame of a clip be another photo?"""
    most, fps = PHOTO_CLIP
    return len(frames) <= most and len(frames) - 1 <= fps * 1.01 * duration_s(frames)


def duration_s(frames: Sequence[FrameMeasures]) -> float:
    return frames[-1].timestamp_s - frames[0].timestamp_s


def block_mean(luma: NDArray[np.uint8], factor: int) -> NDArray[np.float32]:
    """The image shrunk by a whole factor; what fills no block is left out, a thinner image is one block thick."""
    down, across = (min(factor, side) for side in luma.shape)
    rows, columns = luma.shape[0] // down, luma.shape[1] // across
    blocks = luma[: rows * down, : columns * across].reshape(rows, down, columns, across)
    mean: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return mean


def _pixels_of_block(height: int, width: int) -> int:
    return (height // MOTION_BLOCKS) * (width // MOTION_BLOCKS)


def _textured(sxx: NDArray[Any], sxy: NDArray[Any], syy: NDArray[Any], height: int, width: int) -> NDArray[np.bool_]:
    """[MOTION_BLOCKS, MOTION_BLOCKS] of the sums of products of gradients: are there edges in two directions?"""
    smaller_eigenvalue = (sxx + syy) / 2 - np.sqrt(((sxx - syy) / 2) ** 2 + sxy**2)
    textured: NDArray[np.bool_] = smaller_eigenvalue > MIN_TEXTURE * _pixels_of_block(height, width)
    return textured


def _block_sum(values: NDArray[Any]) -> NDArray[Any]:
    """[height, width], both multiples of MOTION_BLOCKS -> [MOTION_BLOCKS, MOTION_BLOCKS]."""
    height, width = values.shape
    n = MOTION_BLOCKS
    sums: NDArray[Any] = values.reshape(n, height // n, n, width // n).sum(axis=(1, 3))
    return sums
