"""Which pictures are used where the user supplies poses: those that have one, and exactly the frames it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.pipeline.frame_preferences import FramesWithPoses
from runner.poses.settings import PoseSettings
from runner.poses.supplied.cameras import Lens, PosedImage
from runner.poses.supplied.match import match
from runner.poses.supplied.read import Supplied
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT
from tests.photos import write_photo
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=100, min_short_side=60, min_scene_frames=5, min_scene_photos=5)
SETTINGS = FrameSettings(budget=16, long_side=120, limits=LIMITS)
LENS = Lens(160, 96, 150, 150, 80, 48)
AHEAD = (1.0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0)


def video(tmp_path: Path, name: str = "a.mp4", seed: int = 0) -> Clip:
    return Clip(name, write_video(tmp_path / name, pan(60, 8, 160, 96, seed), fps=30))


def of_frames(clip: str, indices: list[int]) -> Supplied:
    return Supplied(
        "cameras.json",
        tuple(PosedImage(f"x/{i:06d}.png", LENS, AHEAD, (clip, i, i / 30)) for i in indices),
    )


def chosen(
    tmp_path: Path, clips: list[Clip], supplied: Supplied | None, settings: FrameSettings = SETTINGS
) -> FrameSet:
    preference = FramesWithPoses(clips, settings, PoseSettings(), supplied=supplied)
    return extract_frames(clips, StageContext(tmp_path / "workspace", SILENT), settings, preference)


def indices(frames: FrameSet, video: str) -> list[int]:
    return [frame.index for frame in frames.frames if frame.video == video]


def test_exactly_the_frames_of_an_earlier_run_are_taken_again(tmp_path: Path) -> None:
    """Whatever would be chosen today; a clip that has none is chosen from with what is left of the budget. What was
    chosen without the poses is not taken for it."""
    clips = [video(tmp_path), video(tmp_path, "b.mp4", seed=1)]
    without = chosen(tmp_path, clips, None)
    wanted = [0, 3, 4, 11, 29, 30, 50]
    supplied = of_frames("a.mp4", wanted)
    frames = chosen(tmp_path, clips, supplied)
    assert indices(without, "a.mp4") != wanted
    assert indices(frames, "a.mp4") == wanted
    assert 8 <= len(indices(frames, "b.mp4")) <= 9
    assert all((tmp_path / "workspace" / "frames" / frame.image).is_file() for frame in frames.frames)
    assert sorted(match(supplied, frames).poses) == [f"a/{i:06d}.png" for i in wanted]


def test_more_poses_than_the_budget_are_thinned_evenly(tmp_path: Path) -> None:
    frames = chosen(tmp_path, [video(tmp_path)], of_frames("a.mp4", list(range(31))))
    assert indices(frames, "a.mp4") == list(range(0, 31, 2))


@pytest.mark.parametrize("supplied", [of_frames("other.mp4", list(range(20))), of_frames("a.mp4", [1, 2, 3, 4])])
def test_a_file_of_other_frames_or_of_a_few_changes_no_choice(tmp_path: Path, supplied: Supplied) -> None:
    clips = [video(tmp_path)]
    assert chosen(tmp_path, clips, supplied).frames == chosen(tmp_path, clips, None).frames


def test_photos_with_a_pose_go_first_and_others_fill_the_room(tmp_path: Path) -> None:
    pictures = pan(14, 40, 160, 96, 0)
    clips = [Clip(f"IMG_{i}.jpg", write_photo(tmp_path / f"IMG_{i}.jpg", pixels)) for i, pixels in enumerate(pictures)]
    posed = [1, 2, 4, 5, 9, 13]
    supplied = Supplied("transforms.json", tuple(PosedImage(f"images/IMG_{i}", LENS, AHEAD) for i in posed))
    for budget, most in ((6, posed), (10, None), (40, list(range(14)))):
        frames = chosen(tmp_path, clips, supplied, replace(SETTINGS, budget=budget))
        numbers = [int((frame.photo or "")[4:-4]) for frame in frames.frames]
        assert numbers == (most or sorted(numbers)), budget
        assert set(posed) <= set(numbers)
        assert len(numbers) == min(budget, 14)
        assert np.unique(numbers).size == len(numbers)
