"""Which pictures of the takes to keep, under one budget over all of them: the best ones, or those with known poses.

Every shot of an edited clip counts as a clip.
"""

from __future__ import annotations

import tempfile
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.cache.store import StageCache
from runner.media.captures import Take
from runner.media.frame_selection import choose
from runner.media.measures import Seen
from runner.media.settings import FrameSettings
from runner.media.shot_detection import Cuts, find_cuts, shots
from runner.poses.reuse.known_poses import chosen_before, chosen_name, frame_keys, known_poses, most_useful
from runner.poses.settings import PoseSettings
from runner.scene.frames import FrameSet
from runner.scene.sizes import shrink

Sources = tuple[tuple[str, str], ...]  # Clip.name and SHA-256 of every file


@dataclass(frozen=True)
class Choice:
    """The takes with their cuts told; and the same with the chosen pictures only."""

    takes: list[Take]
    kept: list[Take]


def choose_pictures(
    takes: Sequence[Take], settings: FrameSettings, sources: Sources = (), cache: StageCache | None = None,
    poses: PoseSettings | None = None, least: int = 0,
) -> Choice:  # fmt: skip
    """At most settings.budget pictures. Where the cache has poses that serve a search with the settings `poses`, only
    pictures that have one are chosen from, unless fewer than `least` are left; else those that have features are
    preferred."""
    told, pieces = _pieces(takes)
    with tempfile.TemporaryDirectory() as folder:
        liked = [_liked(take, settings, dict(sources), cache, poses, Path(folder)) for take in takes]
    free = _chosen(takes, pieces, settings, liked)
    choice = Choice(told, [take.only(indices) for take, indices in zip(told, free, strict=True)])
    if cache is None or poses is None or (wanted := frame_keys(frame_set(choice.kept, sources))) is None:
        return choice
    with tempfile.TemporaryDirectory() as folder:
        found = list(known_poses(cache, frame_set([], sources), poses, Path(folder)))
    best = most_useful(found, wanted, poses)
    if best is None:
        return choice
    known = _among(takes, pieces, best.images, sources)
    if sum(len(piece) for _, piece in known) <= len(wanted):
        picked = _of_takes(takes, known)
    else:  # how many per second there may be is in the number of the wanted ones
        picked = _chosen(takes, known, replace(settings, budget=len(wanted), rate_fps=None), liked)
    if sum(map(len, picked)) < least:
        return choice
    return Choice(told, [take.only(indices) for take, indices in zip(told, picked, strict=True)])


def choose_around(takes: Sequence[Take], settings: FrameSettings, posed: Sequence[Sequence[int]]) -> Choice:
    """The pictures that have poses of the user's, and others as far as there is room. posed: their indices, per take.

    A video of which frames have poses gives no others; photos without one may be placed by the ones that have one.
    """
    told, pieces = _pieces(takes)
    free = [
        (number, left)
        for number, piece in pieces
        if takes[number].is_photos or not posed[number]
        if (left := [index for index in piece if index not in posed[number]])
    ]
    room = settings.budget - sum(map(len, posed))
    nothing = [frozenset[int]() for _ in takes]
    more = _chosen(takes, free, replace(settings, budget=room), nothing) if free and room else [[] for _ in takes]
    wanted = [sorted([*given, *others]) for given, others in zip(posed, more, strict=True)]
    return Choice(told, [take.only(indices) for take, indices in zip(told, wanted, strict=True)])


def frame_set(takes: Sequence[Take], sources: Sources) -> FrameSet:
    """Of all pictures of the takes."""
    infos = tuple(take.one.info for take in takes)
    return FrameSet(infos, tuple(frame for take in takes for frame in take.frames()), sources=sources)


Pieces = Sequence[tuple[int, list[int]]]  # number of a take, indices into its pictures


def _pieces(takes: Sequence[Take]) -> tuple[list[Take], Pieces]:
    """The takes with their cuts told, and the shots between them."""
    cut = [Cuts() if take.is_photos else find_cuts(take.one.seen) for take in takes]
    told = [_told(take, cuts) for take, cuts in zip(takes, cut, strict=True)]
    return told, [
        (number, piece)
        for number, (take, cuts) in enumerate(zip(takes, cut, strict=True))
        for piece in shots(len(take.one.seen), cuts)
    ]


def _liked(
    take: Take, settings: FrameSettings, content: Mapping[str, str], cache: StageCache | None,
    poses: PoseSettings | None, folder: Path,
) -> frozenset[int]:  # fmt: skip
    """Numbers of the frames of a video that have features, found as `poses` asks in pictures of the same size."""
    info = take.one.info
    if cache is None or poses is None or take.is_photos or take.clips[0].name not in content:
        return frozenset()
    size = shrink(info.width, info.height, settings.long_side)
    return chosen_before(cache, chosen_name(content[take.clips[0].name], size, poses), folder)


def _chosen(
    takes: Sequence[Take], pieces: Pieces, settings: FrameSettings, liked: Sequence[frozenset[int]]
) -> list[list[int]]:
    """Indices of the best pictures of each take."""
    picked = choose(
        [_from_its_start([takes[number].one.seen[i] for i in piece]) for number, piece in pieces],
        settings.budget, settings.rate_fps, [takes[number].is_photos for number, _ in pieces],
        [liked[number] for number, _ in pieces],
    )  # fmt: skip
    return _of_takes(takes, [
        (number, [piece[i] for i in indices]) for (number, piece), indices in zip(pieces, picked, strict=True)
    ])  # fmt: skip


def _of_takes(takes: Sequence[Take], pieces: Pieces) -> list[list[int]]:
    found: list[list[int]] = [[] for _ in takes]
    for number, piece in pieces:
        found[number] += piece
    return found


def _among(takes: Sequence[Take], pieces: Pieces, known: Container[str], sources: Sources) -> Pieces:
    """The pieces with known pictures only; none is empty."""
    keys = [frame_keys(frame_set([take], sources)) or [] for take in takes]
    left = [(number, [i for i in piece if keys[number][i] in known]) for number, piece in pieces]
    return [(number, piece) for number, piece in left if piece]


def _from_its_start(seen: Sequence[Seen]) -> list[Seen]:
    """A shot's travel begins with the shot: what its clip travelled before says nothing about it."""
    return [replace(one, travel=one.travel - seen[0].travel) for one in seen]


def _told(take: Take, cuts: Cuts) -> Take:
    """The take whose facts say where it is cut."""
    seen, info = take.one.seen, take.one.info
    times = tuple(seen[start].timestamp_s for start in cuts.starts)
    warnings = info.warnings
    if times:
        warnings += (f"the recording is cut at {', '.join(f'{time:.1f}' for time in times)} s",)
    if cuts.strays:
        at = ", ".join(f"{seen[index].timestamp_s:.1f}" for index in cuts.strays)
        warnings += (f"single frames of something else are left out at {at} s",)
    return replace(take, one=replace(take.one, info=replace(info, cuts_s=times, warnings=warnings)))
