"""Films that are right and unusual: where they start, what else is in them, and what a decoder attaches to a frame."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image, ImageFilter

from runner.context import StageContext
from runner.media.decoding.decoder import Sandboxed
from runner.media.extract import extract_frames, extract_with
from runner.media.settings import FrameSettings, Limits
from runner.media.video.clock import Clock
from runner.media.video.reader import open_video
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.decoders import crashing_on, hanging_on, raising_on
from tests.films import without_packets, write_film, write_motion_jpeg
from tests.footage import footage
from tests.photo_scenes import photos
from tests.photos import tags, write_photo
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
MUXERS = {"mp4": "mp4", "mkv": "matroska", "ts": "mpegts"}
SETTINGS = FrameSettings(budget=20, long_side=120, limits=LIMITS)


def extracted(tmp_path: Path, *paths: Path, decoder: Sandboxed | None = None) -> FrameSet:
    clips = [Clip(path.name, path) for path in paths]
    return extract_with(decoder or Sandboxed(SETTINGS), clips, StageContext(tmp_path / "workspace", SILENT), SETTINGS)


def times_of(path: Path) -> tuple[list[float], list[str]]:
    with open_video(Clip(path.name, path), LIMITS) as video:
        return [frame.timestamp_s for frame in video.frames()], video.warnings


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


@pytest.mark.parametrize("beside", [True, False])
def test_a_film_and_a_photo_in_3d_are_refused_as_such_and_cost_themselves(tmp_path, beside):
    """A picture for each eye, side by side or one above the other: no camera sees that."""
    eyes = []
    for picture in pan(30, 6, 330, 240):
        soft = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(2)))
        eyes.append(np.concatenate([soft[:, :320], soft[:, 6:326]], axis=1 if beside else 0))
    film = write_video(tmp_path / "3d.mp4", eyes)
    photo = write_photo(tmp_path / "both.jpg", eyes[3])
    flat = write_video(tmp_path / "flat.mp4", pan(30, 6, 320, 240))
    clips = [Clip(path.name, path) for path in (flat, film, photo)]
    context = StageContext(tmp_path / "workspace", SILENT)
    found = extract_frames(clips, context, replace(SETTINGS, long_side=640))
    assert [clip.name for clip in found.clips] == ["flat.mp4"]
    assert {one.name: one.failure.code for one in found.refused} == dict.fromkeys(("3d.mp4", "both.jpg"), Code.PANORAMA)
    assert all("3D" in one.failure.cause and "2D" in one.failure.advice for one in found.refused)


# ---- what does not decode --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_a_film_that_is_cut_where_no_keyframe_is_is_used_from_the_next_one_on(tmp_path, kind):
    """As programs cut that do not encode again: the rest of the group of pictures is there and cannot be decoded."""
    options = {"g": "40", "bf": "0", "sc_threshold": "0"}
    whole = write_film(tmp_path / f"a.{kind}", pan(80, 4, 160, 96), container=MUXERS[kind], options=options)
    cut = without_packets(whole, tmp_path / f"b.{kind}", lambda number: number < 10)
    (info,) = extracted(tmp_path, cut).clips
    assert info.frame_count == 40
    assert any("first 3.0 s cannot be decoded" in warning for warning in info.warnings)


def test_a_film_that_lost_pictures_here_and_there_is_used_and_says_so(tmp_path):
    """A camera behind a bad network; the end is there, so sending it again would change nothing."""
    options = {"g": "20", "bf": "0", "refs": "1", "sc_threshold": "0"}
    whole = write_film(tmp_path / "a.mp4", pan(100, 4, 160, 96), container="mp4", options=options)
    damaged = tmp_path / "b.mp4"
    data = bytearray(whole.read_bytes())
    with av.open(str(whole)) as container:
        packets = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size]
    for position, size in packets[15::20] + packets[16::20] + packets[17::20] + packets[18::20]:
        data[position : position + size] = bytes(size)
    damaged.write_bytes(data)
    (info,) = extracted(tmp_path, damaged).clips
    assert 70 <= info.frame_count < 90
    assert any("of 100 frames did not decode" in warning for warning in info.warnings)
    cut = bytes(data[: packets[85][0]]) + bytes(len(data) - packets[85][0])  # and its end is missing
    damaged.write_bytes(cut)
    with pytest.raises(InputError, match="damaged or cut off"):
        times_of(damaged)


# ---- one file costs itself ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("request_kind", ["SurveyVideo", "WriteFrames"])
@pytest.mark.parametrize("misbehaving", [crashing_on, raising_on])
@pytest.mark.parametrize("seed", [1, 2])  # 1: the good one is a copy of the bad one, and takes its place
def test_whatever_a_clip_does_to_its_decoder_in_either_pass_costs_that_clip_only(
    tmp_path, request_kind, misbehaving, seed
):
    seeds = {"bad.mp4": 1, "good.mp4": seed}
    paths = [write_video(tmp_path / name, pan(30, 8, 160, 96, seed=seeds[name])) for name in seeds]
    found = extracted(tmp_path, *paths, decoder=Sandboxed(SETTINGS, misbehaving("bad.mp4", request_kind)))
    (refused,) = found.refused
    assert (refused.name, refused.failure.code) == ("bad.mp4", Code.UNSAFE_VIDEO)
    assert "bad.mp4" in refused.failure.cause
    assert {frame.video for frame in found.frames} == {"good.mp4"}
    assert found.unused == ()
    assert len(found.frames) == SETTINGS.budget, "the frames that the bad one would have had are the other's"
    assert all((tmp_path / "workspace" / "frames" / frame.image).is_file() for frame in found.frames)


def test_a_clip_at_which_the_decoder_hangs_costs_that_clip_only(tmp_path):
    """Waits for as long as a busy machine may need to start the decoder of the other one."""
    patience = replace(SETTINGS, sandbox=replace(SETTINGS.sandbox, silence_s=12.0))
    paths = [write_video(tmp_path / name, pan(30, 8, 160, 96, seed=len(name))) for name in ("bad.mp4", "good.mp4")]
    found = extracted(tmp_path, *paths, decoder=Sandboxed(patience, hanging_on("bad.mp4")))
    (refused,) = found.refused
    assert (refused.name, refused.failure.code) == ("bad.mp4", Code.UNSAFE_VIDEO)
    assert "did not come to a picture for 12 s" in refused.failure.cause
    assert {frame.video for frame in found.frames} == {"good.mp4"}


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
    times, warnings = times_of(path)
    assert warnings == []
    assert times == pytest.approx([number / 10 for number in range(30)], abs=0.002)


@pytest.mark.parametrize(("container", "suffix"), [("matroska", ".mkv"), ("mp4", ".mp4"), ("webm", ".webm")])
@pytest.mark.parametrize("starts_s", [0.0, 60.0])
def test_sound_may_last_longer_than_the_pictures(tmp_path, container, suffix, starts_s):
    codec = "libvpx" if container == "webm" else "libx264"
    path = write_film(
        tmp_path / f"a{suffix}", pan(30, 4, 160, 96), container=container, codec=codec, starts_s=starts_s, sound_s=9.0
    )
    times, _ = times_of(path)
    assert times == pytest.approx([number / 10 for number in range(30)], abs=0.002)


@pytest.mark.parametrize("starts_s", [0.0, 60.0])
def test_a_film_that_breaks_off_is_damaged_wherever_it_starts(tmp_path, starts_s):
    path = write_film(tmp_path / "a.mkv", pan(60, 4, 160, 96), container="matroska", starts_s=starts_s, sound_s=6.0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 5])
    with pytest.raises(InputError) as caught:
        times_of(path)
    assert caught.value.code == Code.CORRUPT_VIDEO


def test_times_of_decoding_in_the_place_of_times_of_showing_are_noticed():
    """Frames in the order of showing whose pts are those of decoding, as a raw stream that was copied has them."""
    clock, unit = Clock(0.04), av.time_base and 1
    shown = [(0, 2), (3, 3), (2, 4), (4, 5), (1, 6), (7, 7), (6, 8), (8, 9), (5, 10)]
    times = [clock.read(pts, unit, dts) for pts, dts in shown]
    assert clock.repaired == 0
    assert times == [0, 3, 4, 5, 6, 7, 8, 9, 10]


# ---- what is in the pictures ----------------------------------------------------------------------------------------


def combed(count: int) -> list[np.ndarray]:
    """A pan whose odd lines are half a picture later."""
    halves = pan(2 * count, 4, 160, 96)
    pictures = [halves[2 * number].copy() for number in range(count)]
    for number, picture in enumerate(pictures):
        picture[1::2] = halves[2 * number + 1][1::2]
    return pictures


def comb(picture: np.ndarray) -> float:
    """How much more a line differs from its neighbours than these from each other, in grey levels."""
    lines = picture.astype(float)
    between = np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean()
    return float(between - np.abs(lines[2:] - lines[:-2]).mean() / 2)


@pytest.mark.parametrize(
    ("suffix", "container", "codec", "options"),
    [
        (".ts", "mpegts", "libx264", {"x264-params": "tff=1", "bf": "0"}),
        (".mpg", "mpeg", "mpeg2video", {"flags": "+ildct+ilme", "bf": "0"}),
    ],
)
def test_interlaced_pictures_lose_their_combs_and_no_frame(tmp_path, suffix, container, codec, options):
    pictures = combed(30)
    path = write_film(
        tmp_path / f"a{suffix}", pictures, fps=25, container=container, codec=codec, interlaced=True,
        pix_fmt="yuv422p" if codec == "mpeg2video" else "yuv420p", options=options,
    )  # fmt: skip
    with open_video(Clip(path.name, path), LIMITS) as video:
        found = [(frame.index, frame.rgb()) for frame in video.frames()]
    assert [index for index, _ in found] == list(range(30))
    assert sum("interlaced" in warning for warning in video.warnings) == 1
    assert comb(pictures[10]) > 10
    assert all(comb(pixels) < 2 for _, pixels in found[1:-1])
    assert np.abs(found[10][1][::2].astype(int) - pictures[10][::2]).mean() < 12, "the first field is kept"


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("still", [0, 9])
def test_combs_of_a_film_that_calls_itself_progressive_are_seen(tmp_path, pix_fmt, still):
    """As an editor exports the tape of an old camcorder. still: pictures before the camera moves."""
    pictures = combed(30)
    pictures = [pictures[0]] * still + pictures if still else pictures
    codec = "libx264" if pix_fmt == "yuv420p" else "libx265"
    path = write_film(
        tmp_path / "a.mp4", pictures, fps=25, container="mp4", codec=codec, pix_fmt=pix_fmt, options={"crf": "18"}
    )
    with open_video(Clip(path.name, path), LIMITS) as video:
        found = [(frame.index, frame.rgb()) for frame in video.frames()]
    assert [index for index, _ in found] == list(range(30 + still))
    assert sum("interlaced" in warning for warning in video.warnings) == 1
    assert all(comb(pixels) < 2 for _, pixels in found[still + 1 : -1])


@pytest.mark.parametrize("noise", [0, 20])
def test_a_film_of_whole_pictures_stays_as_it_is(tmp_path, noise):
    rng = np.random.default_rng(0)
    pictures = [
        np.clip(picture + noise * rng.normal(size=picture.shape), 0, 255).astype(np.uint8)
        for picture in pan(30, 4, 160, 96)
    ]
    path = write_film(tmp_path / "a.mp4", pictures, fps=25, container="mp4", codec="libx264", options={"crf": "18"})
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert [frame.index for frame in video.frames()] == list(range(30))
    assert not any("interlaced" in warning for warning in video.warnings)


@pytest.mark.parametrize(
    ("suffix", "container", "codec", "pix_fmt"),
    [(".mov", "mov", "prores_ks", "yuva444p10le"), (".webm", "webm", "libvpx-vp9", "yuva420p"),
     (".mkv", "matroska", "ffv1", "bgra")],
)  # fmt: skip
def test_a_transparent_film_is_shown_on_white_which_is_said_once(tmp_path, suffix, container, codec, pix_fmt):
    pictures = [np.dstack([view, np.full((96, 160), 255, np.uint8)]) for view in pan(12, 4, 160, 96)]
    for picture in pictures:
        picture[:, 80:] = (0, 0, 0, 0)
    path = write_film(tmp_path / f"a{suffix}", pictures, container=container, codec=codec, pix_fmt=pix_fmt)
    with open_video(Clip(path.name, path), LIMITS) as video:
        found = [(frame.rgb(), frame.luma(160)) for frame in video.frames()]
    assert video.warnings == ["its transparent parts are shown on white"]
    for (pixels, luma), picture in zip(found, pictures, strict=True):
        assert pixels[:, 100:].min() > 245
        assert luma[:, 100:].min() > 240
        assert np.abs(pixels[:, :60].astype(int) - picture[:, :60, :3]).mean() < 12


def test_a_film_with_room_for_transparency_and_none_says_nothing(tmp_path):
    pictures = [np.dstack([view, np.full((96, 160), 255, np.uint8)]) for view in pan(12, 4, 160, 96)]
    path = write_film(tmp_path / "a.mov", pictures, container="mov", codec="prores_ks", pix_fmt="yuva444p10le")
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert len(list(video.frames())) == 12
    assert video.warnings == []


def test_a_larger_picture_beside_a_film_is_not_the_film(tmp_path):
    """One picture in a stream of its own, as some cameras add it without saying that it is a cover."""
    path = tmp_path / "a.mov"
    with av.open(str(path), "w", format="mov") as output:
        streams = [output.add_stream("mjpeg", rate=10), output.add_stream("libx264", rate=10)]
        for stream, size in zip(streams, ((640, 480), (160, 96)), strict=True):
            stream.width, stream.height = size
        streams[0].pix_fmt, streams[1].pix_fmt = "yuvj420p", "yuv420p"
        output.mux(streams[0].encode(av.VideoFrame.from_ndarray(pan(1, 4)[0]).reformat(format="yuvj420p")))
        for pixels in pan(12, 4, 160, 96):
            output.mux(streams[1].encode(av.VideoFrame.from_ndarray(pixels)))
        for stream in streams:
            output.mux(stream.encode(None))
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert [(frame.width, frame.height) for frame in video.frames()] == [(160, 96)] * 12
