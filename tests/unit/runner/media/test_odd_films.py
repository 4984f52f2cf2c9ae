"""Films that are right and unusual: where they start, what else is in them, and what a decoder attaches to a frame."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from runner.context import StageContext
from runner.media.decoder import Sandboxed
from runner.media.extract import extract_frames, extract_with
from runner.media.settings import FrameSettings, Limits
from runner.media.video.clock import Clock
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT
from scenejobs.errors import Code
from tests.decoders import crashing_on, raising_on
from tests.films import write_film, write_motion_jpeg
from tests.footage import footage
from tests.photo_scenes import photos
from tests.photos import tags
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
SETTINGS = FrameSettings(budget=20, long_side=120, limits=LIMITS)


def extracted(tmp_path: Path, *paths: Path, decoder: Sandboxed | None = None) -> FrameSet:
    clips = [Clip(path.name, path) for path in paths]
    return extract_with(decoder or Sandboxed(SETTINGS), clips, StageContext(tmp_path / "workspace", SILENT), SETTINGS)


# ---- side data ------------------------------------------------------------------------------------------------------


def test_photos_with_exif_as_motion_jpeg_are_a_clip_and_turned_as_their_exif_says(tmp_path):
    exif = tags(orientation=6)
    path = write_motion_jpeg(tmp_path / "a.avi", pan(30, 4, 160, 96), exif.tobytes())
    (info,) = extracted(tmp_path, path).clips
    assert (info.frame_count, info.width, info.height) == (30, 96, 160)


def test_the_base_view_of_a_film_with_two_views_is_a_clip(tmp_path):
    path = footage("reports/01_two_view_mvhevc.mov")
    clips = [Clip(path.name, path)]
    (info,) = extract_frames(clips, StageContext(tmp_path, SILENT), FrameSettings(budget=12)).clips
    assert info.frame_count == 45
    assert 1.5 < info.duration_s < 2.7


# ---- one file costs itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_kind", ["SurveyVideo", "WriteFrames"])
@pytest.mark.parametrize("misbehaving", [crashing_on, raising_on])
def test_whatever_a_clip_does_to_its_decoder_in_either_pass_costs_that_clip_only(tmp_path, request_kind, misbehaving):
    paths = [write_video(tmp_path / name, pan(30, 8, 160, 96)) for name in ("bad.mp4", "good.mp4")]
    found = extracted(tmp_path, *paths, decoder=Sandboxed(SETTINGS, misbehaving("bad.mp4", request_kind)))
    (refused,) = found.refused
    assert (refused.name, refused.failure.code) == ("bad.mp4", Code.UNSAFE_VIDEO)
    assert "bad.mp4" in refused.failure.cause
    assert {frame.video for frame in found.frames} == {"good.mp4"}
    assert len(found.frames) == SETTINGS.budget, "the frames that the bad one would have had are the other's"
    assert all((tmp_path / "workspace" / "frames" / frame.image).is_file() for frame in found.frames)


@pytest.mark.parametrize("misbehaving", [crashing_on, raising_on])
def test_a_photo_that_cannot_be_read_a_second_time_costs_that_photo_only(tmp_path, misbehaving):
    clips = photos(tmp_path, 9)
    decoder = Sandboxed(SETTINGS, misbehaving("IMG_3.jpg", "WritePhotos"))
    found = extracted(tmp_path, *(clip.path for clip in clips), decoder=decoder)
    assert [one.name for one in found.refused] == ["IMG_3.jpg"]
    assert [frame.photo for frame in found.frames] == [f"IMG_{i}.jpg" for i in range(9) if i != 3]


# ---- time -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("container", "codec", "suffix"), [("matroska", "libx264", ".mkv"), ("webm", "libvpx", ".webm")]
)
@pytest.mark.parametrize("starts_s", [0.3, 60.0, 100_000.0])
def test_a_film_may_start_at_any_time(tmp_path, container, codec, suffix, starts_s):
    path = write_film(tmp_path / f"a{suffix}", pan(30, 4, 160, 96), container=container, codec=codec, starts_s=starts_s)
    (info,) = extracted(tmp_path, path).clips
    assert (info.frame_count, info.warnings) == (30, ())
    assert info.duration_s == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize(("container", "suffix"), [("matroska", ".mkv"), ("mp4", ".mp4"), ("webm", ".webm")])
@pytest.mark.parametrize("starts_s", [0.0, 60.0])
def test_sound_may_last_longer_than_the_pictures(tmp_path, container, suffix, starts_s):
    codec = "libvpx" if container == "webm" else "libx264"
    path = write_film(
        tmp_path / f"a{suffix}", pan(30, 4, 160, 96), container=container, codec=codec, starts_s=starts_s, sound_s=9.0
    )
    (info,) = extracted(tmp_path, path).clips
    assert info.frame_count == 30
    assert info.duration_s == pytest.approx(3.0, abs=0.01)


@pytest.mark.parametrize("starts_s", [0.0, 60.0])
def test_a_film_that_breaks_off_is_damaged_wherever_it_starts(tmp_path, starts_s):
    good = write_video(tmp_path / "good.mp4", pan(30, 8, 160, 96))
    path = write_film(tmp_path / "a.mkv", pan(60, 4, 160, 96), container="matroska", starts_s=starts_s, sound_s=6.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 5])
    (refused,) = extracted(tmp_path, path, good).refused
    assert (refused.name, refused.failure.code) == ("a.mkv", Code.CORRUPT_VIDEO)


def test_times_of_decoding_in_the_place_of_times_of_showing_are_noticed():
    """Frames in the order of showing whose pts are those of decoding, as a raw stream that was copied has them."""
    clock, unit = Clock(0.04), av.time_base and 1
    shown = [(0, 2), (3, 3), (2, 4), (4, 5), (1, 6), (7, 7), (6, 8), (8, 9), (5, 10)]
    times = [clock.read(pts, unit, dts) for pts, dts in shown]
    assert clock.repaired == 0
    assert times == [0, 3, 4, 5, 6, 7, 8, 9, 10]
