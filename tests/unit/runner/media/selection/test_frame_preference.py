"""A preference decides which frames are chosen first; the budget and the least number of a scene hold all the same."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from runner.context import StageContext
from runner.media.captures import Capture
from runner.media.extract import extract_frames
from runner.media.selection.preference import NONE, FramePreference, Preferred
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48, min_scene_frames=5)
SETTINGS = FrameSettings(budget=14, long_side=120, limits=LIMITS)


@dataclass(frozen=True)
class Fixed:
    """A preference that ranks as it is told."""

    preferred: Preferred
    digest: str = ""

    def rank(self, captures: Sequence[Capture], /) -> Preferred:
        assert [capture.info.name for capture in captures] == ["a.mp4", "b.mp4"]
        return self.preferred


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> list[Clip]:
    folder = tmp_path_factory.mktemp("clips")
    return [
        Clip(name, write_video(folder / name, pan(40, 6, 160, 96, seed), fps=20))
        for seed, name in enumerate(("a.mp4", "b.mp4"))
    ]


def chosen(clips: list[Clip], workspace: Path, preference: FramePreference) -> tuple[list[int], list[int]]:
    frames = extract_frames(clips, StageContext(workspace, SILENT), SETTINGS, preference).frames
    of_a, of_b = ([frame.index for frame in frames if frame.video == name] for name in ("a.mp4", "b.mp4"))
    return of_a, of_b


def test_the_preferred_frames_are_all_chosen_and_others_fill_the_budget(clips: list[Clip], tmp_path: Path) -> None:
    """A video that gives some of them gives no others: these come from the other one."""
    of_a, of_b = chosen(clips, tmp_path, Fixed(Preferred([[0, 1, 2, 30], []])))
    assert of_a == [0, 1, 2, 30]
    assert len(of_b) == 10


def test_no_others_are_added_where_none_may_be(clips: list[Clip], tmp_path: Path) -> None:
    assert chosen(clips, tmp_path, Fixed(Preferred([[0, 1, 2], [7, 8]], others=False))) == ([0, 1, 2], [7, 8])


def test_fewer_preferred_frames_than_a_scene_needs_leave_the_choice_free(clips: list[Clip], tmp_path: Path) -> None:
    free = chosen(clips, tmp_path / "free", NONE)
    assert sum(map(len, free)) == 14
    assert chosen(clips, tmp_path / "few", Fixed(Preferred([[0, 1], [7, 8]], others=False))) == free


def test_a_preferred_number_wins_in_its_window(clips: list[Clip], tmp_path: Path) -> None:
    free, _ = chosen(clips, tmp_path / "free", NONE)
    wanted = free[2] + 1
    assert wanted not in free
    of_a, _ = chosen(clips, tmp_path / "preferred", Fixed(Preferred(in_window=[{wanted}, set()])))
    assert wanted in of_a
    assert len(of_a) == len(free)


def test_a_finished_choice_is_made_anew_when_the_digest_of_the_preference_changes(
    clips: list[Clip], tmp_path: Path
) -> None:
    first = Fixed(Preferred([[0, 1, 2], [7, 8]], others=False), digest="1")
    assert chosen(clips, tmp_path, first) == ([0, 1, 2], [7, 8])
    other = replace(first, preferred=Preferred([[3, 4, 5], [7, 8]], others=False))
    assert chosen(clips, tmp_path, other) == ([0, 1, 2], [7, 8])
    assert chosen(clips, tmp_path, replace(other, digest="2")) == ([3, 4, 5], [7, 8])
