"""Which of a scene's frames and shots a model covers, in numbers for the gates and in words for people."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from runner.poses.colmap.requests import Group, Model
from runner.poses.gates import Counts
from runner.poses.settings import PoseSettings
from runner.scene.frames import FrameSet
from runner.scene.shots import Shot, gaps, shots_of, which

LOST_BELOW = 0.1  # share of a shot's frames: with fewer registered the shot counts as lost


@dataclass(frozen=True)
class Coverage:
    """The frames of one scene, to hold models against."""

    frames: FrameSet

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Of all images, in order."""
        return tuple(frame.image for frame in self.frames.frames)

    @cached_property
    def shots(self) -> tuple[Shot, ...]:
        """Clip after clip."""
        return tuple(shots_of(self.frames))

    def where(self, names: Iterable[str]) -> str:
        """Clips and times, or photos, of some images: "a.mp4 0.0-2.3 s"."""
        wanted = set(names)
        return which(frame for frame in self.frames.frames if frame.image in wanted)

    def groups(self, names: Iterable[str]) -> tuple[Group, ...]:
        """Of some images, those that share a camera: those of one shot."""
        wanted, groups = set(names), []
        for info in self.frames.clips:  # views cut out of 360-degree frames have one lens, whatever is cut
            if info.view is not None and info.focal_px is not None:
                own = tuple(f.image for f in self.frames.frames if f.video == info.name and f.image in wanted)
                known = info.focal_px / max(info.width, info.height)
                groups += [Group(names=own, focal_ratio=known, lens="pinhole")] if own else []
        for shot in self.shots:
            if shot.clip.view is not None:
                continue
            inside = tuple(name for name in shot.names if name in wanted)
            focal = shot.clip.focal_px
            ratio = None if focal is None else focal / max(shot.clip.width, shot.clip.height)
            if inside:
                lens: Literal["usual", "fisheye"] = "fisheye" if shot.clip.projection == "fisheye" else "usual"
                groups.append(Group(names=inside, focal_ratio=ratio, lens=lens))
        return tuple(groups)

    @cached_property
    def rigs(self) -> tuple[tuple[str, ...], ...]:
        """Image folders of the views of each 360-degree clip, a quarter turn from one to the next."""
        found: dict[str, list[str]] = {}
        for info in sorted(self.frames.clips, key=lambda info: info.view or 0):
            if info.view is not None:
                found.setdefault(info.source or info.name, []).append(info.folder)
        return tuple(map(tuple, found.values()))

    def shots_of_pairs(self, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
        """Titles of the shots of each two images. pairs: their names."""
        title = {name: shot.title for shot in self.shots for name in shot.names}
        return [(title[one], title[other]) for one, other in pairs]

    def shots_in(self, model: Model) -> list[Shot]:
        """Shots of which a part is registered: these are the scene."""
        inside = set(model.names)
        return [
            shot for shot in self.shots
            if sum(name in inside for name in shot.names) >= max(LOST_BELOW * len(shot.frames), 1)
        ]  # fmt: skip

    def counts(self, model: Model, settings: PoseSettings, guided: bool) -> Counts:
        """How much of the scene a model is, for the gates. guided: it is of guided matches."""
        inside, smaller, own = set(model.names), set(model.smaller_side), self.shots_in(model)
        lost = [shot for shot in self.shots if shot not in own]
        total = sum(len(shot.frames) for shot in own)
        return Counts(
            images_total=total,
            images_registered=len(inside),
            points=model.points,
            min_registered_share=settings.min_registered_share,
            min_points=settings.min_points if guided else settings.points_for(total),
            lost_clips=tuple(shot.title for shot in lost),
            lost_images=sum(len(shot.frames) for shot in lost),
            cut_sides=(self.where(smaller), self.where(inside - smaller)),
            missing=gaps(own, inside),
        )
