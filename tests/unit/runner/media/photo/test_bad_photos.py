"""A photo that cannot be used is named and costs nothing but itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.context import StageContext
from runner.media.decoding.decoder import Sandboxed
from runner.media.extract import extract_with
from runner.media.photo.grouping import PhotoSurvey
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.decoders import crashing_on
from tests.photo_scenes import LIMITS, SETTINGS, make, one_look, photos, views
from tests.photos import jpeg_that_claims, png_that_claims, tags, write_photo
from tests.videos import pan, wall, write_video


def test_bad_photos_are_named_and_left_out(tmp_path):
    good = photos(tmp_path, 8)
    whole = good[0].path.read_bytes()
    heic = write_photo(tmp_path / "whole.heic", views(1)[0]).read_bytes()
    bad = {
        "empty.jpg": (b"", Code.EMPTY_FILE),
        "cut.jpg": (whole[: len(whole) // 2], Code.CORRUPT_PHOTO),
        "rescued.jpg": (whole[: len(whole) // 2] + b"\xff\xd9", Code.CORRUPT_PHOTO),  # and closed again
        "cut.heic": (heic[: len(heic) // 2], Code.CORRUPT_PHOTO),
        "head.png": (b"\x89PNG\r\n\x1a\n", Code.CORRUPT_PHOTO),
        "text.jpg": (b"hello world\n" * 100, Code.NOT_A_PHOTO),
        "bomb.png": (png_that_claims(60_000, 60_000), Code.TOO_LARGE),
        "bomb.jpg": (jpeg_that_claims(65_000, 65_000), Code.TOO_LARGE),
        "small.png": (write_photo(tmp_path / "s.png", wall(40, 30)).read_bytes(), Code.TOO_SMALL),
    }
    for name, (data, _) in bad.items():
        (tmp_path / name).write_bytes(data)
    found = make([*good, *(Clip(name, tmp_path / name) for name in bad)], tmp_path)
    assert len(found.frames) == 8
    assert {one.name: one.failure.code for one in found.refused} == {name: code for name, (_, code) in bad.items()}
    assert all(one.name in one.failure.cause for one in found.refused)


@pytest.mark.parametrize(
    "data", [png_that_claims(60_000, 60_000), jpeg_that_claims(65_000, 65_000)], ids=["png", "jpeg"]
)
def test_a_bomb_is_refused_before_a_pixel_is_decoded(tmp_path, data):
    """In a process that has not the memory for a hundredth of it."""
    (tmp_path / "bomb").write_bytes(data)
    refused = one_look(tmp_path / "bomb", replace(LIMITS, max_photo_pixels=1_000_000))
    assert isinstance(refused, InputError)
    assert "1,000,000 are allowed" in refused.cause


def test_bytes_and_number_of_photos_are_limited(tmp_path):
    clips = photos(tmp_path, 9)
    size = clips[0].path.stat().st_size
    refused = one_look(clips[0].path, replace(LIMITS, max_photo_bytes=size - 1))
    assert isinstance(refused, InputError)
    assert refused.code == Code.TOO_LARGE
    assert isinstance(one_look(clips[0].path, replace(LIMITS, max_photo_bytes=size)), PhotoSurvey)
    found = make(clips, tmp_path, replace(SETTINGS, limits=replace(LIMITS, max_photos=8)))
    assert len(found.frames) == 8
    (left_out,) = found.refused
    assert left_out.failure.code == Code.TOO_LARGE
    assert "9 photos; 8 of them are used" in left_out.failure.cause


def test_panoramas_beside_photos_are_named_and_left_out(tmp_path):
    """A sweep is no picture from one place: by the phone's word, and by a shape that no camera has."""
    swept = tags(custom_rendered=6)
    write_photo(tmp_path / "said.jpg", wall(240, 120), swept)
    write_photo(tmp_path / "long.jpg", wall(420, 120))
    write_photo(tmp_path / "tall.jpg", wall(120, 420))
    write_photo(tmp_path / "crop.jpg", wall(325, 120), tags(custom_rendered=1))  # 65:24
    names = ("said.jpg", "long.jpg", "tall.jpg", "crop.jpg")
    found = make([*photos(tmp_path, 8), *(Clip(name, tmp_path / name) for name in names)], tmp_path)
    assert {one.name: one.failure.code for one in found.refused} == dict.fromkeys(names[:3], Code.PANORAMA)
    assert "crop.jpg" in {frame.photo for frame in found.frames}


def test_a_photo_that_kills_its_decoder_costs_itself_and_none_of_its_neighbours(tmp_path):
    clips = photos(tmp_path, 9)
    decoder = Sandboxed(SETTINGS, crashing_on("IMG_3.jpg"))
    found = extract_with(decoder, clips, StageContext(tmp_path / "workspace", SILENT), SETTINGS)
    assert [(one.name, one.failure.code) for one in found.refused] == [("IMG_3.jpg", Code.UNSAFE_VIDEO)]
    assert [frame.photo for frame in found.frames] == [f"IMG_{i}.jpg" for i in range(9) if i != 3]


def test_a_video_named_like_a_photo_is_read_as_a_video(tmp_path):
    """As names of videos never counted. A photo named like a video is no video."""
    clip = Clip("a.jpg", write_video(tmp_path / "a.jpg", pan(30, 8, 160, 96), fps=30))
    assert make([clip], tmp_path).clips[0].codec == "h264"
    path = write_photo(tmp_path / "b.heic", wall(160, 96))
    with pytest.raises(InputError) as caught:
        make([Clip("b.mp4", path)], tmp_path)
    assert caught.value.code == Code.NOT_A_VIDEO
