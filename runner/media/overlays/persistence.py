"""Edges that stay in place in nearly all frames while the rest of the picture moves: date stamps, logos, crosshairs.

The gradient of a pixel is taken as a direction, frame by frame. Over a moving picture the directions cancel out, and
their mean is short (about 1 / sqrt(frames)); where something is drawn over the picture they agree, and it is near 1:
also without a box, and half transparent. A straight edge of the scene stays in place as well while the camera moves
along it (the kerb of a road), so only places where edges of two directions stay count as evidence: text, corners and
crossings, by the smaller eigenvalue of the structure tensor (Harris and Stephens 1988) of the mean directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import (
    binary_closing,
    binary_dilation,
    binary_fill_holes,
    binary_propagation,
    find_objects,
    gaussian_filter,
    label,
)

NOISE_LEVEL = 4.0  # grey levels: a gradient below is noise or compression, and has that much less to say
STAYS = 0.6  # length of the mean direction: such edges belong to what was found close to them
# Least evidence. Footage without overlays: 0.013 at most, of 12 frames and more (fox, walk, sceaux, banana, the demo's
# clips); 0.02 in a synthetic room of 12 frames. Outlined and plain text, logos of an opacity of a quarter, crosshairs:
# 0.19 to 0.45.
EVIDENCE = 0.04
# In footage that hardly moves from frame to frame corners stay in place as well. It is told by the 90th percentile of
# the mean direction's length: of n frames that have nothing to do with each other it is sqrt(ln 10 / n) (Rayleigh).
# With overlays on fox, sceaux and the demo it is 0.83 to 0.93 times that, on a walk straight ahead 1.1 times, in one or
# two seconds of it up to 1.4 times. There only what is clear counts: 0.25 is the most in 12 frames without overlays,
# 0.37 in eight; dates and displays have 0.28 to 0.45.
SLOW = (0.95, 1.1)
EVIDENCE_IF_SLOW = 0.15
# In fewer frames edges stay in place by chance: in eight of a room that is all texture, 0.14 at most.
FEW, EVIDENCE_OF_FEW = 12, 0.16  # frames
CLEAR, CLEAR_OF_FEW = 0.27, 0.38  # largest evidence in an overlay, in slow footage
# Least share of an overlay that is evidence itself, among few frames: text has 0.9, a crosshair 0.25; what joined by
# chance 0.2 and less, in slow footage up to 0.6.
DENSE, DENSE_IF_SLOW = 0.2, 0.6
STATIC = 0.6  # median of the mean direction's length: the picture stands still, and nothing can be told
SPREAD_PX = 3.0  # of the structure tensor, at the size of the pictures that are compared: a stroke of text
LEAST_PX = 8  # of evidence in one place
# Around an overlay the picture moves as elsewhere (0.8 to 1.25 of its usual persistence). Around the point that a
# camera walks straight towards, which stays in place too, it hardly moves: 1.9.
AROUND = 1.4
# In slow footage a larger piece (share of the picture) is what the camera walks towards, within a second: 0.1 to 0.35.
# Of stamps, dates and crosshairs there is 0.04.
LARGE_IF_SLOW = 0.08
FIXED = 0.85  # length of the mean direction: what belongs to an overlay itself, and says nothing about what is around
# An edge that stays as a whole: pixels at the size of the pictures that are compared, and the smaller eigenvalue of its
# mean direction. Overlays: 0.15 to 0.45; fox, sceaux and banana have no such edges, a walk forward and back 0.008.
# Two seconds of a walk have some: only among many frames that have little to do with each other.
OUTLINE_PX, BENT, MANY = 30, 0.12, 20
SEEN_AROUND = 0.1  # of what is around; where less has edges, nothing there can tell
RING = (0.012, 0.04)  # of the long side: from where to where that is looked at
EDGE = 0.3  # mean length of the directions: in less, there is mostly nothing to see

# Shapes, as shares of the long side.
BRIDGE = 0.02  # gaps within one overlay: between letters, words and lines
MARGIN = 0.008  # around it: blur and compression
LINE = 0.08  # highest line of text
CELL = 0.7  # width of a letter / height of its line
REACH = 4.0  # how far a line may go on with changing digits, in its heights
GOES_ON = 1.5  # persistence of digits that change / the usual one of the picture
BOX = 0.15  # of the picture: an overlay of a smaller box takes the whole of it


@dataclass(frozen=True)
class Persistence:
    """How much of what is seen in each pixel stays in place."""

    frames: int
    length: NDArray[np.float32]  # [height, width] of the mean direction of the gradient, 0 to 1
    edges: NDArray[np.float32]  # [height, width] mean length of the directions: how often there is an edge, 0 to 1
    evidence: NDArray[np.float32]  # [height, width] smaller eigenvalue of the structure tensor, 0 to 0.5
    outlines: NDArray[np.bool_]  # [height, width] long edges that bend and stay, see `_outlines`


def hidden_by_overlays(
    pictures: Iterable[NDArray[np.float32]], within: NDArray[np.bool_] | None = None
) -> NDArray[np.bool_] | None:
    """Where something is drawn over the picture; None where nothing is, or where the picture stands still.

    pictures: brightness 0 to 255, [height, width], of some frames of one camera, at least a dozen for certainty.
    within: [height, width] True where to look; None: everywhere.
    """
    found = persistence(pictures, within)
    seen = found.length[found.edges > EDGE]
    if len(seen) == 0 or np.median(seen) > STATIC:
        return None
    slow = _slowness(found.frames, float(np.percentile(seen[seen < FIXED], 90)))
    few = found.frames < FEW
    certain = found.evidence > max(EVIDENCE + slow * (EVIDENCE_IF_SLOW - EVIDENCE), EVIDENCE_OF_FEW if few else 0.0)
    clear, dense = slow * CLEAR, 0.0
    by_chance = math.sqrt(math.pi / 4 / found.frames)  # median of n directions that have nothing to do with each other
    outlines = found.outlines & (found.frames >= MANY and float(np.median(seen)) < 1.05 * by_chance)
    certain |= outlines
    if certain.sum() < LEAST_PX:
        return None
    if few:
        clear, dense = slow * CLEAR_OF_FEW, DENSE + slow * (DENSE_IF_SLOW - DENSE)

    def is_overlay(piece: NDArray[np.bool_], pieces: NDArray[np.bool_]) -> bool:
        evidence = found.evidence[piece]
        is_clear = evidence.max() > clear and (evidence > EVIDENCE).mean() > dense
        is_clear &= slow == 0.0 or piece.mean() < LARGE_IF_SLOW
        enough = (certain & piece).sum() >= LEAST_PX and (is_clear or bool(outlines[piece].any()))
        return enough and _moves_around(found, piece, pieces, float(np.median(seen)))

    return _shapes(found, certain, float(np.median(seen)), is_overlay)


def _slowness(frames: int, ninetieth: float) -> float:
    """0 where the frames have little to do with each other, 1 where the picture hardly moves between them."""
    ratio = ninetieth / math.sqrt(math.log(10) / frames)
    return min(1.0, max(0.0, (ratio - SLOW[0]) / (SLOW[1] - SLOW[0])))


def persistence(pictures: Iterable[NDArray[np.float32]], within: NDArray[np.bool_] | None = None) -> Persistence:
    """pictures, within: as for `hidden_by_overlays`; none is kept."""
    count = 0
    across: Any = np.float32(0)
    down: Any = np.float32(0)
    edges: Any = np.float32(0)
    for picture in pictures:
        gx, gy = np.zeros_like(picture), np.zeros_like(picture)
        gx[1:-1, 1:-1] = (picture[1:-1, 2:] - picture[1:-1, :-2]) / 2
        gy[1:-1, 1:-1] = (picture[2:, 1:-1] - picture[:-2, 1:-1]) / 2
        if within is not None:
            gx, gy = gx * within, gy * within
        scale = 1 / np.maximum(np.hypot(gx, gy), np.float32(NOISE_LEVEL))
        across, down, edges = across + gx * scale, down + gy * scale, edges + np.hypot(gx, gy) * scale
        count += 1
    x, y = np.atleast_2d(across / max(count, 1)), np.atleast_2d(down / max(count, 1))
    length = np.hypot(x, y)
    stays = length > STAYS
    xx, xy, yy = (gaussian_filter(np.where(stays, one, np.float32(0)), SPREAD_PX) for one in (x * x, x * y, y * y))
    smaller = (xx + yy) / 2 - np.hypot((xx - yy) / 2, xy)
    return Persistence(count, length, np.atleast_2d(edges / max(count, 1)), smaller, _outlines(x, y, length))


def _outlines(x: NDArray[np.float32], y: NDArray[np.float32], length: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Connected edges that stay in place and run in more than one direction: a handlebar, a bonnet, a picture in the
    picture. Theirs are of one direction in each place, but not as a whole. x, y: mean direction of each pixel."""
    pieces, _ = label(length > FIXED, structure=np.ones((3, 3)))
    found = np.zeros(length.shape, bool)
    for number, box in enumerate(find_objects(pieces), 1):
        piece = pieces[box] == number
        if piece.sum() >= OUTLINE_PX:
            one, other = x[box][piece], y[box][piece]
            if np.linalg.eigvalsh(np.stack([one, other]) @ np.stack([one, other]).T / len(one))[0] > BENT:
                found[box] |= piece
    return found


def _shapes(
    found: Persistence,
    certain: NDArray[np.bool_],
    usual: float,
    is_overlay: Callable[[NDArray[np.bool_], NDArray[np.bool_]], bool],
) -> NDArray[np.bool_] | None:
    """Whole overlays around what is certain. usual: median persistence of the picture."""
    height, width = certain.shape
    long_side = max(height, width)
    bridge = max(2, round(BRIDGE * long_side))
    stays = binary_dilation((found.length > STAYS) & (found.edges > EDGE))  # the border of a box hangs together
    core = certain | (stays & binary_dilation(certain, _disc(bridge // 2)))
    core = binary_propagation(core, mask=core | stays)
    joined = binary_closing(np.pad(core, bridge), _disc(bridge))[bridge:-bridge, bridge:-bridge]
    hidden = np.zeros_like(certain)
    pieces, _ = label(joined)
    for number, box in enumerate(find_objects(pieces), 1):
        piece = pieces[box] == number
        if not is_overlay(pieces == number, joined):
            continue
        if piece.size > BOX * certain.size:  # a frame around the picture, a large reticle: its lines only
            hidden[box] |= binary_fill_holes(piece) if piece.mean() > 0.5 else piece
            continue
        rows, columns = box
        tall = rows.stop - rows.start
        left, right = columns.start, columns.stop
        if tall <= LINE * long_side and right - left > tall:
            left, right = _with_digits(found, rows, left, right, usual)
        hidden[rows, left:right] = True
    if not hidden.any():
        return None
    wider: NDArray[np.bool_] = binary_dilation(hidden, _disc(max(2, math.ceil(MARGIN * long_side))))
    return wider


def _moves_around(found: Persistence, piece: NDArray[np.bool_], pieces: NDArray[np.bool_], usual: float) -> bool:
    """Does the picture around a piece move as it does elsewhere?"""
    near, far = (_disc(max(2, round(share * max(piece.shape)))) for share in RING)
    around = binary_dilation(piece, far) & ~binary_dilation(pieces, near)
    ring = around & (found.edges > EDGE) & (found.length < FIXED)
    return ring.sum() < SEEN_AROUND * around.sum() or float(np.median(found.length[ring])) < AROUND * usual


def _with_digits(found: Persistence, rows: slice, left: int, right: int, usual: float) -> tuple[int, int]:
    """A line of text with the digits at its ends that change from frame to frame: they keep their cells."""
    tall, width = rows.stop - rows.start, found.length.shape[1]
    cell = max(2, round(CELL * tall))

    def goes_on(start: int, stop: int) -> bool:
        part = found.length[rows, max(0, start) : min(width, stop)]
        return part.size > 0 and float(part.mean()) > GOES_ON * usual

    first, last = left, right
    while first > max(0, left - REACH * tall) and goes_on(first - cell, first):
        first -= cell
    while last < min(width, right + REACH * tall) and goes_on(last, last + cell):
        last += cell
    return max(0, first), min(width, last)


def _disc(radius: int) -> NDArray[np.bool_]:
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc: NDArray[np.bool_] = np.hypot(x, y) <= radius + 0.5
    return disc
