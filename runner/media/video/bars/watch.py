"""Black bars around what was filmed: found over many frames, because one frame cannot tell a bar from a dark wall.

A bar is even from end to end, it begins at the edge of the frame, and its border is straight and stays where it is. In
each frame the even lines at the four edges are counted, and whether the picture begins behind them along a straight
border. Over time, dark things only add to the lines of a bar; what bars a stretch of frames has is the cheapest
explanation of its counts, where a change has its price (Viterbi 1967). The borders of dark things wander and do not
pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from runner.media.video.bars.still_edges import Lines, StillEdges

EVEN = 8  # grey levels from the level of the bar: compression and noise
EVEN_SHARE = 0.985  # of the pixels of a line
TEXT_SHARE = 0.5  # of those of a line with a subtitle, which are of the bar
STANDS_OUT = 12  # grey levels: what is seen beside the bar
BORDER_SHARE = 0.5  # of a straight border, beside which something is seen
DARK = 48  # grey level at most; bars of other colours have to be on both sides
LEAST_LINES = 2  # of the shrunk picture
LEAST_FRAMES = 12  # with the same straight border
MOST_LEVELS = 6  # different bars at one edge
SAME = 1  # lines: the border of one bar
SOFT = 4  # lines of a bar beside its border, at most, that compression may have spoilt
NEAR = 8  # lines: by so much and less, the border of a dark thing wanders
SMEARED = 0.05  # of the frames of a bar; more have a straight border near to it: it wanders
GATHERED = 0.2  # of them at one place: another bar
CLEAR = 0.4  # of the frames in which anything is seen, at least, have the straight border
AGAINST = 0.03  # of them, at most, show something where the bar should be
LIGHT = 24  # grey levels from the level of the bar: no noise, but a thing seen in the dark
STEADY = 4.0  # grey levels: deviation of the bar's level over time
CHANGE_COST = 8.0  # in frames that contradict
DARKER_COST, SHARPER_COST = 0.2, 0.6  # of a frame that has more even lines than the bar; with a straight border

BLACK, ONE_COLOUR, BARS = "black bars", "bars of one colour", "bars"

LEFT, TOP, RIGHT, BOTTOM = range(4)
NONE: Lines = (0, 0, 0, 0)


Edges = tuple[tuple[int, bool, int, int], ...]  # of each edge: even lines, straight border, their level, most beside it
NOTHING: Edges = ((0, False, -1, 0),) * 4  # a frame of one colour


@dataclass
class BarWatch:
    """Reads all frames of one size."""

    indices: list[int] = field(default_factory=list)
    shape: tuple[int, int] = (0, 0)  # height, width of the shrunk pictures
    kind: str = BLACK  # of the bars that `stretches` found last, in words
    _seen: list[Edges] = field(default_factory=list)
    _beside_text: list[Edges] = field(default_factory=list)  # where a line may have a subtitle
    _still: StillEdges = field(default_factory=StillEdges)

    def read(self, index: int, luma: NDArray[np.uint8]) -> None:
        """luma: [height, width], shrunk."""
        self.indices.append(index)
        self.shape = (luma.shape[0], luma.shape[1])
        seen = _edges(luma)
        self._seen.append(seen)
        has_bars = any(lines >= LEAST_LINES for lines, *_ in seen)
        self._beside_text.append(_edges(luma, with_text=True) if has_bars else seen)
        self._still.read(luma)

    def stretches(self) -> list[tuple[int, Lines]]:
        """(index of the first frame, lines of the bars) of each stretch with constant bars, in order."""
        if not self._seen:
            return []
        # [frames, 4, edge as in Edges]
        table, beside_text = (np.array(seen, np.int32) for seen in (self._seen, self._beside_text))
        picture = np.array([edges != NOTHING for edges in self._seen])
        known = [_bars_at(table[:, edge], picture) for edge in range(4)]
        for edge, opposite in ((LEFT, RIGHT), (TOP, BOTTOM), (RIGHT, LEFT), (BOTTOM, TOP)):
            twins = [replace(bar, is_twin=True) for bar in known[opposite]
                     if bar.level <= DARK and not bar.is_twin and not _has_twin(bar, known[edge])]  # fmt: skip
            own, known[edge] = known[edge], _holding(table[:, edge], picture, [*known[edge], *twins])
            missing = [bar for bar in twins if bar not in known[edge]]
            if subtitled := _holding(beside_text[:, edge], picture, missing):
                table[:, edge] = beside_text[:, edge]
                known[edge] = _holding(table[:, edge], picture, [*own, *subtitled])
        found = [[bar for bar in bars if bar.level <= DARK or _has_twin(bar, known[(edge + 2) % 4])]
                 for edge, bars in enumerate(known)]  # fmt: skip
        lines = np.stack([_explained(table[:, edge], picture, bars) for edge, bars in enumerate(found)], axis=1)
        levels = [bar.level for bars in found for bar in bars]
        self.kind = BLACK if all(level <= DARK for level in levels) else ONE_COLOUR
        if not np.diff(lines, axis=0).any() and np.any((still := np.array(self._still.lines())) > lines):
            self.kind = BARS if levels else self._still.kind
            lines = np.maximum(lines, still)
        changes = [0, *(np.flatnonzero((np.diff(lines, axis=0) != 0).any(axis=1)) + 1).tolist()]
        return [(self.indices[at], _lines(lines[at])) for at in changes]


@dataclass(frozen=True)
class _Bar:
    lines: int
    level: float
    is_twin: bool = False  # told by the bar at the opposite edge: what is beside it may be as dark


def _edges(luma: NDArray[np.uint8], with_text: bool = False) -> Edges:
    """What is at the edges of a picture [height, width]. NOTHING: none is seen.

    with_text: lines that something is written on count as well, and what is written is no light.
    """
    height, width = luma.shape
    views = (luma.T, luma, luma[:, ::-1].T, luma[::-1])  # lines from the edge inwards, [line, along]
    levels = [int(np.median(view[0])) for view in views]
    counts = [_even_lines(view, level) for view, level in zip(views, levels, strict=True)]
    if max(counts[LEFT], counts[RIGHT]) >= width or max(counts[TOP], counts[BOTTOM]) >= height:
        return NOTHING
    lines = counts
    if with_text:
        lines = [_even_lines(view, level, TEXT_SHARE) for view, level in zip(views, levels, strict=True)]
    found = []
    for edge, (view, level, count) in enumerate(zip(views, levels, lines, strict=True)):
        one, other = ((TOP, BOTTOM), (LEFT, RIGHT))[edge % 2]
        within = view[: max(0, count - 2)].astype(np.int16)  # what the compression leaves at the border is no light
        light = int(np.abs(within - level).max()) if within.size and not with_text else 0
        beside = view[count : count + SOFT + 1, counts[one] : view.shape[1] - counts[other]] if count else view[:0]
        seen = np.abs(beside.astype(np.int16) - level) > STANDS_OUT
        clear = np.flatnonzero(seen.mean(axis=1) >= BORDER_SHARE) if seen.size else np.zeros(0, np.int64)
        found.append((count + int(clear[0]) if len(clear) else count, bool(len(clear)), level, light))
    return tuple(found)


def _even_lines(view: NDArray[np.uint8], level: int, least: float = EVEN_SHARE) -> int:
    """How many of the first lines [line, along] have this level. least: share of the pixels of a line."""
    most = 1
    while True:  # usually the first line is not even, and nothing else need be looked at
        even = (np.abs(view[:most].astype(np.int16) - level) <= EVEN).mean(axis=1) >= least
        if not even.all():
            return int(np.argmin(even))
        if most == len(view):
            return most
        most = min(len(view), 8 * most)


def _bars_at(seen: NDArray[np.int32], picture: NDArray[np.bool_]) -> list[_Bar]:
    """Bars that some stretch of frames has at one edge. seen: [frames, edge as in Edges]."""
    lines, straight = seen[:, 0], seen[:, 1].astype(bool) & picture
    votes = np.bincount(lines[straight], minlength=1)
    around = np.convolve(votes, np.ones(2 * SAME + 1, np.int64), "same")[: len(votes)]
    bars: list[_Bar] = []
    for count in np.argsort(-votes, kind="stable").tolist():
        if count < LEAST_LINES or around[count] < LEAST_FRAMES or votes[count] == 0:
            continue
        if any(abs(count - bar.lines) <= 2 * SAME for bar in bars) or len(bars) == MOST_LEVELS:
            continue
        if _wandering(votes, count) <= SMEARED * around[count]:
            level = float(np.median(seen[straight & (np.abs(lines - count) <= SAME), 2]))
            bars.append(_Bar(count, level))
    return _holding(seen, picture, bars)


def _holding(seen: NDArray[np.int32], picture: NDArray[np.bool_], bars: list[_Bar]) -> list[_Bar]:
    """Those that are bars in the frames that they explain best."""
    while bars:
        explained = _explained(seen, picture, bars)
        wrong = [bar for bar in bars if not _holds(bar, seen, picture & (explained == bar.lines))]
        if not wrong:
            break
        bars = [bar for bar in bars if bar not in wrong]
    return bars


def _wandering(votes: NDArray[np.int64], count: int) -> int:
    """Frames with a straight border near to this one. Another bar is none of them: nothing is between the two."""

    def at(lines: int) -> int:
        return int(votes[lines]) if 0 < lines < len(votes) and abs(lines - count) > SAME else 0

    def is_bar(lines: int) -> bool:
        beside = at(lines - 2 * SAME) + at(lines + 2 * SAME)
        return at(lines) >= GATHERED * votes[count] and beside <= SMEARED * at(lines)

    near = [lines for lines in range(count - NEAR, count + NEAR + 1) if at(lines)]
    return sum(at(lines) for lines in near if not any(is_bar(lines + step) for step in range(-SAME, SAME + 1)))


def _holds(bar: _Bar, seen: NDArray[np.int32], own: NDArray[np.bool_]) -> bool:
    """Is it a bar in these frames?"""
    count = int(own.sum())
    if count < LEAST_FRAMES:
        return False
    lines, straight, level, light = seen[own, 0], seen[own, 1].astype(bool), seen[own, 2], seen[own, 3]
    near = np.abs(lines - bar.lines) <= SOFT
    clear = straight & (np.abs(lines - bar.lines) <= SAME)
    return bool(
        (near if bar.is_twin else clear).mean() >= CLEAR
        and (lines < bar.lines - SOFT).mean() <= AGAINST
        and (light[near] > LIGHT).mean() <= AGAINST
        and (np.abs(level - bar.level) > STEADY).mean() <= AGAINST
    )


def _has_twin(bar: _Bar, opposite: Sequence[_Bar]) -> bool:
    return any(abs(bar.lines - one.lines) <= 2 * SAME and abs(bar.level - one.level) <= STEADY for one in opposite)


def _explained(seen: NDArray[np.int32], picture: NDArray[np.bool_], bars: Sequence[_Bar]) -> NDArray[np.int32]:
    """Lines of the bar at one edge, of each frame."""
    values = np.array([0, *(bar.lines for bar in bars)], np.int32)
    if not bars:
        return np.zeros(len(seen), np.int32)
    lines, straight = seen[:, :1], seen[:, 1:2].astype(bool)
    more = np.where(straight, SHARPER_COST, DARKER_COST)
    cost = np.where(lines < values - SOFT, 1.0, np.where(lines > values + SAME, more, 0.0))
    cost[~picture] = 0.0
    total = cost[0].copy()
    came_from = np.zeros(cost.shape, np.int32)
    for at in range(1, len(cost)):
        best = int(np.argmin(total))
        stay = total <= total[best] + CHANGE_COST
        came_from[at] = np.where(stay, np.arange(len(values)), best)
        total = np.where(stay, total, total[best] + CHANGE_COST) + cost[at]
    state = int(np.argmin(total))
    path = np.empty(len(cost), np.int32)
    for at in range(len(cost) - 1, -1, -1):
        path[at] = state
        state = int(came_from[at, state])
    return values[path]


def _lines(row: NDArray[np.int32]) -> Lines:
    left, top, right, bottom = row.tolist()
    return left, top, right, bottom
