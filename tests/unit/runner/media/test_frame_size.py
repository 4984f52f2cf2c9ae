"""Pictures with one short side are used, with a warning; tiny ones are refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.frame_size import is_too_small
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.photos import write_photo
from tests.videos import pan, write_video


@pytest.mark.parametrize(
    ("size", "refused"),
    [
        ((640, 480), False), ((640, 272), False), ((272, 640), False), ((1280, 360), False), ((480, 480), False),
        ((320, 240), True), ((639, 479), True), ((640, 120), True), ((32, 32), True), ((4000, 20), True),
    ],
)  # fmt: skip
def test_one_short_side_alone_refuses_nothing(size: tuple[int, int], refused: bool) -> None:
    assert is_too_small(*size, Limits()) is refused


def test_a_film_in_the_shape_of_a_cinema_is_used_and_a_tiny_one_is_not(tmp_path: Path) -> None:
    wide = Clip("wide.mp4", write_video(tmp_path / "wide.mp4", pan(24, 16, 640, 272), fps=10))
    tiny = Clip("tiny.mp4", write_video(tmp_path / "tiny.mp4", pan(24, 4, 160, 120), fps=10))
    settings = FrameSettings(budget=20, long_side=320)
    found = extract_frames([wide, tiny], StageContext(tmp_path, SILENT), settings)
    assert [clip.name for clip in found.clips] == ["wide.mp4"]
    assert "640x272 pixels only" in " ".join(found.clips[0].warnings)
    assert [(clip.name, clip.failure.code) for clip in found.refused] == [("tiny.mp4", Code.TOO_SMALL)]


def test_photos_in_the_shape_of_a_cinema_are_used_and_say_so_once(tmp_path: Path) -> None:
    photos = [
        Clip(f"{n}.jpg", write_photo(tmp_path / f"{n}.jpg", pan(1, 0, 640, 272 if n < 7 else 480, seed=n)[0]))
        for n in range(9)
    ]
    found = extract_frames(photos, StageContext(tmp_path, SILENT), FrameSettings(budget=20, long_side=320))
    wide, usual = found.clips
    (said,) = wide.warnings
    assert "640x272 pixels only" in said
    assert "and 2 more" in said, "seven photos, five names"
    assert usual.warnings == ()


def test_photos_that_are_more_than_the_budget_are_named(tmp_path: Path) -> None:
    photos = [Clip(f"{n}.jpg", write_photo(tmp_path / f"{n}.jpg", pan(1, 0, 640, 480, seed=n)[0])) for n in range(11)]
    found = extract_frames(photos, StageContext(tmp_path, SILENT), FrameSettings(budget=9, long_side=320))
    used = {frame.photo for frame in found.frames}
    assert (len(used), len(found.unused)) == (9, 2)
    assert used.isdisjoint(each.name for each in found.unused)
    assert all("--frames" in each.reason for each in found.unused)


def test_too_small_a_budget_of_frames_is_not_blamed_on_the_film(tmp_path: Path) -> None:
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(24, 16, 640, 272), fps=10))
    with pytest.raises(InputError, match="only 5 frames may be chosen") as caught:
        extract_frames([clip], StageContext(tmp_path, SILENT), FrameSettings(budget=5))
    assert "film" not in caught.value.advice
