"""The small copy of a recording is told by its name, and left out beside the recording only."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.previews import previews
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.names import is_photo, is_video
from tests.videos import pan, write_video


@pytest.mark.parametrize(
    ("preview", "recording"),
    [
        ("GL010042.LRV", "GX010042.MP4"),
        ("a/GL010042.LRV", "a/GS010042.360"),
        ("GOPR0042.LRV", "GOPR0042.MP4"),
        ("DJI_0042.LRF", "DJI_0042.MP4"),
        ("LRV_20240101_120000_11_001.insv", "VID_20240101_120000_00_001.insv"),
    ],
)
def test_a_preview_is_known_beside_its_recording(preview: str, recording: str) -> None:
    assert previews([preview, recording]) == {preview: recording}
    assert previews([preview, f"other/{recording}"]) == {}
    assert previews([preview]) == previews([recording]) == {}
    assert is_video(preview)
    assert is_video(recording)


def test_raw_photos_of_360_degree_cameras_are_photos() -> None:
    assert is_photo("IMG_20240101_120000_00_001.insp")


def test_it_is_left_out_beside_its_recording_and_used_alone(tmp_path: Path) -> None:
    settings = FrameSettings(budget=20, long_side=120, limits=Limits(min_long_side=64, min_short_side=48))
    recording = Clip("GX010042.MP4", write_video(tmp_path / "GX010042.MP4", pan(30, 8, 160, 96), fps=30))
    preview = Clip("GL010042.LRV", write_video(tmp_path / "GL010042.LRV", pan(30, 4, 80, 64), fps=30))
    result = extract_frames([recording, preview], StageContext(tmp_path / "both", SILENT), settings)
    assert [clip.name for clip in result.clips] == ["GX010042.MP4"]
    assert [(one.name, "GX010042.MP4" in one.reason) for one in result.unused] == [("GL010042.LRV", True)]
    alone = extract_frames([preview], StageContext(tmp_path / "alone", SILENT), settings)
    assert [clip.name for clip in alone.clips] == ["GL010042.LRV"]
    assert any("preview" in warning for warning in alone.warnings)
