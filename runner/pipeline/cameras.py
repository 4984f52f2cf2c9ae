"""The first stages: from uploads to undistorted views with cameras."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from runner.dataset.build import build_views
from runner.media.extract import extract_frames
from runner.pipeline.frame_preferences import FramesWithPoses
from runner.pipeline.stages import JobContext, require_clips
from runner.poses.find import find_poses
from runner.poses.reuse.reusable_poses import forget_poses
from runner.poses.supplied.match import match
from runner.poses.supplied.read import Supplied, read_supplied
from runner.scene.frames import Clip, FrameSet
from runner.scene.inputs.pose_files import split
from runner.scene.inputs.sidecars import attached
from runner.scene.pose_report import PoseReport
from runner.scene.views import TrainingScene
from scenejobs.errors import UnusedFile


@dataclass(frozen=True)
class Inputs:
    """What was uploaded."""

    clips: list[Clip]  # videos and photos
    supplied: Supplied | None  # the user's own camera poses
    unused: tuple[UnusedFile, ...] = ()  # sidecars without a film

    @property
    def summary(self) -> dict[str, Any]:
        return {"poses": self.supplied.source if self.supplied else ""}


@dataclass(frozen=True)
class ChosenFrames:
    """The frames that the scene is made of."""

    frames: FrameSet

    @property
    def summary(self) -> dict[str, Any]:
        frames = self.frames
        return {"frames": len(frames.frames), "clips": len(frames.clips), "refused": len(frames.refused)}


@dataclass(frozen=True)
class Posed:
    """Frames, how their cameras were found, and the views that training reads."""

    frames: FrameSet
    poses: PoseReport
    scene: TrainingScene
    reused: Mapping[str, int]  # what was taken from the cache
    workspace: Path  # that holds the sparse model

    @property
    def summary(self) -> dict[str, Any]:
        poses = self.poses
        return {"images": poses.images_registered, "points": poses.points, "rung": poses.rung, "reused": self.reused}


def validate(_: JobContext, files: Iterable[Clip]) -> Inputs:
    """Raises InputError when a file is missing, there is nothing to look at, or poses cannot be read."""
    others, unused = attached(tuple(files))
    clips, poses = split(others)
    require_clips(clips)
    return Inputs(clips, read_supplied(poses), unused)


def choose_frames(context: JobContext, inputs: Inputs) -> ChosenFrames:
    """Decodes and chooses frames; those with poses first. Raises the errors of `extract_frames`."""
    preset = context.settings.preset
    preference = FramesWithPoses(inputs.clips, preset.frames, preset.poses, context.cache, inputs.supplied)
    frames = extract_frames(inputs.clips, context, preset.frames, preference)
    settings = context.settings
    refused, unused = (*settings.refused, *frames.refused), (*settings.unused, *inputs.unused, *frames.unused)
    return ChosenFrames(replace(frames, refused=refused, unused=unused))


def find_cameras(context: JobContext, inputs: Inputs, frames: FrameSet) -> Posed:
    """Finds the camera poses and undistorts the frames. Raises the errors of `find_poses` and `build_views`."""
    preset = context.settings.preset
    supplied = match(inputs.supplied, frames) if inputs.supplied else None
    poses = find_poses(frames, context, preset.poses, supplied)
    return _posed(context, frames, poses)


def find_other_cameras(context: JobContext, frames: FrameSet, doubted: PoseReport) -> Posed:
    """The same in another workspace, by other methods than the one whose cameras are doubted.

    Raises the errors of `find_poses` and `build_views`.
    """
    preset = context.settings.preset
    poses = find_poses(frames, context, preset.poses, without=frozenset({doubted.rung}))
    return _posed(context, frames, poses)


def _posed(context: JobContext, frames: FrameSet, poses: PoseReport) -> Posed:
    settings = context.settings
    markers = settings.marker_size_m > 0
    scene = build_views(frames, context, settings.preset.train.long_side, markers=markers)
    return Posed(frames, poses, scene, dict(context.cache.used) if context.cache else {}, context.workspace)


def forget_cameras(context: JobContext, inputs: Inputs, frames: FrameSet) -> None:
    """Poses that made a suspect result serve no later run: `retry` and other presets search again."""
    if context.cache is not None:
        digest = match(inputs.supplied, frames).digest if inputs.supplied else ""
        forget_poses(context.cache, frames, context.settings.preset.poses, digest)
