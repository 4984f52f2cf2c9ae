"""Which frames of a long film are decoded: groups of packets from keyframes on, spread evenly over its time. Pure.

Nothing is lost by it that would have been used: a scene takes some hundred frames, and a group gives several to choose
the sharpest from. The file is read as a whole and only the groups are decoded, so that no index has to be right and no
format needs to know how to seek; an hour of 4K is read in seconds and would be decoded for an hour.

A film that shows the same again and again (a clip repeated by stream copy) would show little of it at its keyframes
alone, and nothing new where the groups keep time with it. So where groups begin varies, and some of them go on up to
the next keyframe.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from runner.media.video.clock import Clock
from runner.media.video.mpeg_order import UNKNOWN
from runner.media.video.packets import MISSING, Packets, Times
from scenejobs.wording import listed

MAX_GROUPS = 1200  # of one film: three for each frame of the largest budget
GROUP = 5  # frames at least, where there are more keyframes than groups
SPARE = 0.25  # of the frames, which groups of GROUP leave, where there are more than FEW groups
FEW = 16  # groups; fewer are as far from each other as can be, or a wide gap would be between them
GOLDEN = (5**0.5 - 1) / 2  # its multiples keep time with nothing
WHOLE = 0.5  # of the frames that groups of GROUP leave: for groups up to the next keyframe; the rest is for all groups
WIDE_GAP = 0.25  # of a film; of what is missing for longer, it is said that it was not looked at
NAMED = 4  # parts of a film
RESTART_S = 2.0  # back by more than that, a clock began anew; by less, frames are decoded in another order than shown
# Pixels decoded in one pass: 10,000 pictures of 4K take 2 slow cores some minutes, those of 8K a quarter as many.
MAX_PIXELS = 10_000 * 3840 * 2160


@dataclass(frozen=True)
class Group:
    """Packets that are decoded one after the other."""

    first: int  # number of its keyframe among the packets
    end: int  # of the first one that is left out again


@dataclass(frozen=True)
class Plan:
    """What to decode, and what it will be."""

    groups: tuple[Group, ...]
    numbers: Times  # [packets] number of the frame among all that are shown, in the order of showing; -1: not shown
    pts: Times  # [packets]
    times_s: NDArray[np.float64]  # [frames] since the first one, increasing
    lead: int = 0  # frames after the beginning of a group that do not come out, see `lead.py`

    def only(self, wanted: frozenset[int]) -> Plan:
        """With the groups that give one of these frames."""
        numbers = np.array(sorted(wanted))
        kept = tuple(group for group in self.groups if np.isin(self.numbers[group.first : group.end], numbers).any())
        return Plan(kept, self.numbers, self.pts, self.times_s, self.lead)

    def is_decoded(self, packet: int, group: Group) -> bool:
        """What follows a keyframe and is shown before it may need the frames before that. What an edit list cuts away
        is decoded: frames after the cut are made from it."""
        number = int(self.numbers[packet])
        return number < 0 or number >= int(self.numbers[group.first])

    def begins(self, group: Group) -> int:
        """Number of the first frame that comes out of it."""
        return max(0, int(self.numbers[group.first])) + (self.lead if group.first else 0)

    @property
    def planned(self) -> int:
        """Frames that decode when nothing is damaged."""
        return sum(
            int(self.numbers[packet]) >= self.begins(each)
            for each in self.groups for packet in range(each.first, each.end)
        )  # fmt: skip


@dataclass(frozen=True)
class Thinned:
    """What there is of a film that is too long to be decoded as a whole."""

    frames: int
    lasts_s: float  # from its first frame to its last

    @property
    def fps(self) -> float:
        return (self.frames - 1) / self.lasts_s if self.frames > 1 and self.lasts_s > 0 else 30.0

    def told(self, seen_s: Sequence[float]) -> str:
        """seen_s: times of the frames that were looked at, increasing."""
        parts = self.parts(seen_s)
        where = "from all of its parts"
        if not self.is_covered(parts):
            named = listed([f"{start:.0f} to {end:.0f} s" for start, end in parts], NAMED)
            where = f"from {named} of {self.lasts_s:.0f} s (there is no keyframe elsewhere, where decoding can begin)"
        return f"it is long: {len(seen_s):,} of its {self.frames:,} frames, {where}, were looked at"

    def parts(self, seen_s: Sequence[float]) -> list[tuple[float, float]]:
        """Start and end of each stretch of the film from which frames come without a wide gap."""
        found: list[tuple[float, float]] = []
        for time_s in seen_s:
            if found and time_s - found[-1][1] <= self._wide_s:
                found[-1] = (found[-1][0], time_s)
            else:
                found.append((time_s, time_s))
        return found

    def is_covered(self, parts: Sequence[tuple[float, float]]) -> bool:
        """Whether the parts are the whole film."""
        return (
            len(parts) == 1 and parts[0][0] <= self._wide_s and parts[0][1] >= self.lasts_s - self._wide_s
        )  # fmt: skip

    @property
    def _wide_s(self) -> float:
        return WIDE_GAP * self.lasts_s


def allowance(max_frames: int, width: int, height: int) -> int:
    """Frames of this size that one pass decodes at most."""
    return max(1, min(max_frames, MAX_PIXELS // max(1, width * height)))


def plan(packets: Packets, interval_s: float, most: int, lead: int | None = 0) -> Plan:
    """Groups of at most `most` packets in all. interval_s: between frames, where the timestamps do not say.

    lead: see `lead.py`; None: decoding begins at the first keyframe only.
    """
    numbers, times_s = _order_of_showing(packets, interval_s)
    keys = np.flatnonzero(packets.is_key & (numbers >= 0))
    if len(keys) == 0:
        keys = np.array([0])
    if lead is None or lead + GROUP > most:
        keys, lead = keys[:1], 0
    keys = keys[(numbers[keys] + lead + GROUP <= len(times_s)) | (keys == keys[0])]
    fit = most // (GROUP + lead)
    count = max(1, min(MAX_GROUPS, max(int((1 - SPARE) * fit), min(FEW, fit))))
    starts = _spread(keys, times_s[np.maximum(numbers[keys], 0)], count)
    following = [*keys[np.searchsorted(keys, starts[:-1]) + 1].tolist(), len(numbers)]
    return Plan(_groups(starts, following, numbers, most, GROUP + lead), numbers, packets.pts, times_s, lead)


def _groups(
    starts: NDArray[np.int64], following: list[int], numbers: Times, most: int, least: int
) -> tuple[Group, ...]:
    """From each start on as many frames as there is room for; what touches is one group. following: of each start, the
    next keyframe, up to which some go."""
    ends = [*starts.tolist()[1:], len(numbers)]
    whole = _whole([end - start for start, end in zip(starts.tolist(), following, strict=True)], most, least)
    gaps = [end - start for start, end in zip(starts.tolist(), ends, strict=True)]
    left = iter(_share([gap for gap, length in zip(gaps, whole, strict=True) if not length], most - sum(whole)))
    lengths = [length or next(left) for length in whole]
    found: list[Group] = []
    for start, end, length in zip(starts.tolist(), ends, lengths, strict=True):
        if found and found[-1].end == start:
            found[-1] = Group(found[-1].first, start + length)
            continue
        decodable = start + np.flatnonzero(numbers[start:end] >= numbers[start])
        found.append(Group(start, int(decodable[min(length, len(decodable)) - 1]) + 1))
    return tuple(found)


def _whole(gaps: list[int], most: int, least: int) -> list[int]:
    """The lengths of some, spread evenly, that go up to the next keyframe; 0 for the others. gaps: up to it."""
    spare = WHOLE * (most - least * len(gaps))
    longer = [max(0, gap - least) for gap in gaps]
    every = max(2, math.ceil(sum(longer) / spare)) if spare > 0 else len(gaps) + 1
    lengths = [0] * len(gaps)
    for number, start in enumerate(range(0, len(gaps), every)):
        index = min(len(gaps) - 1, start + int(number * GOLDEN % 1 * every))
        if 0 < longer[index] <= spare:
            lengths[index], spare = gaps[index], spare - longer[index]
    return lengths


def _share(gaps: list[int], most: int) -> list[int]:
    """Each gets the same, and nobody more than it has."""
    left, waiting = most, len(gaps)
    lengths = [0] * len(gaps)
    for index in sorted(range(len(gaps)), key=lambda index: gaps[index]):
        lengths[index] = min(gaps[index], max(1, left // waiting))
        left, waiting = left - lengths[index], waiting - 1
    return lengths


def _spread(keys: NDArray[np.int64], times_s: NDArray[np.float64], count: int) -> NDArray[np.int64]:
    """`count` of the keyframes, one at a time of its own within each equal part of the film; all where there are no
    more. With the first and the last."""
    if len(keys) <= count:
        return keys
    targets = np.linspace(times_s[0], times_s[-1], count)
    if count > FEW:
        part = np.arange(1, count - 1)
        targets[1:-1] = times_s[0] + (times_s[-1] - times_s[0]) * (part + part * GOLDEN % 1) / count
    chosen: NDArray[np.int64] = keys[np.unique(np.minimum(np.searchsorted(times_s, targets), len(keys) - 1))]
    return chosen


def _order_of_showing(packets: Packets, interval_s: float) -> tuple[Times, NDArray[np.float64]]:
    """numbers [packets] and times [frames], see Plan."""
    shown = np.flatnonzero(~packets.is_discarded)
    pts, dts, unit = packets.pts[shown], packets.dts[shown], packets.time_base
    order, places = np.arange(len(shown)), packets.places[shown]
    if len(places) and (places != UNKNOWN).all() and not _begins_anew(pts, unit):
        order = np.argsort(places, kind="stable")
        pts = pts.copy()
        pts[order] = _rising(pts[order])
    elif (pts == MISSING).any():
        pts = dts  # then the order of decoding is the only one there is
    elif unit:
        order = np.lexsort((pts, _stretches(pts, RESTART_S / float(unit))))
    clock = Clock(interval_s)
    ticks = pts[order].tolist()
    times_s = np.array([clock.read(None if tick == MISSING else tick, unit) for tick in ticks])
    numbers = np.full(len(packets), -1, np.int64)
    numbers[shown[order]] = np.arange(len(shown))
    return numbers, times_s


def _begins_anew(pts: Times, unit: Fraction | None) -> bool:
    """Whether the clock does, as where films were joined."""
    known = pts[pts != MISSING]
    return bool(unit and len(known) and _stretches(known, RESTART_S / float(unit)).any())


def _rising(pts: Times) -> Times:
    """In the order of showing, with those between others that are missing or go back: demuxers guess what a program
    stream does not state, and are wrong by some frames for a group of pictures."""
    latest = np.maximum.accumulate(pts)
    known = np.flatnonzero((pts != MISSING) & (np.r_[True, pts[1:] > latest[:-1]]))
    inside = np.arange(len(pts)) <= (known[-1] if len(known) else -1)
    between = np.interp(np.arange(len(pts)), known, pts[known]).round().astype(np.int64) if len(known) else pts
    return np.where(inside, between, MISSING)


def _stretches(pts: Times, restart: float) -> Times:
    """[packets] how often the clock began anew before."""
    before = np.maximum.accumulate(pts)
    if not (pts < before - restart).any():
        return np.zeros(len(pts), np.int64)
    found, stretch, latest = [], 0, int(pts[0])
    for tick in pts.tolist():
        if tick < latest - restart:
            stretch, latest = stretch + 1, tick
        latest = max(latest, tick)
        found.append(stretch)
    return np.array(found, np.int64)
