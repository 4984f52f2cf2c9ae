"""Which frames of the captures to keep, under one budget over all of them: the preferred ones, or the best ones.

Every shot of an edited clip counts as a clip.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from runner.media.captures import Capture
from runner.media.selection.budget import choose
from runner.media.selection.measures import BLANK, FrameMeasures
from runner.media.selection.preference import Preferred
from runner.media.selection.repeats import Repeats, find_repeats
from runner.media.selection.shot_detection import ShotBoundaries, find_shot_boundaries, shots
from runner.media.settings import FrameSettings


@dataclass(frozen=True)
class Choice:
    """The captures with their cuts noted; and the same with the chosen frames only."""

    captures: list[Capture]
    kept: list[Capture]


def choose_frames(captures: Sequence[Capture], settings: FrameSettings, preferred: Preferred, least: int) -> Choice:
    """At most settings.budget frames: the preferred ones first. They are left aside where no others may be added and
    they are fewer than `least`."""
    first = preferred.first
    picked: Sequence[Sequence[int]]
    if first and preferred.others:
        picked = _with_others(captures, settings, first)
    elif first and sum(map(len, first)) >= least:
        picked = first
    else:
        picked = best_frames(captures, settings, preferred.in_window)
    noted = [_with_boundaries(capture, _boundaries(capture)) for capture in captures]
    return Choice(noted, [capture.only(indices) for capture, indices in zip(noted, picked, strict=True)])


def best_frames(
    captures: Sequence[Capture], settings: FrameSettings, preferred: Sequence[Container[int]] = (),
    among: Sequence[Container[int]] | None = None,
) -> list[list[int]]:  # fmt: skip
    """Indices of the best frames of each capture, at most settings.budget over all of them.

    preferred: of each capture, numbers of the frames that win in their window. among: of each capture, indices of the
    frames to choose from; None: all of them.
    """
    found: list[list[int]] = [[] for _ in captures]
    repeats = [_repeats(capture) for capture in captures]
    out = [repeats[number].again | _blank(capture) for number, capture in enumerate(captures)]
    pieces = [
        (number, left)
        for number, capture in enumerate(captures)
        for piece in _shots(capture)
        if (left := [i for i in piece if i not in out[number] and (among is None or i in among[number])])
    ]
    if not pieces or settings.budget < 1:
        return found
    picked = choose(
        [_as_they_follow(captures[number].measures, piece, repeats[number]) for number, piece in pieces],
        settings.budget, settings.rate_fps, [captures[number].is_photos for number, _ in pieces],
        [preferred[number] for number, _ in pieces] if preferred else (),
    )  # fmt: skip
    for (number, piece), indices in zip(pieces, picked, strict=True):
        found[number] += [piece[i] for i in indices]
    return found


def usable_frames(captures: Sequence[Capture]) -> list[list[int]]:
    """Indices of the frames of each capture that may be chosen: all but the strays of an edited clip."""
    return [[index for piece in _shots(capture) for index in piece] for capture in captures]


def _with_others(
    captures: Sequence[Capture], settings: FrameSettings, first: Sequence[Sequence[int]]
) -> list[list[int]]:
    """These frames, and others as far as there is room. A video that gives some of these gives no others; a set of
    photos does."""
    others = [
        frozenset(range(len(capture.measures))).difference(preferred)
        if capture.is_photos or not preferred
        else frozenset[int]()
        for capture, preferred in zip(captures, first, strict=True)
    ]
    room = replace(settings, budget=settings.budget - sum(map(len, first)))
    more = best_frames(captures, room, among=others)
    return [sorted([*preferred, *added]) for preferred, added in zip(first, more, strict=True)]


def _boundaries(capture: Capture) -> ShotBoundaries:
    return ShotBoundaries() if capture.is_photos else find_shot_boundaries(capture.measures)


def _repeats(capture: Capture) -> Repeats:
    return Repeats(frozenset(), ()) if capture.is_photos else find_repeats(capture.measures)


def _blank(capture: Capture) -> frozenset[int]:
    """Of a film, indices of frames between scenes and before it fades in: none where these are half of it, which is
    told by what is chosen."""
    blank = [index for index, frame in enumerate(capture.measures) if frame.sharpness < BLANK]
    return frozenset() if capture.is_photos or 2 * len(blank) >= len(capture.measures) else frozenset(blank)


def _shots(capture: Capture) -> list[list[int]]:
    """Indices into its frames, one list for each shot."""
    return shots(len(capture.measures), _boundaries(capture))


def _as_they_follow(frames: Sequence[FrameMeasures], piece: Sequence[int], repeats: Repeats) -> list[FrameMeasures]:
    """Those of a shot. repeats: of the whole film."""
    if repeats.is_most:
        return repeats.without_gaps(frames, piece)
    return _from_its_start([frames[index] for index in piece])


def _from_its_start(frames: Sequence[FrameMeasures]) -> list[FrameMeasures]:
    """A shot's travel begins with the shot: what its clip travelled before says nothing about it."""
    return [replace(one, travel=one.travel - frames[0].travel) for one in frames]


def _with_boundaries(capture: Capture, boundaries: ShotBoundaries) -> Capture:
    """The capture whose facts say where it is cut."""
    frames, info = capture.measures, capture.info
    times = tuple(frames[start].timestamp_s for start in boundaries.starts)
    warnings = info.warnings
    if times:
        warnings += (f"the recording is cut at {', '.join(f'{time:.1f}' for time in times)} s",)
    if boundaries.strays:
        at = ", ".join(f"{frames[index].timestamp_s:.1f}" for index in boundaries.strays)
        warnings += (f"single frames of something else are left out at {at} s",)
    if said := _repeats(capture).told():
        warnings += (said,)
    return replace(capture, survey=replace(capture.survey, info=replace(info, cuts_s=times, warnings=warnings)))
