"""Poses that an earlier run found for the same files, and which of them serve a run with other settings.

    poses-<files>-<content>   the sparse model, the report and facts about both
                              <files>: the bytes of all files of the scene, the camera model and the seed
                              <content>: the frames, their sizes, the settings
    chosen-<key>              numbers of the frames of one video that have features; <key>: its bytes, the size of the
                              images, how features are found

A frame is recognised by the bytes of its file and its number in there, not by its pixels: these have another size
with another preset. What is known is fitted to the new size (`runner/poses/colmap/rescale.py`).
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from runner.cache.store import StageCache, key
from runner.poses.settings import PoseSettings
from runner.scene.frames import FrameSet

FACTS, REPORT, CHOSEN = "facts.json", "report.json", "chosen.json"
MODEL = ("cameras.bin", "frames.bin", "images.bin", "points3D.bin", "rigs.bin")
# Of the frames that would be chosen without them: so many known ones are as good. See docs/decisions/cache.md.
SERVES = 0.6

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ReusablePoses:
    """What one entry says about itself."""

    name: str  # of the entry
    run: str  # what found them, for people: the preset
    images: Mapping[str, str]  # by the key of each frame: its name in the model
    registered: frozenset[str]  # keys of the frames that have a pose; "placed" in the file
    settings: Mapping[str, Any]  # PoseSettings without what does not decide: threads, time
    rung: Mapping[str, Any]  # that won
    zoom: float  # the longest focal length / the shortest, where the lens zooms while filming
    points: int  # of the model

    def covers(self, keys: Sequence[str]) -> bool:
        """Were all of these frames there?"""
        return set(keys) <= self.images.keys()

    def registered_of(self, count: int) -> float:
        """How many registered frames a choice of `count` of its frames has, about."""
        return len(self.registered) * min(1.0, count / max(len(self.images), 1))

    def to_json(self) -> bytes:
        """What `from_json` reads."""
        value = {**vars(self), "images": dict(self.images), "placed": sorted(self.registered)}
        del value["name"], value["registered"]
        return json.dumps(value).encode()

    @staticmethod
    def from_json(name: str, data: bytes) -> ReusablePoses:
        """Raises ValueError for what is none."""
        match json.loads(data):
            case {"run": str(run), "images": dict(images), "placed": list(placed), "rung": dict(rung),
                  "settings": {"features": int(), **_others} as settings, "zoom": float(zoom),
                  "points": int(points)}:  # fmt: skip
                pass
            case _:
                raise ValueError("it is of another kind")
        if not all(isinstance(one, str) for one in images.values()) or not images.keys() >= set(map(str, placed)):
            raise ValueError("its frames are none")
        if not re.fullmatch(r"[a-z0-9-]{1,30}", run):
            raise ValueError("its preset is none")
        return ReusablePoses(name, run, images, frozenset(map(str, placed)), settings, rung, zoom, points)


def frame_keys(frames: FrameSet) -> list[str] | None:
    """Of each frame; None where they are not known, or one file is there twice.

    Views of a 360-degree frame have its key and their direction: see `whole_frame`.
    """
    content = dict(frames.sources)
    files = {clip.name: clip.source or clip.name for clip in frames.clips}
    views = {clip.name: "" if clip.view is None else f"/{clip.view}" for clip in frames.clips}
    try:
        keys = [
            (content[frame.photo] if frame.photo else f"{content[files[frame.video]]}:{frame.index}")
            + views[frame.video]
            for frame in frames.frames
        ]
    except KeyError:
        return None
    return keys if len(set(keys)) == len(keys) else None


def whole_frame(key: str) -> str:
    """The key of the frame in its file that a key is of, or of a view of."""
    return key.partition("/")[0]


def timeless(settings: PoseSettings) -> dict[str, Any]:
    """More threads or more time do not change what the first rung gives; further ones are tried as time allows."""
    return asdict(replace(settings, threads=0, budget_s=0.0))


def prefix(frames: FrameSet, settings: PoseSettings, supplied: str = "") -> str:
    """Of the names of all entries for these files. supplied: digest of poses that the user supplies with them.

    Whoever asks for a matcher or a mapper gets no poses that another one found.
    """
    files = sorted(content for _, content in frames.sources)
    asked_for = [each for each in (settings.matcher, settings.mapper) if each != "auto"]
    more = (*asked_for, *([supplied] if supplied else []))
    return f"poses-{key(files, settings.camera_model, settings.seed, *more)}"


def reusable_poses(
    cache: StageCache, frames: FrameSet, settings: PoseSettings, folder: Path
) -> Iterator[ReusablePoses]:
    """Every whole entry for these files that can pass the gates. folder: for what is unpacked, the caller's to remove.

    The gates are part of the program, and so of the entries' names, but for MIN_RECONSTRUCTION_POINTS: it may be higher
    now. Such an entry must not even choose the frames: the search that follows would have only those.
    """
    for name in cache.names(prefix(frames, settings)):
        if not cache.get(name, [FACTS, REPORT, *MODEL], folder):
            continue
        try:
            one = ReusablePoses.from_json(name, (folder / FACTS).read_bytes())
        except (ValueError, RecursionError) as exc:
            log.warning("the cached %s is not used: %s", name, exc)
            cache.remove(name)
            continue
        needed = settings.points_for(len(one.registered))
        if one.points >= needed:
            yield one
        else:
            log.info("poses of preset %s have %d points; %d are needed", one.run, one.points, needed)


def forget_poses(cache: StageCache, frames: FrameSet, settings: PoseSettings, supplied: str = "") -> None:
    """Removes every entry for these files: a result made with one of them is suspect, so the next run looks anew.

    supplied: digest of poses that the user supplies.
    """
    for name in cache.names(f"{prefix(frames, settings, supplied)}-"):
        cache.remove(name)


def chosen_name(content: str, size: tuple[int, int], settings: PoseSettings) -> str:
    """Of the entry about one video. size: width, height of its images as they are written."""
    return f"chosen-{key(content, list(size), settings.features, settings.max_image_size, settings.seed)}"


def keep_chosen(
    cache: StageCache, frames: FrameSet, sizes: Mapping[str, tuple[int, int]], settings: PoseSettings
) -> None:
    """So that the videos of a scene that gets one more give the same frames again, as far as the budget allows."""
    content = dict(frames.sources)
    for clip in frames.clips:
        if clip.view is not None:  # the size of the whole frames, which decides about features, is not known any more
            continue
        numbers = [frame.index for frame in frames.frames if frame.video == clip.name and frame.photo is None]
        if numbers and (source := clip.source or clip.name) in content:
            cache.put(chosen_name(content[source], sizes[clip.name], settings), {CHOSEN: json.dumps(numbers).encode()})


def chosen_before(cache: StageCache, name: str, folder: Path) -> frozenset[int]:
    """Numbers of frames; none where nothing is known. folder: for what is unpacked, the caller's to remove."""
    if not cache.get(name, [CHOSEN], folder):
        return frozenset()
    try:
        match json.loads((folder / CHOSEN).read_bytes()):
            case list(numbers) if all(type(number) is int for number in numbers):
                return frozenset(numbers)
    except (ValueError, RecursionError) as exc:
        log.warning("the cached %s is not used: %s", name, exc)
    cache.remove(name)
    return frozenset()


def most_useful(found: Sequence[ReusablePoses], wanted: Sequence[str], settings: PoseSettings) -> ReusablePoses | None:
    """Whose frames to choose from instead of the `wanted` ones; None: the wanted ones are better. Pure.

    wanted: keys of the frames that would be chosen if nothing were known. Those found with the same settings first,
    then those that register most frames, then those with the most features.
    """
    serving = [one for one in found if one.registered_of(len(wanted)) >= SERVES * len(wanted)]
    return max(serving, key=lambda one: _worth(one, wanted, settings), default=None)


def _worth(one: ReusablePoses, wanted: Sequence[str], settings: PoseSettings) -> tuple[Any, ...]:
    own = dict(one.settings) == timeless(settings) and one.images.keys() == set(wanted)
    return own, round(one.registered_of(len(wanted))), one.settings["features"], one.name
