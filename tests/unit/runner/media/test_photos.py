"""Photos make a scene: alone or beside videos, upright, one camera for each lens and size, and no bad one spoils it."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms

from runner.context import StageContext
from runner.media.decoder import Sandboxed
from runner.media.decoder_answers import photo_surveys
from runner.media.extract import extract_frames, extract_with
from runner.media.photo.grouping import PhotoSurvey, make_sets
from runner.media.photo.metadata import Tags, read_photo
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT, Progress
from scenejobs.errors import Code, InputError
from tests.decoders import crashing_on
from tests.photos import jpeg_that_claims, png_that_claims, tags, write_photo
from tests.videos import corners, pan, wall, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
SETTINGS = FrameSettings(budget=40, long_side=120, limits=LIMITS)
SILENT_TELL = lambda _share, _detail: None  # noqa: E731
FORMATS = [".jpg", ".png", ".tif", ".heic"]


def views(count: int, width: int = 160, height: int = 96, seed: int = 0) -> list[np.ndarray]:
    """Pictures of a wall from places far apart."""
    return pan(count, 40, width, height, seed)


def photos(folder: Path, count: int = 9, suffix: str = ".jpg", stem: str = "IMG_", **exif) -> list[Clip]:
    paths = [
        write_photo(folder / f"{stem}{i}{suffix}", pixels, tags(**exif) if exif else None)
        for i, pixels in enumerate(views(count))
    ]
    return [Clip(path.name, path) for path in paths]


def make(clips: list[Clip], tmp_path: Path, settings: FrameSettings = SETTINGS) -> FrameSet:
    return extract_frames(clips, StageContext(tmp_path / "workspace", SILENT), settings)


def pixels_of(tmp_path: Path, image: str) -> np.ndarray:
    with Image.open(tmp_path / "workspace" / "frames" / image) as opened:
        return np.asarray(opened)


def one_look(path: Path, limits: Limits = LIMITS) -> PhotoSurvey | InputError:
    (found,) = Sandboxed(FrameSettings(long_side=120, limits=limits)).survey_photos(
        [Clip(path.name, path)], SILENT_TELL
    )
    return found


def quarters(picture: np.ndarray) -> list[str]:
    height, width = picture.shape[:2]
    names = {(1, 0, 0): "red", (0, 1, 0): "green", (0, 0, 1): "blue", (1, 1, 1): "white"}
    spots = [(y, x) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return [names[tuple(int(channel > 127) for channel in picture[spot])] for spot in spots]


# ---- a scene of photos ----------------------------------------------------------------------------------------------


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
    with pytest.raises(InputError, match="only 7 different photos; 8 are needed") as caught:
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
        path = write_photo(tmp_path / f"{orientation}{suffix}", corners(160, 96), tags(orientation=orientation))
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


# ---- bad photos -----------------------------------------------------------------------------------------------------


def test_bad_photos_are_named_and_left_out(tmp_path):
    good = photos(tmp_path, 8)
    whole = good[0].path.read_bytes()
    heic = write_photo(tmp_path / "whole.heic", views(1)[0]).read_bytes()
    bad = {
        "empty.jpg": (b"", Code.EMPTY_FILE),
        "cut.jpg": (whole[: len(whole) // 2], Code.CORRUPT_PHOTO),
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
    with pytest.raises(InputError, match="9 photos; 8 are allowed"):
        make(clips, tmp_path, replace(SETTINGS, limits=replace(LIMITS, max_photos=8)))


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


TRUE = {
    "type": "PhotoSeen",
    "width": 160, "height": 96, "codec": "jpeg", "recorded_at": "2026-11-24T10:00:00", "camera_model": "A",
    "lens": None, "focal_px": 100.0, "gps": [48.0, 11.0], "sharpness": 5.0, "small": [[1, 2], [3, 4]], "warnings": [],
    "turned_deg": 90,
}  # fmt: skip


@pytest.mark.parametrize(
    "lie",
    [
        None, [], "text", {}, {"type": "Done"}, {"type": "Refused"}, {"type": "Refused", "error": None},
        {"type": "Refused", "error": '{"kind": "BrokenPipeError"}'},
        {key: value for key, value in TRUE.items() if key != "type"},
        *({**TRUE, **change} for change in (
            {"width": 0}, {"width": 1 << 20, "height": 1 << 20}, {"codec": "../x"}, {"recorded_at": "yesterday"},
            {"focal_px": float("nan")}, {"focal_px": 0}, {"gps": [1]}, {"gps": [91, 0]}, {"sharpness": -1},
            {"small": [[256]]}, {"small": [[1], [1, 2]]}, {"small": []}, {"small": [[]]}, {"small": [[True]]},
            {"small": [[1.5]]}, {"small": [[1] * 1000]}, {"small": [[1]] * 1000}, {"small": "x"},
            {"warnings": [{}]}, {"warnings": ["x"] * 21}, {"lens": 7}, {"lens": "x" * 301}, {"codec": "jpeg\n"},
            {"turned_deg": 45}, {"turned_deg": 360}, {"more": 1},
        )),
    ],
)  # fmt: skip
def test_what_a_decoder_cannot_have_seen_refuses_the_photo(lie):
    clips = [Clip("a.jpg", Path("a.jpg")), Clip("b.jpg", Path("b.jpg"))]
    refused, good = photo_surveys([lie, TRUE], clips, LIMITS)
    assert isinstance(refused, InputError)
    assert refused.code == Code.UNSAFE_VIDEO
    assert isinstance(good, PhotoSurvey)


@pytest.mark.parametrize("lie", [None, {}, [], [TRUE], [TRUE] * 3])
def test_an_answer_for_another_number_of_photos_refuses_them_all(lie):
    with pytest.raises(InputError) as caught:
        photo_surveys(lie, [Clip("a.jpg", Path("a.jpg")), Clip("b.jpg", Path("b.jpg"))], LIMITS)
    assert caught.value.code == Code.UNSAFE_VIDEO


# ---- colours --------------------------------------------------------------------------------------------------------


def colour_in_the_middle(tmp_path: Path, path: Path) -> np.ndarray:
    found = make([Clip(path.name, path), *photos(tmp_path, 8)], tmp_path)
    (image,) = [frame.image for frame in found.frames if frame.photo == path.name]
    return pixels_of(tmp_path, image)[20, 20].astype(int)


# Display P3 (CSS Color 4): sRGB (200, 60, 30) is P3 (184, 71, 43)
P3_COLOUR, SRGB_COLOUR = (184, 71, 43), (200, 60, 30)


def patch(colour: tuple[int, int, int]) -> np.ndarray:
    picture = corners(160, 96)
    picture[:48, :80] = colour
    return picture


def test_wide_colours_of_a_phone_become_srgb(tmp_path):
    """HEIC states Display P3 by number (nclx), JPEG by profile."""
    heic = tmp_path / "a.heic"
    image = pillow_heif.from_pillow(Image.fromarray(patch(P3_COLOUR)))
    image.save(heic, quality=100, chroma=444, color_primaries=12, transfer_characteristics=13, matrix_coefficients=6,
               full_range_flag=1)  # fmt: skip
    assert np.abs(colour_in_the_middle(tmp_path, heic) - SRGB_COLOUR).max() <= 4


def test_a_profile_in_the_file_is_applied_and_a_broken_one_is_only_a_warning(tmp_path):
    linear = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()  # of no use for RGB
    path = write_photo(tmp_path / "a.jpg", patch(SRGB_COLOUR), icc_profile=linear)
    seen = one_look(path)
    assert isinstance(seen, PhotoSurvey)
    assert seen.warnings == ("its colour profile cannot be used",)
    assert np.abs(colour_in_the_middle(tmp_path, path) - SRGB_COLOUR).max() <= 4


def test_every_way_to_store_a_colour_is_read(tmp_path):
    """Grey, transparent, palette, CMYK, one bit, sixteen bits: each photo has a corner of its own that is 128 grey."""
    values = {"L": 128, "LA": 128, "RGBA": 128, "P": 128, "CMYK": 128, "1": 255, "I;16": 128}
    clips = []
    for number, (mode, value) in enumerate(values.items()):
        grey = np.full((96, 160), value, np.uint8)
        grey[60:, 20 * number : 20 * number + 20] = 0  # so that none is a copy of another
        picture = Image.fromarray(grey.astype(np.uint16) * 256 + 9) if mode == "I;16" else Image.fromarray(grey)
        if mode == "CMYK":
            picture = picture.convert("RGB")
        path = tmp_path / f"{number}{'.tif' if mode == 'CMYK' else '.png'}"
        (picture if mode == "I;16" else picture.convert(mode)).save(path)
        clips.append(Clip(path.name, path))
    found = make([*clips, *photos(tmp_path, 8)], tmp_path)
    assert found.refused == ()
    for frame in found.frames:
        if frame.photo[0].isdecimal():
            mode, value = list(values.items())[int(frame.photo[0])]
            assert np.abs(pixels_of(tmp_path, frame.image)[20, 20].astype(int) - value).max() <= 1, mode


# ---- sets and metadata ----------------------------------------------------------------------------------------------


def seen(name: str, picture: np.ndarray, **changes) -> PhotoSurvey:
    small = np.asarray(Image.fromarray(picture).convert("L").resize((96, 58)))
    values = {"width": 160, "height": 96, "codec": "jpeg", "recorded_at": None, "camera_model": None, "lens": None,
              "focal_px": None, "gps": None, "sharpness": 1.0, "small": small}  # fmt: skip
    return PhotoSurvey(Clip(name, Path(name)), **{**values, **changes})


def test_the_same_picture_twice_is_taken_once_in_its_better_form():
    """A copy in another format and size, a burst from a tripod; not the neighbour a step further."""
    one, two = pan(2, 8, 160, 96)
    noisy = np.clip(one.astype(int) + np.random.default_rng(0).normal(0, 3, one.shape), 0, 255).astype(np.uint8)
    (found,) = make_sets([seen("a.jpg", one), seen("b.jpg", two), seen("burst.jpg", noisy, sharpness=0.5)])
    assert [photo.clip.name for photo in found.photos] == ["a.jpg", "b.jpg"]
    assert found.survey.info.warnings == ("1 photos show the same as others and are left out: burst.jpg",)
    (found,) = make_sets([seen("a.jpg", one), seen("a.heic", one, width=320, height=192)])
    assert [photo.clip.name for photo in found.photos] == ["a.heic"]


def test_a_small_step_in_front_of_a_smooth_wall_is_another_picture():
    """Shifted by 2 % of its width it still correlates by more than 0.98; its motion tells it apart."""
    x, y = np.meshgrid(np.arange(163), np.arange(96))
    wide = np.repeat((120 + 60 * np.sin(x / 14) + 40 * np.cos(y / 11))[..., None], 3, axis=2).astype(np.uint8)
    one, two = seen("a.jpg", wide[:, :160]), seen("b.jpg", wide[:, 3:])
    assert np.corrcoef(one.small.ravel(), two.small.ravel())[0, 1] > 0.98
    (found,) = make_sets([one, two])
    assert len(found.photos) == 2


def test_blank_photos_are_not_copies_of_each_other():
    blank = np.full((96, 160, 3), 200, np.uint8)
    (found,) = make_sets([seen("a.jpg", blank), seen("b.jpg", blank // 2)])
    assert len(found.photos) == 2


def test_photos_are_in_the_order_of_their_times_or_else_of_their_names():
    pictures = views(3)
    times = ["2026-11-24T10:00:02", "2026-11-24T10:00:01", "2026-11-24T10:00:03"]
    timed = [
        seen(f"{i}.jpg", picture, recorded_at=time)
        for i, (picture, time) in enumerate(zip(pictures, times, strict=True))
    ]
    (found,) = make_sets(timed)
    assert [photo.clip.name for photo in found.photos] == ["1.jpg", "0.jpg", "2.jpg"]
    names = ["IMG_10.jpg", "IMG_9.jpg", "IMG_100.jpg"]
    (found,) = make_sets([seen(name, picture) for name, picture in zip(names, pictures, strict=True)])
    assert [photo.clip.name for photo in found.photos] == ["IMG_9.jpg", "IMG_10.jpg", "IMG_100.jpg"]


def test_the_focal_length_is_that_of_the_diagonal():
    """iPhone 12, main camera: 26 mm equivalent; 4.2 mm at 1.4 um are 3000 px, within the rounding of 26."""
    recording = read_photo(Tags({}, {0xA405: 26}, {}), 4032, 3024)
    assert recording.focal_px == pytest.approx(26 / 43.2666 * 5040, rel=1e-4)
    assert recording.focal_px == pytest.approx(3000, rel=0.02)


def test_the_focal_length_comes_from_the_sensor_where_no_equivalent_is_stated():
    """Canon EOS 5D: 5616 px on 36 mm, so 50 mm are 7800 px; half of it for a picture of half the size."""
    exif = {0x920A: 50.0, 0xA20E: 5616 / (36 / 25.4), 0xA210: 2, 0xA002: 5616, 0xA003: 3744}
    assert read_photo(Tags({}, exif, {}), 5616, 3744).focal_px == pytest.approx(7800, rel=1e-3)
    assert read_photo(Tags({}, exif, {}), 1872, 2808).focal_px == pytest.approx(3900, rel=1e-3)


@pytest.mark.parametrize(
    "exif", [{}, {0xA405: 0}, {0xA405: "x"}, {0xA405: 1e9}, {0x920A: 50.0}, {0xA405: float("nan")}]
)
def test_a_focal_length_that_is_missing_or_cannot_be_is_not_stated(exif):
    assert read_photo(Tags({}, exif, {}), 4032, 3024).focal_px is None


@pytest.mark.parametrize(
    ("text", "offset", "expected"),
    [
        ("2026:11:24 10:00:00", "+02:00", "2026-11-24T08:00:00+00:00"),
        ("2026:11:24 10:00:00", "", "2026-11-24T10:00:00"),
        ("0000:00:00 00:00:00", "", None),
        ("1970:01:01 00:00:00", "", None),
        ("2026:13:24 10:00:00", "", None),
        ("yesterday", "", None),
        ("9999:12:31 23:59:59", "-12:00", None),
    ],
)
def test_times_are_utc_where_the_zone_is_known(text, offset, expected):
    assert read_photo(Tags({}, {0x9003: text, 0x9011: offset}, {}), 10, 10).recorded_at == expected


def test_places_that_cannot_be_are_none():
    def place(*values):
        return read_photo(Tags({}, {}, dict(zip((1, 2, 3, 4), values, strict=True))), 10, 10).gps

    assert place("S", (33, 30, 36), "W", (70, 0, 0)) == pytest.approx((-33.51, -70.0))
    assert place("N", (0, 0, 0), "E", (0, 0, 0)) is None
    assert place("N", (95, 0, 0), "E", (0, 0, 0)) is None
    assert place("N", (float("nan"), 0, 0), "E", (1, 0, 0)) is None
    assert place("N", None, "E", (1, 0, 0)) is None
