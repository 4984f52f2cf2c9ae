"""Shot boundaries (hard cuts) and single foreign frames inside one clip: an edited video holds several places, and each
needs its own overlap with the others. Found on the first pass, from how much the coarse layout of the image changes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.media.selection.measures import BLANK, FrameMeasures, block_mean, is_slide_show

LAYOUT_CELLS = 16  # on the long side: so coarse that a fast pan (5 % of the image per frame) changes it little
FLAT = 1.0  # grey levels: an image with less contrast has no layout; it resembles nothing
CUT = 0.2  # 1 - correlation of two layouts; in footage of hands and cars consecutive frames had 0.06 at most
ABRUPT = 5.0  # times the median change around it: where everything changes fast, nothing is a cut
RESEMBLES = 0.5  # of the change to a stray: its neighbours differ less than that from each other
AROUND = 8  # frames on either side
MIN_GAPS = 3  # that tell how much changes in one
MAX_BOUNDARIES = 20  # of one clip; more is a slide show, whose pieces the reconstruction has to sort out


@dataclass(frozen=True)
class ShotBoundaries:
    """What an editor left in a clip."""

    starts: tuple[int, ...] = ()  # indices into the clip's frames where another shot begins
    strays: tuple[int, ...] = ()  # single frames unlike both neighbours, which resemble each other


class Layouts:
    """Compares each frame with the two before it."""

    def __init__(self) -> None:
        self._before: list[NDArray[np.float32]] = []

    def read(self, luma: NDArray[np.uint8]) -> tuple[float, float]:
        """luma [height, width] -> 1 - correlation with the frame before and with the one before that, each 0 to 2."""
        layout = _layout(luma)
        changes = [1.0 - float(np.mean(layout * other)) if other.shape == layout.shape else 1.0
                   for other in reversed(self._before)]  # fmt: skip
        self._before = [*self._before[-1:], layout]
        one, two = (*changes, 0.0, 0.0)[:2]
        return min(max(one, 0.0), 2.0), min(max(two, 0.0), 2.0)


def find_shot_boundaries(frames: Sequence[FrameMeasures]) -> ShotBoundaries:
    """Pure. A slow clip of few frames may be a set of photos: there every frame is another view, and none is a cut."""
    if len(frames) < 3 or is_slide_show(frames):
        return ShotBoundaries()
    change = np.array([frame.change for frame in frames])
    steps = np.diff([frame.index for frame in frames], prepend=frames[0].index - 1)  # of a long film: with gaps
    over = np.array([frame.change_over for frame in frames])
    strays, starts = [], []
    index = 1
    while index < len(frames):
        if change[index] > CUT and (_abrupt(change, index) if steps[index] == 1 else _abrupt_gap(change, steps, index)):
            back = change[index + 1] if index + 1 < len(frames) else 0.0
            if back > CUT and over[index + 1] < RESEMBLES * min(change[index], back):
                strays.append(index)
                index += 2  # the way back is no cut either
                continue
            starts.append(index)
        index += 1
    for first, after in _blank_stretches(frames):  # a flash, a hand before the lens, pictures that got lost
        if _look_alike(frames[first - 1], frames[after]):
            starts = [start for start in starts if not first <= start <= after]
    shown = [place for place, frame in enumerate(frames) if frame.sharpness >= BLANK] or [0]
    starts = [start for start in starts if shown[0] < start <= shown[-1]]  # where it fades in or out, nothing is cut
    strongest = sorted(starts, key=lambda start: change[start], reverse=True)[:MAX_BOUNDARIES]
    return ShotBoundaries(tuple(sorted(strongest)), tuple(strays))


def _blank_stretches(frames: Sequence[FrameMeasures]) -> list[tuple[int, int]]:
    """First frame and the one after the last of each stretch between others that shows nothing."""
    seen = [place for place, frame in enumerate(frames) if frame.sharpness >= BLANK]
    return [(one + 1, other) for one, other in itertools.pairwise(seen) if other > one + 1]


def _look_alike(one: FrameMeasures, other: FrameMeasures) -> bool:
    grids = [np.frombuffer(bytes.fromhex(frame.look), np.uint8).astype(float) for frame in (one, other)]
    if not all(grid.size and grid.std() > FLAT for grid in grids):
        return False
    return bool(np.corrcoef(np.stack(grids))[0, 1] >= 1 - CUT)


def shots(count: int, cuts: ShotBoundaries) -> list[list[int]]:
    """Indices of a clip's frames between its cuts, without the strays. No shot is empty."""
    left_out = set(cuts.strays)
    bounds = itertools.pairwise([0, *cuts.starts, count])
    pieces = [[index for index in range(low, high) if index not in left_out] for low, high in bounds]
    return [piece for piece in pieces if piece]


def _abrupt(change: NDArray[np.float64], index: int) -> bool:
    """Do the frames around it change much less? The two that a stray or a cut may spoil do not count."""
    low, high = max(1, index - AROUND), min(len(change), index + AROUND + 1)
    around = [change[i] for i in range(low, high) if i not in (index, index + 1)]
    return not around or float(change[index]) > ABRUPT * float(np.median(around))


def _abrupt_gap(change: NDArray[np.float64], steps: NDArray[np.int64], index: int) -> bool:
    """Do the frames across other gaps, as long as half of this one, change much less? A camera comes far in one; alone
    it says nothing."""
    places = np.flatnonzero(2 * steps >= steps[index])
    at = int(np.searchsorted(places, index))
    around = [change[i] for i in (*places[max(0, at - AROUND) : at], *places[at + 1 : at + 1 + AROUND])]
    return len(around) >= MIN_GAPS and float(change[index]) > ABRUPT * float(np.median(around))


def _layout(luma: NDArray[np.uint8]) -> NDArray[np.float32]:
    """[rows, columns] of about LAYOUT_CELLS on the long side, mean 0 and deviation 1: exposure does not count."""
    coarse = block_mean(luma, max(1, round(max(luma.shape) / LAYOUT_CELLS)))
    deviation = float(coarse.std())
    return (coarse - coarse.mean()) / deviation if deviation > FLAT else np.zeros_like(coarse)
