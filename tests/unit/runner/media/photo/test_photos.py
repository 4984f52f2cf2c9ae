"""Photos make a scene: alone or beside videos, upright, one camera for each lens and size."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.scene.frames import Clip
from runner.scene.progress import SILENT, Progress
from scenejobs.errors import Code, InputError
from tests.photo_scenes import FORMATS, SETTINGS, make, photos, pixels_of, quarters, views
from tests.photos import tags, write_photo
from tests.videos import corners, pan, write_video


def test_photos_alone_make_a_scene_with_one_camera_and_their_own_names(tmp_path):
    found = make(photos(tmp_path, 9), tmp_path)
    (info,) = found.clips
    assert (info.name, info.folder, info.frame_count, info.codec) == ("photos", "photos", 9, "jpeg")
    assert (info.width, info.height) == (160, 96)
    assert [frame.photo for frame in found.frames] == [f"IMG_{i}.jpg" for i in range(9)]
    assert [frame.image for frame in found.frames] == [f"photos/{i:06d}.png" for i in range(9)]
    assert {pixels_of(tmp_path, frame.image).shape for frame in found.frames} == {(72, 120, 3)}


def test_photos_and_a_clip_share_one_budget_and_have_cameras_of_their_own(tmp_path):
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(60, 8, 160, 96), fps=30))
    found = make([*photos(tmp_path, 9), clip], tmp_path, replace(SETTINGS, budget=20))
    assert [info.name for info in found.clips] == ["a.mp4", "photos"]
    counts = [sum(frame.video == info.name for frame in found.frames) for info in found.clips]
    assert counts[1] == 9  # each photo was meant
    assert 8 <= counts[0] <= 11
    assert [frame.photo is None for frame in found.frames] == [True] * counts[0] + [False] * 9


def test_more_photos_than_the_budget_are_thinned_evenly_to_the_sharpest(tmp_path):
    clips = photos(tmp_path, 20)
    blurred = [clip for i, clip in enumerate(clips) if i % 2]
    for clip in blurred:
        with Image.open(clip.path) as image:
            small = image.resize((20, 12))
        small.resize((160, 96)).save(clip.path, "JPEG", quality=95)
    found = make(clips, tmp_path, replace(SETTINGS, budget=10))
    numbers = [int(frame.photo[4:-4]) for frame in found.frames]
    assert len(numbers) == 10
    assert all(number % 2 == 0 for number in numbers)


def test_too_few_photos_are_refused_with_what_is_needed(tmp_path):
    with pytest.raises(InputError, match=r"\b7\b.*\b8\b") as caught:
        make(photos(tmp_path, 7), tmp_path)
    assert caught.value.code == Code.TOO_FEW_FRAMES
    assert len(make(photos(tmp_path, 8), tmp_path).frames) == 8


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_same_picture(tmp_path, suffix):
    clips = photos(tmp_path, 8, suffix)
    found = make(clips, tmp_path)
    assert len(found.frames) == 8
    assert found.refused == ()
    picture = pixels_of(tmp_path, found.frames[3].image).astype(int)
    wanted = np.asarray(Image.fromarray(views(8)[3]).resize((120, 72), Image.Resampling.LANCZOS)).astype(int)
    assert np.abs(picture - wanted).mean() < 6.0


# Of red green / blue white, as Exif defines the eight.
ORIENTATIONS = {
    1: ["red", "green", "blue", "white"], 2: ["green", "red", "white", "blue"],
    3: ["white", "blue", "green", "red"], 4: ["blue", "white", "red", "green"],
    5: ["red", "blue", "green", "white"], 6: ["blue", "red", "white", "green"],
    7: ["white", "green", "blue", "red"], 8: ["green", "white", "red", "blue"],
}  # fmt: skip


@pytest.mark.parametrize("suffix", FORMATS)
def test_orientation_is_applied_exactly_once(tmp_path, suffix):
    clips = []
    for orientation in ORIENTATIONS:
        picture = corners(160, 96)
        left = 14 * orientation  # of a mark: else they are copies of one another, half of them mirrored
        picture[36:60, left : left + 12], picture[36:60, left + 12 : left + 24] = 0, 255
        path = write_photo(tmp_path / f"{orientation}{suffix}", picture, tags(orientation=orientation))
        clips.append(Clip(path.name, path))
    found = make(clips, tmp_path)
    sizes = {info.name: (info.width, info.height) for info in found.clips}
    for frame in found.frames:
        orientation = int(frame.photo[0])
        assert quarters(pixels_of(tmp_path, frame.image)) == ORIENTATIONS[orientation], orientation
        assert sizes[frame.video] == ((96, 160) if orientation >= 5 else (160, 96))
        if suffix != ".heic":  # which everybody turns by its own boxes
            assert frame.turned_deg == {3: 180, 6: 270, 8: 90}.get(orientation, 0), orientation
    assert len(found.frames) == 8


def test_photos_of_another_size_or_lens_become_a_camera_of_their_own(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "c").mkdir()
    wide = photos(tmp_path, 8, focal_35mm=26)
    zoomed = [Clip(f"b/{clip.name}", clip.path) for clip in photos(tmp_path / "b", 3, suffix=".png", focal_35mm=77)]
    upright = [
        write_photo(tmp_path / "c" / f"{i}.jpg", pixels, tags(focal_35mm=26, orientation=6))
        for i, pixels in enumerate(views(2, seed=3))
    ]
    zoomed_pixels = views(3, seed=5)
    for clip, pixels in zip(zoomed, zoomed_pixels, strict=True):
        write_photo(clip.path, pixels, tags(focal_35mm=77))
    found = make([*wide, *zoomed, *(Clip(f"c/{path.name}", path) for path in upright)], tmp_path)
    cameras = {info.name: (info.width, info.height, info.frame_count, info.focal_px) for info in found.clips}
    diagonal = math.hypot(160, 96) / math.hypot(24, 36)
    assert cameras == {
        "photos": (160, 96, 8, pytest.approx(26 * diagonal)),
        "photos 2": (160, 96, 3, pytest.approx(77 * diagonal)),
        "photos 3": (96, 160, 2, pytest.approx(26 * diagonal)),
    }
    assert len(found.frames) == 13
    assert {frame.image.split("/")[0] for frame in found.frames} == {"photos", "photos_2", "photos_3"}


def test_a_set_of_photos_is_never_taken_for_a_file_of_that_name(tmp_path):
    clip = Clip("photos", write_video(tmp_path / "photos", pan(30, 8, 160, 96), fps=30))
    found = make([clip, *photos(tmp_path, 8)], tmp_path)
    assert len({info.name for info in found.clips}) == len({info.folder for info in found.clips}) == 2


def test_time_place_and_camera_of_each_photo_are_kept(tmp_path):
    clips = []
    for i, pixels in enumerate(views(8)):
        exif = tags(taken_at=f"2026:11:24 10:00:{30 - i:02d}", offset="+02:00", gps=(48.1 + i / 1000, -11.5))
        path = write_photo(tmp_path / f"{i}.jpg", pixels, exif)
        clips.append(Clip(path.name, path))
    found = make(clips, tmp_path)
    assert [frame.photo for frame in found.frames] == [f"{i}.jpg" for i in reversed(range(8))]  # as they were taken
    assert found.frames[0].recorded_at == "2026-11-24T08:00:23+00:00"
    assert found.frames[0].gps == pytest.approx((48.107, -11.5))
    assert found.clips[0].camera_model == "Apple iPhone 15"
    assert found.clips[0].recorded_at == found.frames[0].recorded_at


def test_a_choice_of_photos_made_elsewhere_is_written_again_to_the_same_bytes(tmp_path):
    clips = [
        *photos(tmp_path, 9, gps=(48.1, 11.5)),
        Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(30, 8, 160, 96))),
    ]
    first = make(clips, tmp_path)
    other = tmp_path / "other"
    other.mkdir()
    (other / "frames.json").write_bytes((tmp_path / "workspace" / "frames.json").read_bytes())
    reports = []
    assert extract_frames(clips, StageContext(other, Progress(reports.append)), SETTINGS) == first
    for frame in first.frames:
        path = Path("frames") / frame.image
        assert (other / path).read_bytes() == (tmp_path / "workspace" / path).read_bytes()
    assert [report.detail for report in reports if report.detail.startswith("looking")] == []


def test_a_stored_choice_with_a_folder_of_its_own_is_made_anew(tmp_path):
    clips = photos(tmp_path, 9)
    first = make(clips, tmp_path)
    marker = tmp_path / "workspace" / "frames.json"
    stored = json.loads(marker.read_text())
    stored["result"]["clips"][0]["folder"] = "../escaped"
    other = tmp_path / "other"
    other.mkdir()
    (other / "frames.json").write_text(json.dumps(stored))
    assert extract_frames(clips, StageContext(other, SILENT), SETTINGS) == first
    assert sorted(path.name for path in other.iterdir()) == ["frames", "frames.json"]
