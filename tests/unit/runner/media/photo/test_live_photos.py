"""Live Photos: the moving parts of photos are left out, named, and count for nothing."""

from __future__ import annotations

import struct
from dataclasses import replace
from pathlib import Path

import pytest

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.photo.identity import apple_identifier
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip, FrameSet
from runner.scene.inputs.live_photos import pairs_by_name
from runner.scene.progress import SILENT
from runner.worker.usable_uploads import usable_files
from scenejobs.errors import Code
from scenejobs.state.blobs import InputBlob
from tests.photos import EXIF, tags, write_photo
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48, min_scene_photos=4)
SETTINGS = FrameSettings(budget=40, long_side=160, limits=LIMITS)
MAKER_NOTE = 0x927C
KEY = "com.apple.quicktime.content.identifier"
ID = "4A0E7A3C-9B0E-4C55-8F0A-0123456789AB"


def apple_note(identifier: str, order: str = ">") -> bytes:
    """As an iPhone writes it: one entry before the identifier, the text behind the entries."""
    text = identifier.encode() + b"\0"
    head = b"Apple iOS\0\0\1" + (b"MM" if order == ">" else b"II")
    at = len(head) + 2 + 2 * 12 + 4
    entries = struct.pack(order + "HHII", 1, 9, 1, 14) + struct.pack(order + "HHII", 0x11, 2, len(text), at)
    return head + struct.pack(order + "H", 2) + entries + bytes(4) + text


def photo(path: Path, number: int, identifier: str = "") -> Clip:
    exif = tags()
    if identifier:
        exif.get_ifd(EXIF)[MAKER_NOTE] = apple_note(identifier)
    return Clip(path.name, write_photo(path, pan(1, 0, 160, 120, seed=number)[0], exif))


def film(path: Path, frames: int = 12, identifier: str = "", fps: int = 10) -> Clip:
    found = pan(frames, 6, 160, 120, seed=len(path.name))
    return Clip(path.name, write_video(path, found, fps=fps, tags={KEY: identifier} if identifier else None))


def frames_of(folder: Path, clips: list[Clip], settings: FrameSettings = SETTINGS) -> FrameSet:
    return extract_frames(clips, StageContext(folder, SILENT), settings)


def test_the_moving_parts_of_photos_take_no_frames_and_no_place_in_the_limits(tmp_path: Path) -> None:
    """HEIC and JPG; by name where they last 4 s at most, whatever the letters' case."""
    clips = [photo(tmp_path / f"IMG_{n}.{'HEIC' if n % 2 else 'jpg'}".replace("HEIC", "heic"), n) for n in range(6)]
    clips += [film(tmp_path / f"img_{n}.mov") for n in range(6)]
    found = frames_of(tmp_path, clips, replace(SETTINGS, limits=replace(LIMITS, max_clips=2)))
    assert len(found.frames) == 6
    assert all(frame.photo for frame in found.frames)
    reasons = {each.name: (each.reason, each.same_as) for each in found.unused}
    assert reasons["img_3.mov"] == ("the moving part of the photo IMG_3.heic", "IMG_3.heic")
    assert len(reasons) == 6
    (said,) = [warning for warning in found.warnings if "moving parts" in warning]
    assert said.startswith("6 videos are the moving parts of photos (Live Photos) and are left out")


def test_a_film_is_a_photos_by_its_identifier_whatever_its_name_and_length(tmp_path: Path) -> None:
    clips = [photo(tmp_path / f"IMG_{n}.heic", n, ID if n == 2 else "") for n in range(5)]
    clips += [film(tmp_path / "export-7.mov", 50, ID), film(tmp_path / "IMG_1.mov", 50)]
    found = frames_of(tmp_path, clips)
    assert {each.name: each.same_as for each in found.unused} == {"export-7.mov": "IMG_2.heic"}
    assert "IMG_1.mov" in {clip.name for clip in found.clips}, "5 s long, named like a photo: a film of its own"


def test_the_film_of_a_photo_that_cannot_be_read_is_used(tmp_path: Path) -> None:
    broken = tmp_path / "IMG_9.jpg"
    broken.write_bytes(b"\xff\xd8\xff and no more")
    clips = [photo(tmp_path / f"IMG_{n}.jpg", n) for n in range(4)] + [Clip("IMG_9.jpg", broken)]
    found = frames_of(tmp_path, [*clips, film(tmp_path / "IMG_9.mov", 20)])
    assert found.unused == ()
    assert "IMG_9.mov" in {clip.name for clip in found.clips}


def test_a_photo_with_its_film_behind_it_is_a_photo(tmp_path: Path) -> None:
    """Motion photos of Samsung and Google: a JPEG, and an MP4 behind its end."""
    behind = write_video(tmp_path / "behind.mp4", pan(12, 6, 160, 120)).read_bytes()
    clips = [photo(tmp_path / f"PXL_{n}.MP.jpg", n) for n in range(5)]
    for clip in clips:
        clip.path.write_bytes(clip.path.read_bytes() + b"MotionPhoto_Data" + behind)
    found = frames_of(tmp_path, clips)
    assert [len(found.frames), len(found.refused), found.unused] == [5, 0, ()]


def test_more_pairs_than_videos_are_allowed_are_taken_in_the_cloud() -> None:
    limits = Limits(max_clips=3)
    names = [f"lobby/IMG_{n}.{kind}" for n in range(9) for kind in ("HEIC", "MOV")]
    blobs = [InputBlob(name, "e", 10) for name in names]
    assert len(usable_files("lobby", blobs, limits).files) == 18
    others = [InputBlob(f"lobby/film_{n}.mp4", "e", 10) for n in range(4)]
    found = usable_files("lobby", [*blobs, *others], limits)
    assert len(found.files) == 18 + 3
    ((_, error),) = found.too_large
    assert error.code == Code.TOO_LARGE
    assert "4 videos; 3 of them are used" in error.cause


def test_a_moving_part_goes_with_its_photo_where_there_are_too_many() -> None:
    names = [f"lobby/IMG_{n}.{kind}" for n in range(4) for kind in ("HEIC", "MOV")]
    found = usable_files("lobby", [InputBlob(name, "e", 10) for name in names], Limits(max_photos=2))
    assert [blob.name for blob in found.files] == [f"lobby/IMG_{n}.{kind}" for n in (0, 2) for kind in ("HEIC", "MOV")]


def test_a_late_file_is_used_before_those_the_scene_was_made_of() -> None:
    blobs = [InputBlob(f"lobby/{n}.mp4", "e", 10) for n in range(4)]
    found = usable_files("lobby", blobs, Limits(max_clips=2), {blobs[1]})
    assert blobs[1] in found.files
    assert len(found.files) == 2


@pytest.mark.parametrize("order", [">", "<"])
def test_the_identifier_of_a_maker_note(order: str) -> None:
    note = apple_note(ID, order)
    assert apple_identifier(note) == ID
    assert apple_identifier(b"Nikon\0" + note) is None
    assert apple_identifier(b"") is None


def test_names_of_pairs() -> None:
    photos = ["a/IMG_1.HEIC", "b/IMG_1.JPG", "IMG_3.jpg", "PXL_5.MP.jpg"]
    videos = ["a/IMG_1.MOV", "b/img_1.mp4", "IMG_1.MOV", "IMG_3.jpg.mov", "IMG_4.MOV", "PXL_5.MP"]
    assert pairs_by_name(videos, photos) == {
        "a/IMG_1.MOV": "a/IMG_1.HEIC", "b/img_1.mp4": "b/IMG_1.JPG", "IMG_3.jpg.mov": "IMG_3.jpg",
        "PXL_5.MP": "PXL_5.MP.jpg",
    }  # fmt: skip
