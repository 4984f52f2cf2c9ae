"""Reading one video: upright pictures at true times, and a typed error with a remedy for everything else."""

from __future__ import annotations

import socket
import zipfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.media.video.clock import Clock
from runner.media.video.container import SAFE_OPTIONS
from runner.media.video.header import Header
from runner.media.video.metadata import parse_iso6709, read_recording
from runner.media.video.orientation import upright
from runner.media.video.reader import open_video
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from runner.scene.sizes import shrink
from scenejobs.errors import Code, InputError
from tests.videos import BLUE, GREEN, RED, WHITE, corners, pan, write_audio, write_changing_size, write_video

SMALL = Limits(min_long_side=64, min_short_side=48)


def read(path: Path, limits: Limits = SMALL) -> tuple[list[tuple[int, float, np.ndarray]], list[str]]:
    with open_video(Clip(path.name, path), limits) as video:
        return [(p.index, p.timestamp_s, p.rgb()) for p in video.frames()], video.warnings


def header(path: Path) -> Header:
    with open_video(Clip(path.name, path), SMALL) as video:
        return video.header


def refusal(path: Path, limits: Limits = SMALL) -> InputError:
    with pytest.raises(InputError) as caught:
        read(path, limits)
    assert path.name in caught.value.cause
    assert caught.value.advice
    return caught.value


def quarters(picture: np.ndarray) -> list[tuple[int, ...]]:
    """Colours at top left, top right, bottom left, bottom right, each channel rounded to 0 or 255."""
    height, width = picture.shape[:2]
    points = [(height // 4, width // 4), (height // 4, 3 * width // 4)]
    points += [(3 * height // 4, width // 4), (3 * height // 4, 3 * width // 4)]
    return [tuple(255 if channel > 127 else 0 for channel in picture[point]) for point in points]


@pytest.mark.parametrize(
    ("rotation_deg", "expected"),  # what a person sees who turns the stored picture counter-clockwise by that angle
    [
        (0, [RED, GREEN, BLUE, WHITE]),
        (90, [GREEN, WHITE, RED, BLUE]),
        (180, [WHITE, BLUE, GREEN, RED]),
        (-90, [BLUE, RED, WHITE, GREEN]),
    ],
)
def test_a_clip_filmed_in_any_of_four_directions_is_upright(tmp_path, rotation_deg, expected):
    path = write_video(tmp_path / "a.mp4", [corners(160, 96)] * 3, rotation_deg=rotation_deg)
    frames, _ = read(path)
    assert quarters(frames[0][2]) == expected
    assert frames[0][2].shape == ((160, 96, 3) if rotation_deg in (90, -90) else (96, 160, 3))
    with open_video(Clip("a", path), SMALL) as video:
        next(video.frames())
        assert video.rotation_deg == rotation_deg % 360


def test_a_mirrored_selfie_clip_is_turned_back(tmp_path):
    path = write_video(tmp_path / "a.mp4", [corners(160, 96)] * 3, mirrored=True)
    assert quarters(read(path)[0][0][2]) == [GREEN, RED, WHITE, BLUE]


def test_orientation_matches_pillow_for_all_eight_exif_orientations():
    """Pillow's transpose operations are the independent reference; matrices as the QuickTime format defines them."""
    picture = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(picture)
    one, turn = 65536, Image.Transpose
    for (a, b, c, d), operation in {
        (-one, 0, 0, one): turn.FLIP_LEFT_RIGHT,
        (-one, 0, 0, -one): turn.ROTATE_180,
        (one, 0, 0, -one): turn.FLIP_TOP_BOTTOM,
        (0, one, one, 0): turn.TRANSPOSE,
        (0, one, -one, 0): turn.ROTATE_270,
        (0, -one, -one, 0): turn.TRANSVERSE,
        (0, -one, one, 0): turn.ROTATE_90,
    }.items():
        expected = np.asarray(image.transpose(operation))
        assert np.array_equal(upright(picture, (a, b, 0, c, d, 0, 0, 0, 1 << 30)), expected), operation


def test_times_are_those_of_the_container_when_the_frame_rate_varies(tmp_path):
    times_ms = [0, 40, 80, 500, 540, 1500, 2000]
    frames, warnings = read(write_video(tmp_path / "a.mp4", pan(7, 4, 160, 96), times_ms=times_ms))
    assert [round(time * 1000) for _, time, _ in frames] == times_ms
    assert [index for index, _, _ in frames] == list(range(7))
    assert warnings == []


def test_wide_pixels_are_made_square(tmp_path):
    """Anamorphic 160x96 with pixels 4/3 as wide as high shows as 213x96."""
    path = write_video(tmp_path / "a.mp4", [corners(160, 96)] * 3, pixel_aspect=Fraction(4, 3))
    assert read(path)[0][0][2].shape == (96, 213, 3)
    path = write_video(tmp_path / "b.mp4", [corners(160, 96)] * 3, pixel_aspect=Fraction(4, 3), rotation_deg=90)
    assert read(path)[0][0][2].shape == (213, 96, 3)


def test_odd_sizes_keep_every_pixel(tmp_path):
    frames, _ = read(write_video(tmp_path / "a.mp4", [corners(161, 97)] * 3, pix_fmt="yuv444p"))
    assert frames[0][2].shape == (97, 161, 3)


def test_pictures_shrink_to_the_long_side_and_never_grow(tmp_path):
    path = write_video(tmp_path / "a.mp4", [corners(160, 96)] * 2, rotation_deg=90)
    with open_video(Clip("a", path), SMALL) as video:
        picture = next(video.frames())
        assert picture.rgb(80).shape == (80, 48, 3)
        assert picture.luma(40).shape == (40, 24)
        assert picture.rgb(1000).shape == (160, 96, 3)
        assert quarters(picture.rgb(80)) == [GREEN, WHITE, RED, BLUE]
    assert shrink(1920, 1080, 1280) == (1280, 720)


@pytest.mark.parametrize(
    ("matrix", "red_weight", "blue_weight"),
    [(1, 0.2126, 0.0722), (5, 0.299, 0.114), (2, 0.299, 0.114), (9, 0.2627, 0.0593)],
)
@pytest.mark.parametrize("full_range", [False, True])
def test_colours_follow_the_stated_matrix_and_range(tmp_path, matrix, red_weight, blue_weight, full_range):
    """A colour encoded by the formulas of ITU-R BT.709, BT.601 and BT.2020 comes back, within 8-bit rounding."""
    colour = np.array([200, 60, 30]) / 255
    luma = np.dot([red_weight, 1 - red_weight - blue_weight, blue_weight], colour)
    u, v = (colour[2] - luma) / (2 - 2 * blue_weight), (colour[0] - luma) / (2 - 2 * red_weight)
    planes = (
        (255 * luma, 128 + 255 * u, 128 + 255 * v) if full_range else (16 + 219 * luma, 128 + 224 * u, 128 + 224 * v)
    )
    path = tmp_path / "a.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        stream.options = {"qp": "1"}
        stream.codec_context.colorspace, stream.codec_context.color_range = matrix, 2 if full_range else 1
        frame = av.VideoFrame(64, 64, "yuv420p")
        frame.colorspace, frame.color_range = matrix, 2 if full_range else 1
        for plane, value in zip(frame.planes, planes, strict=True):
            plane.update(bytes([round(value)]) * plane.buffer_size)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    frames, _ = read(path, Limits(min_long_side=64, min_short_side=64))
    assert np.abs(frames[0][2].reshape(-1, 3).astype(int) - [200, 60, 30]).max() <= 4


def test_ten_bit_video_becomes_eight_bit_without_clipping(tmp_path):
    path = write_video(tmp_path / "a.mp4", [corners(160, 96) // 2] * 3, codec="libx265", pix_fmt="yuv420p10le")
    picture = read(path)[0][0][2]
    assert np.abs(picture[20, 20].astype(int) - [127, 0, 0]).max() <= 6
    assert np.abs(picture[80, 140].astype(int) - [127, 127, 127]).max() <= 6


def test_the_largest_stream_is_read_and_sound_is_ignored(tmp_path):
    path = write_video(tmp_path / "a.mp4", [corners(320, 240)] * 3, preview=True, audio=True)
    assert header(path).width == 320
    frames, warnings = read(path)
    assert frames[0][2].shape == (240, 320, 3)
    assert warnings == ["it holds 2 video streams; only the largest is used"]


def test_a_video_is_known_by_its_content_and_not_by_its_name(tmp_path):
    path = write_video(tmp_path / "a.mp4", [corners(160, 96)] * 3).rename(tmp_path / "holiday")
    assert len(read(path)[0]) == 3


def test_zero_bytes_are_called_empty(tmp_path):
    (tmp_path / "a.mp4").touch()
    assert refusal(tmp_path / "a.mp4").code == Code.EMPTY_FILE


def test_sound_without_pictures_has_its_own_answer(tmp_path):
    assert refusal(write_audio(tmp_path / "a.mp4")).code == Code.NO_VIDEO_STREAM


def test_what_is_no_video_is_refused_whatever_its_name(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_text("hello world\n" * 200)
    assert refusal(path).code == Code.NOT_A_VIDEO
    path.write_text("<!doctype html><html><body>not found</body></html>")
    assert refusal(path).code == Code.NOT_A_VIDEO
    path.write_bytes(np.random.default_rng(0).bytes(50_000))
    assert refusal(path).code == Code.NOT_A_VIDEO
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a.txt", "text")
    assert refusal(path).code == Code.NOT_A_VIDEO
    with path.open("wb") as file:
        Image.fromarray(corners()).save(file, "JPEG")
    assert refusal(path).code == Code.NOT_A_VIDEO


STAND_INS = {
    b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(4000): "a Mac puts beside a file",
    b"bplist00" + bytes(range(200)): "iCloud",
    b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n": "Git LFS",
    b"\n<!DOCTYPE html><html lang='de'><title>Anmelden \xe2\x80\x93</title>": "a web page",
    b'{"error": {"code": 404}}': "text",
    b"%PDF-1.7\n": "a PDF",
    b"\0\0\0\1Bud1\0\0\x10\0" + bytes(4000): "the Finder",
    bytes.fromhex("D0CF11E0A1B11AE1") + bytes(4000): "Thumbs.db",
    bytes(50_000): "zeros",
}


@pytest.mark.parametrize("name", ["a.mp4", "a.jpg"])
def test_what_lies_in_the_place_of_a_file_is_called_what_it_is(tmp_path, name):
    """All were "not a video: convert it with ffmpeg", which nobody can do with a web page."""
    clips = [Clip("film.mp4", write_video(tmp_path / "film.mp4", pan(30, 8, 160, 96), fps=30))]
    for number, content in enumerate(STAND_INS):
        path = tmp_path / f"{number}{name}"
        path.write_bytes(content)
        clips.append(Clip(path.name, path))
    settings = FrameSettings(budget=12, long_side=120, limits=Limits(min_long_side=64, min_short_side=48))
    refused = extract_frames(clips, StageContext(tmp_path, SILENT), settings).refused
    assert [refusal.name for refusal in refused] == [clip.name for clip in clips[1:]]
    for refusal, said in zip(refused, STAND_INS.values(), strict=True):
        assert said in refusal.failure.cause
        assert "ffmpeg" not in refusal.failure.advice


def test_a_download_that_has_not_ended_is_called_so(tmp_path):
    path = tmp_path / "a.mp4.crdownload"
    path.write_bytes(write_video(tmp_path / "a.mp4", pan(12, 4, 160, 96)).read_bytes()[:3000])
    error = refusal(path)
    assert error.code == Code.CORRUPT_VIDEO
    assert "not finished" in error.cause
    assert "download" in error.advice


def test_playlists_named_mp4_open_no_url_and_no_other_file(tmp_path):
    """Nothing connects to the canary, and the neighbour a playlist points to is not decoded."""
    write_video(tmp_path / "neighbour.mp4", [corners()] * 3)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/a.ts"
        texts = [
            "ffconcat version 1.0\nfile neighbour.mp4\n",
            f"ffconcat version 1.0\nfile '{url}'\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
            "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nneighbour.mp4\n#EXT-X-ENDLIST\n",
            '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period>'
            f"<BaseURL>{url}</BaseURL></Period></MPD>",
            f"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=video {canary.getsockname()[1]} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        ]
        for text in texts:
            (tmp_path / "playlist.mp4").write_text(text)
            assert refusal(tmp_path / "playlist.mp4").code == Code.NOT_A_VIDEO, text
        with pytest.raises(BlockingIOError):
            canary.accept()


@pytest.mark.parametrize("left_out", ["protocol_whitelist", "format_whitelist"])
def test_either_whitelist_alone_keeps_playlists_from_opening_anything(tmp_path, left_out):
    """A mistake in one of them is not a hole yet."""
    neighbour = write_video(tmp_path / "neighbour.mp4", [corners()] * 3)
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.setblocking(False)
        url = f"http://127.0.0.1:{canary.getsockname()[1]}/a.ts"
        for text in (
            f"ffconcat version 1.0\nfile {neighbour}\n",
            f"ffconcat version 1.0\nfile {url}\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{url}\n#EXT-X-ENDLIST\n",
            f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile:{neighbour}\n#EXT-X-ENDLIST\n",
        ):
            (tmp_path / "playlist.mp4").write_text(text)
            with (tmp_path / "playlist.mp4").open("rb") as file:
                options = {**SAFE_OPTIONS, "fd": str(file.fileno()), "safe": "0"}
                del options[left_out]
                with pytest.raises(av.error.FFmpegError), av.open("fd:", options=options, timeout=5) as container:
                    assert next(container.decode(video=0), None) is None, "another file was decoded"
        with pytest.raises(BlockingIOError):
            canary.accept()


def test_a_video_without_its_index_is_called_damaged(tmp_path):
    path = write_video(tmp_path / "a.mp4", pan(10, 4, 160, 96))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert refusal(path).code == Code.CORRUPT_VIDEO


def cut_tail(path: Path, share: float) -> None:
    """Keeps the index (moved to the front) and `share` of the packets' bytes."""
    with (
        av.open(str(path)) as source,
        av.open(str(path) + "2", "w", format="mp4", options={"movflags": "faststart"}) as to,
    ):
        stream = to.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(source.streams.video[0]):
            if packet.dts is not None:
                packet.stream = stream
                to.mux(packet)
    data = Path(str(path) + "2").read_bytes()
    media = data.index(b"mdat")
    path.write_bytes(data[: media + int((len(data) - media) * share)])


def test_a_lost_tail_is_a_warning_and_a_lost_half_is_refused(tmp_path):
    path = write_video(tmp_path / "a.mp4", pan(40, 4, 160, 96))
    whole = path.read_bytes()
    cut_tail(path, 0.97)
    frames, warnings = read(path)
    assert 36 <= len(frames) < 40
    assert "of 40 frames did not decode" in warnings[0]
    path.write_bytes(whole)
    cut_tail(path, 0.5)
    error = refusal(path)
    assert error.code == Code.CORRUPT_VIDEO
    assert "of 40 frames" in error.cause


def test_frames_of_every_size_are_read(tmp_path):
    path = write_changing_size(tmp_path / "a.mkv", [(160, 96)] * 6 + [(96, 160)] * 2 + [(160, 96)] * 2)
    frames, warnings = read(path)
    assert [pixels.shape[:2] for _, _, pixels in frames] == [(96, 160)] * 6 + [(160, 96)] * 2 + [(96, 160)] * 2
    assert [index for index, _, _ in frames] == list(range(10))
    assert warnings == []


def test_broken_timestamps_become_increasing_ones():
    """Repeated, missing, backward, and absurdly late ones; a clock that restarts goes on from where it was."""
    clock, unit = Clock(0.1), Fraction(1, 10)
    given = [-3, -2, -2, None, 1, 10**9, 10**9 + 1, 0, 1]
    times = [clock.read(pts, unit) for pts in given]
    assert times == pytest.approx([0, 0.1, 0.2, 0.3, 0.5, 0.6, 0.7, 0.8, 0.9])
    assert clock.repaired == 4


def test_limits_name_the_number_that_was_passed(tmp_path):
    path = write_video(tmp_path / "a.mp4", pan(12, 4, 640, 480))
    assert "640x480" in refusal(path, Limits(min_long_side=800, min_short_side=600)).cause
    assert refusal(path, Limits(min_long_side=1300, min_short_side=481)).code == Code.TOO_SMALL
    assert refusal(path, Limits(max_pixels=100_000)).code == Code.TOO_LARGE
    assert refusal(path, Limits(max_file_bytes=10)).code == Code.TOO_LARGE
    assert refusal(path, Limits(max_duration_s=0.5)).code == Code.TOO_LARGE
    assert "MAX_VIDEO_BYTES" in refusal(path, Limits(max_file_bytes=10)).advice
    assert len(read(path, Limits())[0]) == 12


def test_a_file_that_vanished_is_said_to_be_gone(tmp_path):
    assert refusal(tmp_path / "a.mp4").code == Code.INPUT_GONE


def test_what_the_phone_wrote_beside_the_pictures_is_kept(tmp_path):
    tags = {
        "com.apple.quicktime.make": "Apple",
        "com.apple.quicktime.model": "iPhone 15",
        "com.apple.quicktime.creationdate": "2024-05-01T12:00:00+0200",
        "com.apple.quicktime.location.ISO6709": "+48.1374+011.5755+520.000/",
    }
    recording = header(write_video(tmp_path / "a.mp4", [corners()] * 3, tags=tags)).recording
    assert recording.recorded_at == "2024-05-01T10:00:00+00:00"
    assert recording.camera_model == "Apple iPhone 15"
    assert recording.gps == pytest.approx((48.1374, 11.5755))


def test_a_clip_of_the_last_evening_of_all_times_is_used(tmp_path):
    """West of Greenwich the year 9999 ends when UTC has no more days: the whole scene ended as a bug."""
    tags = {"com.apple.quicktime.creationdate": "9999-12-31T23:59:59-12:00"}
    path = write_video(tmp_path / "a.mp4", [corners()] * 3, tags=tags)
    assert header(path).recording.recorded_at is None
    assert len(read(path)[0]) == 3


def test_clocks_that_were_never_set_and_broken_tags_say_nothing():
    assert read_recording({"creation_time": "1904-01-01T00:00:00Z"}).recorded_at is None
    assert read_recording({"creation_time": "yesterday", "location": "here"}).gps is None
    assert read_recording({"location": "+00.0000+000.0000/"}).gps is None
    assert read_recording({}).camera_model is None


def test_places_in_minutes_and_seconds_become_degrees():
    """ISO 6709 Annex H: 48 deg 8.244 min and 48 deg 8 min 14.64 s are both 48.1374 deg."""
    assert parse_iso6709("+4808.244-01134.530/") == pytest.approx((48.1374, -11.5755))
    assert parse_iso6709("+480814.64-0113431.80/") == pytest.approx((48.1374, -11.5755))
