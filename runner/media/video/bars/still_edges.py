"""Bars that are not of one colour: with text, of a pattern, or a blurred copy of the film itself (a portrait film in a
landscape frame, as editors make it).

What is told over all frames: a bar of the first kind stays exactly the same while the picture beside it moves, along a
straight border. A window, as of a player on a page, has them on all sides. A blurred copy has no detail, and the
picture beside it begins with a step from end to end; it is believed only where the opposite edge has the same, and
where both look like the film, enlarged.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

LEAST_FRAMES = 10
ALL_OF = 48  # frames that are read; of later ones each 16th
EACH = 16
STILL = 4.0  # grey levels, deviation of a pixel over time: compression and noise
STILL_SHARE = 0.97  # of the pixels of a line of a bar
MOVING_SHARE = 0.3  # of those beside it that are still, at most: a sky ends less straight
LIVELY = 8.0  # grey levels that the median pixel of the picture changes: in less motion nothing can be told
PATTERN = 6.0  # grey levels of detail in a still bar at one edge alone: a plain one may be the sky
SOFT_SHARE = 0.4  # of the picture's usual detail, in a blurred copy ...
SOFT_LINES = 0.9  # ... in so many of its lines
STEP = 2.5  # times the detail beside it: the border of a blurred copy ...
STEP_SHARE = 0.8  # ... in so much of its length
ABRUPT = 1.2  # times the detail behind it: where a lens becomes sharp there is less
BORDER = 2  # lines: where one ends and the other begins
LEAST_LINES = 4
MOST = 0.4  # of the side, that a bar takes
SYMMETRIC = 0.02  # of the side: opposite blurred bars differ by so much at most
ALIKE = 0.7  # correlation of blurred bars with the film, enlarged; a ceiling and a floor have none with what is between
SOFT_LEAST = 0.08  # of the side, that a blurred copy takes: a thinner edge is like its neighbours anyway
CELLS = 12  # along each side, in which they are compared

PATTERNED, BLURRED = "bars with something in them", "bars with a blurred copy of the film"

Lines = tuple[int, int, int, int]  # of a shrunk picture: left, top, right, bottom


@dataclass
class StillEdges:
    """Reads frames of one size, small."""

    frames: int = 0
    kind: str = ""  # of the bars that `lines` found last, in words
    _offered: int = 0
    _sums: list[Any] = field(default_factory=lambda: [np.float32(0)] * 4)
    _pictures: list[NDArray[np.uint8]] = field(default_factory=list)  # the first ALL_OF

    def read(self, luma: NDArray[np.uint8]) -> None:
        """luma: [height, width], the same for all."""
        self._offered += 1
        if self._offered > ALL_OF and self._offered % EACH:
            return
        if len(self._pictures) < ALL_OF:
            self._pictures.append(luma.copy())
        picture = luma.astype(np.float32)
        across, down = np.zeros_like(picture), np.zeros_like(picture)
        across[:, 1:] = np.abs(np.diff(picture, axis=1))
        down[1:] = np.abs(np.diff(picture, axis=0))
        self._sums = [one + new for one, new in zip(self._sums, (picture, picture**2, across, down), strict=True)]
        self.frames += 1

    def lines(self) -> Lines:
        """Lines of the bars at each edge, of the pictures that were read; 0 where none is."""
        self.kind = ""
        if self.frames < LEAST_FRAMES:
            return (0, 0, 0, 0)
        mean, square, across, down = (one / self.frames for one in self._sums)
        change = np.sqrt(np.maximum(square - mean**2, 0))
        found = [0, 0, 0, 0]
        whole = change < STILL
        around = [_still_lines(each) for each in (whole.T, whole, whole.T[::-1], whole[::-1])]
        for first, turn in ((0, np.transpose), (1, np.asarray)):  # left and right, top and bottom
            before, behind = around[1 - first], around[3 - first]  # a window has bars there, too
            along = slice(before, turn(change).shape[1] - behind)
            still = (turn(whole)[:, along], turn(across + down))
            ends = [
                count if count and _moves_beside(still[0][::way], count) else 0
                for count, way in ((around[first], 1), (around[first + 2], -1))
            ]
            inside = turn(change)[ends[0] : len(still[0]) - ends[1], along]
            is_lively = inside.size > 0 and float(np.median(inside)) > LIVELY
            for number, way in enumerate((1, -1)):
                has_pattern = ends[number] and float(turn(mean)[::way][: ends[number]].std()) > PATTERN
                if is_lively and (ends[1 - number] or has_pattern):
                    found[first + 2 * number] = ends[number]
                    self.kind = PATTERNED
            if not any(ends):
                steps = turn(across) if first == 0 else turn(down)
                left, right = _soft_lines(still[1], steps, 1), _soft_lines(still[1], steps, -1)
                alike = abs(left - right) <= max(2, SYMMETRIC * len(steps))
                if left and right and alike and _are_copies([turn(one) for one in self._pictures], left, right):
                    found[first], found[first + 2] = left, right
                    self.kind = BLURRED
        return found[0], found[1], found[2], found[3]


def _still_lines(still: NDArray[np.bool_]) -> int:
    """How many of the first lines [line, along] stay as they are."""
    count = int(np.argmin(still.mean(axis=1) >= STILL_SHARE))
    return count if LEAST_LINES <= count <= MOST * len(still) else 0


def _moves_beside(still: NDArray[np.bool_], count: int) -> bool:
    """Whether little stays as it is beside the first lines, between bars at the other edges."""
    beside = still[count + BORDER : count + 2 * BORDER]
    return beside.size > 0 and bool(beside.mean(axis=1).max() <= MOVING_SHARE)


def _soft_lines(detail: NDArray[np.float32], steps: NDArray[np.float32], way: int) -> int:
    """How many of the first lines, or of the last (way -1), are a blurred copy. steps: to each line from the last one.

    The border is where most of the line steps up. What is usual is told by all that is between: the middle may be a
    path.
    """
    if way < 0:
        detail, steps = detail[::-1], np.concatenate([steps[:1], steps[:0:-1]])
    profile, count_of = np.median(detail, axis=1), len(detail)
    first, last = round(SOFT_LEAST * count_of), round(MOST * count_of)
    count = first + int(np.argmax(np.median(steps[first : last + 1], axis=1)))
    bar, usual = profile[: count - BORDER], float(profile[count : count_of - count].mean())
    if count < first + BORDER or float(np.quantile(bar, SOFT_LINES)) >= SOFT_SHARE * usual:
        return 0
    edge = steps[max(0, count - BORDER) : count + BORDER].max(axis=0)
    beside = np.median(steps[: max(1, count - 2 * BORDER)], axis=0)
    inside = float(steps[count + BORDER : count + 5 * BORDER].mean())
    abrupt = float(np.median(edge)) > ABRUPT * inside
    return count if abrupt and float((edge > STEP * np.maximum(beside, 1)).mean()) >= STEP_SHARE else 0


def _are_copies(pictures: Sequence[NDArray[np.uint8]], first: int, last: int) -> bool:
    """Do the first and the last lines [line, along] show what is between them, enlarged to fill the whole frame?

    Editors cut off what does not fit then, or stretch it.
    """
    lines, along = pictures[0].shape
    inside = lines - first - last
    rows = first + (np.arange(lines) + 0.5) * inside / lines
    cut = along / 2 + (np.arange(along) + 0.5 - along / 2) * inside / lines
    bar = np.r_[0:first, lines - last : lines]
    shown = np.concatenate([_cells(one[bar]) for one in pictures])

    def likeness(columns: NDArray[np.float64]) -> float:
        enlarged = [one[rows[bar].astype(np.intp)][:, columns.astype(np.intp)] for one in pictures]
        copied = np.concatenate([_cells(one) for one in enlarged])
        return float(np.corrcoef(shown, copied)[0, 1]) if shown.std() and copied.std() else 0.0

    return max(likeness(cut), likeness(np.arange(along, dtype=np.float64))) >= ALIKE


def _cells(part: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean brightness of the halves of a part, in pieces along it, less that of the whole. [2 * CELLS]"""
    pieces = (piece for half in np.array_split(part, 2) for piece in np.array_split(half, CELLS, axis=1))
    means = np.array([piece.mean() for piece in pieces], np.float64)
    return np.asarray(means - means.mean(), np.float64)
