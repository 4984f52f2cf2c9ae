"""Files that the result does without: those of the frame stage, and those of which no picture was placed."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection

from runner.scene.frames import FrameSet
from scenejobs.errors import UnusedFile


def not_used(frames: FrameSet, lost: Collection[str]) -> tuple[UnusedFile, ...]:
    """Every file that the result does without, refused ones first. lost: images that have no camera."""
    return (*frames.not_used, *unplaced(frames, lost))


def unplaced(frames: FrameSet, lost: Collection[str]) -> list[UnusedFile]:
    """Videos and photos that were looked at, and of which nothing is in the scene."""
    source = {clip.name: clip.source or clip.name for clip in frames.clips}
    photos = {frame.video for frame in frames.frames if frame.photo is not None}
    chosen = Counter({source[clip.name]: 0 for clip in frames.clips if clip.name not in photos})
    found: defaultdict[str, int] = defaultdict(int)
    for frame in frames.frames:
        name = frame.photo or source.get(frame.video, frame.video)
        chosen[name] += 1
        found[name] += frame.image not in lost
    told, photo_names = {each.name for each in frames.not_used}, {frame.photo for frame in frames.frames}
    return [
        UnusedFile(name, _why(count, name in photo_names))
        for name, count in chosen.items()
        if not found[name] and name not in told
    ]


def _why(chosen: int, is_photo: bool) -> str:
    if is_photo:
        return "it could not be placed beside the others"
    if not chosen:
        return "none of its frames was chosen; a larger --frames (FRAME_COUNT) takes more"
    return f"none of its frames ({chosen} were chosen) could be placed beside the others"
