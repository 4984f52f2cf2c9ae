"""Shots: the parts of clips between shot boundaries (hard cuts). One shot has one lens, and belongs to one place."""

from __future__ import annotations

import bisect
from collections.abc import Iterable
from dataclasses import dataclass

from runner.scene.frames import ClipInfo, Frame, FrameSet
from scenejobs.wording import listed

NAMED_FILMS, NAMED_CUTS, NAMED_PHOTOS = 3, 12, 3  # in one message


@dataclass(frozen=True)
class Shot:
    """The chosen frames of one shot, in time order; never empty."""

    clip: ClipInfo
    number: int  # in its clip, from 0
    frames: tuple[Frame, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """Image names."""
        return tuple(frame.image for frame in self.frames)

    def seconds(self, registered: set[str]) -> float:
        """How long it is, as far as its frames are registered."""
        length_s = self.frames[-1].timestamp_s - self.frames[0].timestamp_s
        return length_s * sum(name in registered for name in self.names) / len(self.frames)

    @property
    def title(self) -> str:
        """ "a.mp4", or "a.mp4 3.2-6.0 s" where the clip has cuts."""
        return which(self.frames) if self.clip.cuts_s else self.clip.name


def shots_of(frames: FrameSet) -> list[Shot]:
    """Clip after clip."""
    found = []
    for clip in frames.clips:
        parts: dict[int, list[Frame]] = {}
        for frame in frames.frames:
            if frame.video == clip.name:
                parts.setdefault(bisect.bisect_right(clip.cuts_s, frame.timestamp_s), []).append(frame)
        found += [Shot(clip, number, tuple(part)) for number, part in sorted(parts.items())]
    return found


def cut_films(clips: Iterable[ClipInfo]) -> str:
    """Clips with shot boundaries, in words: "a.mp4 is an edited film: it is cut at 1.2, 3.0 s"; empty without any."""
    cut = [clip for clip in clips if clip.cuts_s]
    said = []
    for clip in cut:
        more = f" and {len(clip.cuts_s) - NAMED_CUTS} times more" if len(clip.cuts_s) > NAMED_CUTS else ""
        times = ", ".join(f"{time_s:.1f}" for time_s in clip.cuts_s[:NAMED_CUTS])
        said.append(f"{clip.name} is an edited film: it is cut at {times} s{more}")
    return listed(said, NAMED_FILMS, "; ")


def spans(frames: Iterable[tuple[str, float]]) -> str:
    """Clips and times of frames (video, seconds): "a.mp4 0.0-2.3 s, b.mp4 1.0-4.0 s"."""
    found: dict[str, tuple[float, float]] = {}
    for video, time_s in frames:
        low, high = found.get(video, (time_s, time_s))
        found[video] = (min(low, time_s), max(high, time_s))
    return ", ".join(f"{video} {low:.1f}-{high:.1f} s" for video, (low, high) in found.items())


def which(frames: Iterable[Frame]) -> str:
    """Frames as people find them: films by clip and time, photos by name: "a.mp4 0.0-2.3 s, b.jpg"."""
    every = list(frames)
    films = spans((frame.video, frame.timestamp_s) for frame in every if frame.photo is None)
    photos = listed([frame.photo for frame in every if frame.photo is not None], NAMED_PHOTOS)
    return ", ".join(filter(None, (films, photos)))


def gaps(shots: Iterable[Shot], registered: Iterable[str]) -> tuple[str, ...]:
    """Runs of frames that were not registered: "a.mp4 2.0-4.1 s (7 frames)", "a.jpg, b.jpg (2 photos)"."""
    inside, found = set(registered), []
    for shot in shots:
        run: list[Frame] = []
        for frame in (*shot.frames, None):
            if frame is not None and frame.image not in inside:
                run.append(frame)
            elif run:
                kind = "frame" if run[0].photo is None else "photo"
                found.append(f"{which(run)} ({len(run)} {kind}{'s' if len(run) > 1 else ''})")
                run = []
    return tuple(found)
