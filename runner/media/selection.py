"""Which frames of the captures to keep, under one budget over all of them: the preferred ones, or the best ones.

Every shot of an edited clip counts as a clip.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

from runner.media.captures import Capture
from runner.media.frame_preference import Preferred
from runner.media.frame_selection import choose
from runner.media.measures import Seen
from runner.media.settings import FrameSettings
from runner.media.shot_detection import Cuts, find_cuts, shots


@dataclass(frozen=True)
class Choice:
    """The captures with their cuts noted; and the same with the chosen frames only."""

    captures: list[Capture]
    kept: list[Capture]


def choose_frames(captures: Sequence[Capture], settings: FrameSettings, preferred: Preferred, least: int) -> Choice:
    """At most settings.budget frames: the preferred ones first. They are left aside where no others may be added and
    they are fewer than `least`."""
    first = preferred.first
    if first and preferred.others:
        picked = _with_others(captures, settings, first)
    elif first and sum(map(len, first)) >= least:
        picked = first
    else:
        picked = best_frames(captures, settings, preferred.favoured)
    noted = [_with_cuts(capture, _cuts(capture)) for capture in captures]
    return Choice(noted, [capture.only(indices) for capture, indices in zip(noted, picked, strict=True)])


def best_frames(
    captures: Sequence[Capture], settings: FrameSettings, favoured: Sequence[Container[int]] = (),
    among: Sequence[Container[int]] | None = None,
) -> list[list[int]]:  # fmt: skip
    """Indices of the best frames of each capture, at most settings.budget over all of them.

    favoured: of each capture, numbers of the frames that win in their window. among: of each capture, indices of the
    frames to choose from; None: all of them.
    """
    found: list[list[int]] = [[] for _ in captures]
    pieces = [
        (number, left)
        for number, capture in enumerate(captures)
        for piece in _shots(capture)
        if (left := [index for index in piece if among is None or index in among[number]])
    ]
    if not pieces or settings.budget < 1:
        return found
    picked = choose(
        [_from_its_start([captures[number].one.seen[i] for i in piece]) for number, piece in pieces],
        settings.budget, settings.rate_fps, [captures[number].is_photos for number, _ in pieces],
        [favoured[number] for number, _ in pieces] if favoured else (),
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
        frozenset(range(len(capture.one.seen))).difference(preferred)
        if capture.is_photos or not preferred
        else frozenset[int]()
        for capture, preferred in zip(captures, first, strict=True)
    ]
    room = replace(settings, budget=settings.budget - sum(map(len, first)))
    more = best_frames(captures, room, among=others)
    return [sorted([*preferred, *added]) for preferred, added in zip(first, more, strict=True)]


def _cuts(capture: Capture) -> Cuts:
    return Cuts() if capture.is_photos else find_cuts(capture.one.seen)


def _shots(capture: Capture) -> list[list[int]]:
    """Indices into its frames, one list for each shot."""
    return shots(len(capture.one.seen), _cuts(capture))


def _from_its_start(seen: Sequence[Seen]) -> list[Seen]:
    """A shot's travel begins with the shot: what its clip travelled before says nothing about it."""
    return [replace(one, travel=one.travel - seen[0].travel) for one in seen]


def _with_cuts(capture: Capture, cuts: Cuts) -> Capture:
    """The capture whose facts say where it is cut."""
    seen, info = capture.one.seen, capture.one.info
    times = tuple(seen[start].timestamp_s for start in cuts.starts)
    warnings = info.warnings
    if times:
        warnings += (f"the recording is cut at {', '.join(f'{time:.1f}' for time in times)} s",)
    if cuts.strays:
        at = ", ".join(f"{seen[index].timestamp_s:.1f}" for index in cuts.strays)
        warnings += (f"single frames of something else are left out at {at} s",)
    return replace(capture, one=replace(capture.one, info=replace(info, cuts_s=times, warnings=warnings)))
