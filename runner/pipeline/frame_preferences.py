"""Frames that have a pose already, the user's or an earlier run's, as a preference for the choice of frames."""

from __future__ import annotations

import tempfile
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from runner.cache.store import StageCache
from runner.media.captures import Capture, Sources, frame_set, hashed_sources
from runner.media.selection.of_captures import best_frames, usable_frames
from runner.media.selection.preference import Preferred
from runner.media.settings import FrameSettings
from runner.poses.reuse.reusable_poses import (
    ReusablePoses,
    chosen_before,
    chosen_name,
    frame_keys,
    most_useful,
    reusable_poses,
    whole_frame,
)
from runner.poses.settings import PoseSettings
from runner.poses.supplied.frames import with_poses
from runner.poses.supplied.read import Supplied
from runner.scene.frames import Clip
from runner.scene.sizes import shrink


@dataclass(frozen=True)
class FramesWithPoses:
    """FramePreference: frames with a pose that the user supplies, and others beside them; else only frames with a
    reusable pose, where these serve; else frames whose features are known win in their window."""

    clips: Sequence[Clip]  # all files of the scene
    settings: FrameSettings
    poses: PoseSettings  # of the search that follows
    cache: StageCache | None = None
    supplied: Supplied | None = None

    @property
    def digest(self) -> str:
        """Of the user's poses. What is cached changes no finished choice."""
        return self.supplied.digest if self.supplied else ""

    def rank(self, captures: Sequence[Capture]) -> Preferred:
        if self.supplied:
            frames = [capture.frames() for capture in captures]
            if posed := with_poses(self.supplied, frames, self.settings.budget):
                return Preferred(posed)
        if self.cache is None:
            return Preferred()
        sources = hashed_sources(self.clips, self.cache)
        preferred = self._with_features(self.cache, captures, sources)
        wanted = best_frames(captures, self.settings, preferred)
        kept = [capture.only(indices) for capture, indices in zip(captures, wanted, strict=True)]
        keys = frame_keys(frame_set(kept, sources))
        best = self._most_useful(self.cache, keys, sources) if keys is not None else None
        if keys is None or best is None:
            return Preferred(in_window=preferred)
        first = _with_keys(captures, set(map(whole_frame, best.images)), sources)
        if sum(map(len, first)) > len(keys):
            # How many per second there may be is in the number of the wanted ones.
            first = best_frames(captures, replace(self.settings, budget=len(keys), rate_fps=None), preferred, first)
        return Preferred(first, others=False, in_window=preferred)

    def _with_features(self, cache: StageCache, captures: Sequence[Capture], sources: Sources) -> list[frozenset[int]]:
        """Numbers of each video's frames that have features, found as `poses` asks in images of the same size."""
        content = dict(sources)

        def of(capture: Capture, folder: Path) -> frozenset[int]:
            info = capture.info
            if capture.is_photos or capture.clips[0].name not in content:
                return frozenset()
            size = shrink(info.width, info.height, self.settings.long_side)
            return chosen_before(cache, chosen_name(content[capture.clips[0].name], size, self.poses), folder)

        with tempfile.TemporaryDirectory() as folder:
            return [of(capture, Path(folder)) for capture in captures]

    def _most_useful(self, cache: StageCache, wanted: Sequence[str], sources: Sources) -> ReusablePoses | None:
        with tempfile.TemporaryDirectory() as folder:
            found = list(reusable_poses(cache, frame_set([], sources), self.poses, Path(folder)))
        return most_useful(found, wanted, self.poses)


def _with_keys(captures: Sequence[Capture], known: Collection[str], sources: Sources) -> list[list[int]]:
    """Indices of each capture's frames that have one of these keys."""
    keys = [frame_keys(frame_set([capture], sources)) for capture in captures]
    return [
        [index for index in indices if of_capture and of_capture[index] in known]
        for indices, of_capture in zip(usable_frames(captures), keys, strict=True)
    ]
