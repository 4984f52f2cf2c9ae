"""What stands still behind something that turns: a camera on a tripod before a turntable.

Structure-from-motion finds the cameras around what moves as one body. Seen from a turntable the camera walks around it,
and what is behind it is no place at all: most of the picture, and the same in all frames. So each pixel's usual colour
is taken over the frames (the shortest interval that holds a share of them: Grübel 1988); where a frame differs from it,
what turns is seen. A place filmed by a tripod has nobody in its middle all the time; there nothing is ignored. Nor
where the outline of what changes stays as it is: that is the window of a car, a porthole, a page around a film.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_closing, binary_dilation, binary_erosion, binary_opening, gaussian_filter, label

SIDE = 320  # px, long side of the pictures that are compared
USUAL = 0.4  # of the frames: as many show the usual colour where there is one
STILL = 10.0  # grey levels between the least and the most of those; more is no usual colour
DIFFERS = (14.0, 4.0)  # grey levels from the usual colour, at least; and times the spread of the frames that have it
ALWAYS = 0.75  # of the frames, at least: so often is what turns seen in its middle
MIDDLE, LEAST, MOST = 0.015, 0.03, 0.75  # of the picture: that middle; what turns in the median frame
AROUND = 0.9  # of what is outside: share that is in place in the median frame
EDGE, EDGES = 6.0, 0.05  # grey levels per px; share of what stands still that has such an edge: no plain wall
SMOOTH_PX, GAP_PX, SPECK_PX = 1.0, 4, 2
BORDER = 0.8  # of the edges of a picture that what turns does not reach, before a plain wall: the sky looks like one
CHANGES = 0.1  # of what is inside of two outlines, at a quarter of the film from each other: a porthole stays the same
AROUND_PX, FAINT, FEW_EDGES = 24, 2.0, 0.02  # px; grey levels per px; share of what is around: less is a plain wall
SAME_TEXTURE = 0.6  # of its gradients
DARK = 16.0  # grey levels: darker pixels say nothing of the light
HOLE = 0.005  # of the picture: smaller ones are of what turns, where its colour is that behind it


@dataclass(frozen=True)
class Backdrop:
    """What stands still in the pictures of one camera."""

    usual: NDArray[np.float32]  # [height, width, 3] sRGB 0 to 255
    limit: NDArray[np.float32]  # [height, width] grey levels from it up to which it is seen; 0: it is not known
    middle: NDArray[np.bool_]  # [height, width] where what turns is seen nearly always

    def turning(self, picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
        """[height, width] where what turns is seen: what hangs together with its middle. picture: as for `backdrop`."""
        away = np.abs(_as_bright(_smooth(picture), self.usual) - self.usual).max(axis=-1) > self.limit
        inside = np.s_[GAP_PX:-GAP_PX, GAP_PX:-GAP_PX]
        wider = np.pad(away | self.middle, GAP_PX, mode="edge")  # else nothing would reach the edges of the picture
        whole = binary_opening(binary_closing(wider, iterations=GAP_PX), iterations=SPECK_PX)[inside]
        pieces, _ = label(whole)
        kept = np.isin(pieces, np.setdiff1d(pieces[self.middle], 0))
        holes, count = label(~kept)
        small = 1 + np.flatnonzero(np.bincount(holes.ravel(), minlength=count + 1)[1:] < HOLE * kept.size)
        found: NDArray[np.bool_] = kept | np.isin(holes, small)
        return found


def backdrop(pictures: Sequence[NDArray[np.uint8]], *, still: bool = False) -> Backdrop | None:
    """None: nothing turns, or the camera moves.

    pictures: [height, width, 3] sRGB, long side about SIDE px, of frames of one camera, at least eight.
    still: it is known that the camera stands still, so a thing whose outline stays may turn: a vase.
    """
    smooth = np.stack([_smooth(picture) for picture in pictures])
    middling = np.median(smooth, axis=0)
    frames = np.stack([_as_bright(frame, middling) for frame in smooth])
    usual, spread = _usual(frames)
    limit = np.where(spread <= STILL, np.maximum(DIFFERS[0], DIFFERS[1] * spread), np.float32(0)).astype(np.float32)
    in_place = np.abs(frames - usual).max(axis=-1) <= limit  # [N, height, width]
    middle = binary_opening(in_place.mean(axis=0) <= 1 - ALWAYS, iterations=SPECK_PX)
    if middle.mean() < MIDDLE:
        return None
    found = Backdrop(usual, limit, middle)
    turning = [found.turning(picture) for picture in pictures]
    outside = ~np.any(turning, axis=0)
    if not LEAST <= float(np.median([one.mean() for one in turning])) <= MOST or outside.mean() < LEAST:
        return None
    stands_still = float(np.median(in_place[:, outside].mean(axis=1))) >= AROUND
    if not stands_still or _texture_in_place(frames, usual, turning) < SAME_TEXTURE:
        return None
    outline_changes = _changes(turning) >= CHANGES
    if _has_texture(usual, outside):
        return found if still or outline_changes else None
    off_the_border = float(np.median([_border(~one).mean() for one in turning])) >= BORDER
    return found if off_the_border and outline_changes else None


def _smooth(picture: NDArray[np.uint8]) -> NDArray[np.float32]:
    smooth: NDArray[np.float32] = gaussian_filter(picture.astype(np.float32), (SMOOTH_PX, SMOOTH_PX, 0))
    return smooth


def _as_bright(frame: NDArray[np.float32], usual: NDArray[np.float32]) -> NDArray[np.float32]:
    """A frame [height, width, 3] as bright as `usual` in its median pixel: lights flicker, and cameras follow."""
    light = usual.mean(axis=-1) > DARK
    if not light.any():
        return frame
    gain = np.median(usual.mean(axis=-1)[light] / np.maximum(frame.mean(axis=-1)[light], 1.0))
    bright: NDArray[np.float32] = frame * np.float32(gain)
    return bright


def _usual(frames: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """[height, width, 3] the usual colours, and [height, width] how far the frames that have them differ in brightness.

    frames: [N, height, width, 3].
    """
    grey = frames.mean(axis=-1)
    count = max(3, round(USUAL * len(grey)))
    order = np.argsort(grey, axis=0)
    ordered = np.take_along_axis(grey, order, axis=0)
    widths = ordered[count - 1 :] - ordered[: len(grey) - count + 1]
    first = widths.argmin(axis=0)[None]
    taken = np.take_along_axis(order, first + count // 2, axis=0)
    usual = np.take_along_axis(frames, taken[..., None], axis=0)[0]
    return usual, np.take_along_axis(widths, first, axis=0)[0]


def _has_texture(usual: NDArray[np.float32], outside: NDArray[np.bool_]) -> bool:
    """Where it stands still, and not only along what turns. usual: [height, width, 3]. outside: [height, width]."""
    down, across = np.gradient(usual.mean(axis=-1))
    away = binary_erosion(outside, iterations=2 * GAP_PX, border_value=1)
    return bool(away.any()) and float((np.hypot(down, across) > EDGE)[away].mean()) >= EDGES


def _texture_in_place(
    frames: NDArray[np.float32], usual: NDArray[np.float32], turning: Sequence[NDArray[np.bool_]]
) -> float:
    """How well the gradients of what is around that which turns are the usual ones, 1 at most; the median frame.

    A carpet has one colour as a wall behind a turntable has; but in photos of an app's gallery its pattern moves.
    frames: [N, height, width, 3].
    """
    expected = np.stack(np.gradient(usual.mean(axis=-1)))
    found = []
    for frame, inside in zip(frames, turning, strict=True):
        around = binary_dilation(inside, iterations=AROUND_PX) & ~binary_dilation(inside, iterations=GAP_PX)
        seen = np.stack(np.gradient(frame.mean(axis=-1)))
        strength = np.maximum((seen**2).sum(axis=0), (expected**2).sum(axis=0))
        edges = around & (strength > FAINT**2)
        if edges.sum() > FEW_EDGES * max(1, around.sum()):
            found.append(float(((seen * expected).sum(axis=0)[edges] / strength[edges]).mean()))
    return float(np.median(found)) if found else 1.0


def _changes(turning: Sequence[NDArray[np.bool_]]) -> float:
    """How much the outlines [height, width] of pictures a quarter of the film apart differ, as a share of what is in
    them; the median."""
    apart = max(1, len(turning) // 4)
    pairs = zip(turning[:-apart], turning[apart:], strict=True)
    return float(np.median([(one ^ other).sum() / max(1, (one | other).sum()) for one, other in pairs]))


def _border(picture: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The pixels at the edges of a picture [height, width]."""
    return np.concatenate([picture[0], picture[-1], picture[1:-1, 0], picture[1:-1, -1]])
