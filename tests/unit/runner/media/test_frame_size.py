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


def test_too_small_a_budget_of_frames_is_not_blamed_on_the_film(tmp_path: Path) -> None:
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(24, 16, 640, 272), fps=10))
    with pytest.raises(InputError, match="only 5 frames may be chosen") as caught:
        extract_frames([clip], StageContext(tmp_path, SILENT), FrameSettings(budget=5))
    assert "film" not in caught.value.advice
