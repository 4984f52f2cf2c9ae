"""A film with more frames than may be decoded is used: some frames of all of its parts, with their true numbers."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.selection.shot_detection import find_shot_boundaries
from runner.media.settings import FrameSettings, Limits
from runner.media.video import survey as two_passes
from runner.media.video.damage import Damage
from runner.media.video.packets import Packets, read_packets
from runner.media.video.reader import open_video
from runner.media.video.thinning import FEW, GROUP, SPARE, Group, allowance, plan
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from scenejobs.errors import Code, InputError
from tests.films import write_film
from tests.videos import pan, wall

BITS, WIDTH, HEIGHT = 10, 160, 96
WALL = wall(WIDTH + 300, HEIGHT)
UNHEARD = lambda _share, _detail: None  # noqa: E731
SMALL = {"min_long_side": 64, "min_short_side": 48}


def counted(number: int) -> np.ndarray:
    """A picture of a wall that says its number below: a white or black bar for each bit."""
    bits = [255 * (number >> bit & 1) for bit in range(BITS)]
    picture = WALL[:, number % 300 : number % 300 + WIDTH].copy()
    picture[HEIGHT // 2 :] = np.repeat(np.array(bits, np.uint8), WIDTH // BITS)[None, :, None]
    return picture


def number_in(pixels: np.ndarray) -> int:
    places = (np.arange(BITS) + 0.5) * pixels.shape[1] / BITS
    return sum(int(pixels[3 * pixels.shape[0] // 4, int(place), 0] > 127) << bit for bit, place in enumerate(places))


def film(path: Path, count: int = 400, **more) -> Path:
    return write_film(path, [counted(number) for number in range(count)], fps=20, **more)


def seen(path: Path, most: int, wanted: tuple[int, ...] = ()) -> tuple[list[tuple[int, float, int]], list[str]]:
    with open_video(Clip(path.name, path), Limits(max_decoded_frames=most, **SMALL)) as video:
        found = [(frame.index, frame.timestamp_s, number_in(frame.rgb())) for frame in video.frames(wanted)]
    return found, video.warnings


KINDS = [
    (".mp4", "mp4", "libx264", {"preset": "veryfast", "g": "20", "bf": "3"}),  # frames are stored in another order
    (".mp4", "mp4", "libx264", {"preset": "veryfast", "g": "20", "bf": "3", "x264-params": "open-gop=1"}),
    (".mkv", "matroska", "libx265", {"x265-params": "log-level=none:keyint=25:bframes=4"}),
    (".ts", "mpegts", "libx264", {"preset": "veryfast", "g": "20", "bf": "2"}),
    (".mpg", "mpeg", "mpeg2video", {"g": "15", "bf": "2"}),
    (".mpg", "mpeg", "mpeg1video", {"g": "12", "bf": "2"}),
    (".avi", "avi", "mpeg4", {"g": "12"}),
    (".webm", "webm", "libvpx", {"g": "20", "deadline": "realtime", "cpu-used": "8"}),
    (".h264", "h264", "libx264", {"preset": "veryfast", "g": "20", "bf": "0"}),
]  # fmt: skip


@pytest.mark.parametrize(("suffix", "container", "codec", "options"), KINDS)
def test_each_frame_of_a_thinned_film_has_its_true_number_and_time(tmp_path, suffix, container, codec, options):
    fps = 25 if container in ("h264", "mpeg") else 20
    path = write_film(
        tmp_path / f"a{suffix}", [counted(number) for number in range(400)], fps=fps, container=container, codec=codec,
        options=options,
    )  # fmt: skip
    found, warnings = seen(path, 100)
    assert 60 <= len(found) <= 100
    assert [number for _, _, number in found] == [index for index, _, _ in found]
    exact_s = 0.002 if container != "mpeg" else 0.1  # which states the times of a few pictures
    assert [time for _, time, _ in found] == pytest.approx([index / fps for index, _, _ in found], abs=exact_s)
    assert found[0][0] < 5
    assert found[-1][0] > 370, "the end of the film is looked at as well"
    assert any("it is long" in warning and "of its 400 frames" in warning for warning in warnings)
    # The second pass decodes only what it is asked for, and finds the same frames.
    wanted = tuple(index for index, _, _ in found[::17])
    again, _ = seen(path, 100, wanted)
    assert set(wanted) <= {index for index, _, _ in again}
    pictures = {index: number for index, _, number in found}
    assert all(pictures[index] == number for index, _, number in again)
    assert len(again) < len(found)


def test_a_film_within_the_limit_is_looked_at_as_a_whole(tmp_path):
    path = film(tmp_path / "a.mp4", 50, container="mp4")
    found, warnings = seen(path, 50)
    assert [index for index, _, _ in found] == list(range(50))
    assert warnings == []
    assert len(seen(path, 49)[0]) <= 49


def test_a_film_with_one_keyframe_is_used_as_far_as_the_limit_reaches(tmp_path):
    path = film(tmp_path / "a.mp4", container="mp4", options={"g": "1000", "sc_threshold": "0"})
    found, (warning,) = seen(path, 100)
    assert [index for index, _, _ in found] == list(range(100))
    assert "100 of its 400 frames, from 0 to 5 s of 20 s" in warning
    assert "from all of its parts" not in warning
    (survey,) = two_passes.survey(Clip("a.mp4", path), Limits(max_decoded_frames=100, **SMALL), UNHEARD)
    assert survey.info.duration_s == pytest.approx(5.0, abs=0.1), "what was looked at"
    assert survey.info.fps == pytest.approx(20.0, abs=0.1)


@pytest.mark.parametrize("bf", ["0", "3"])
@pytest.mark.parametrize(("suffix", "container"), [(".mp4", "mp4"), (".mkv", "matroska"), (".ts", "mpegts")])
def test_a_long_film_with_periodic_intra_refresh_is_used_from_all_of_its_parts(tmp_path, suffix, container, bf):
    """Where decoding begins, nothing comes out before the wave of refreshed columns is through."""
    options = {"preset": "veryfast", "g": "40", "intra-refresh": "1", "bf": bf}
    path = film(tmp_path / f"a{suffix}", container=container, options=options)
    found, warnings = seen(path, 150)
    assert 40 <= len(found) <= 150
    assert [number for _, _, number in found] == [index for index, _, _ in found]
    assert found[-1][0] > 340
    assert any("from all of its parts" in warning for warning in warnings)
    wanted = tuple(index for index, _, _ in found[::17])
    assert set(wanted) <= {index for index, _, _ in seen(path, 150, wanted)[0]}


@pytest.mark.parametrize(("suffix", "container"), [(".mp4", "mp4"), (".mkv", "matroska")])
@pytest.mark.parametrize("first", [1, 20, 59])
@pytest.mark.parametrize("most", [200, 50])
def test_a_jump_of_the_clock_by_more_than_a_day_makes_no_film_longer(tmp_path, suffix, container, first, most):
    """Right after the first picture, in the middle, and before the last."""
    path = tmp_path / f"a{suffix}"
    with av.open(str(path), "w", format=container) as output:
        stream = output.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        stream.options = {"preset": "veryfast", "g": "10", "bf": "0"}
        for number in range(60):
            frame = av.VideoFrame.from_ndarray(counted(number))
            frame.pts, frame.time_base = 50 * number + 100_000_000 * (number >= first), Fraction(1, 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    (survey,) = two_passes.survey(Clip(path.name, path), Limits(max_decoded_frames=most, **SMALL), UNHEARD)
    assert 2.5 < survey.info.duration_s < 60
    assert all(number == index for index, _, number in seen(path, most)[0])


def test_after_a_cut_of_an_edit_list_frames_have_their_true_numbers(tmp_path):
    """The second part begins between keyframes: what leads up to it is in the file, is decoded, and is not shown."""
    whole = film(tmp_path / "whole.mp4", container="mp4", options={"g": "40", "keyint_min": "40", "sc_threshold": "0"})
    path = tmp_path / "cut.mp4"
    path.write_bytes(with_edits(whole.read_bytes(), ((0.0, 3.35), (11.65, 8.35))))
    straight = [number for _, _, number in seen(path, 400)[0]]
    assert straight[:67] == list(range(67)), "0 to 3.35 s"
    assert straight[67:] == list(range(233, 400)), "11.65 s to the end"
    found, _ = seen(path, 200)
    assert len(found) >= 190
    assert [number for _, _, number in found] == [straight[index] for index, _, _ in found]


def with_edits(data: bytes, parts: tuple[tuple[float, float], ...]) -> bytes:
    """An MP4 file with another edit list: (start, length) in seconds of each part. ISO/IEC 14496-12, 8.6.6."""
    at = data.index(b"elst") - 4
    old = int.from_bytes(data[at : at + 4], "big")
    media, movie = (struct.unpack_from(">I", data, data.index(box) + 16)[0] for box in (b"mdhd", b"mvhd"))
    entries = [struct.pack(">IiI", round(long * movie), round(start * media), 1 << 16) for start, long in parts]
    box = struct.pack(">I4sII", 16 + 12 * len(parts), b"elst", 0, len(parts)) + b"".join(entries)
    changed = bytearray(data[:at] + box + data[at + old :])
    for name in (b"moov", b"trak", b"edts"):  # which hold it
        place = changed.rindex(name, 0, at) - 4
        size = int.from_bytes(changed[place : place + 4], "big") + len(box) - old
        changed[place : place + 4] = size.to_bytes(4, "big")
    return bytes(changed)


class LateStream:
    """A container as PyAV shows one in which a stream begins in the middle."""

    def __init__(self, container: av.container.InputContainer) -> None:
        self._container, self._calls = container, 0

    def demux(self) -> Iterator[av.Packet]:
        self._calls += 1
        for number, packet in enumerate(self._container.demux()):
            if number == 5 and self._calls == 1:
                raise IndexError("list index out of range")
            yield packet


def test_a_stream_that_begins_late_costs_no_more_than_its_own_packets(tmp_path):
    path = film(tmp_path / "a.ts", 40, container="mpegts")
    with av.open(str(path)) as container:
        packets = read_packets(LateStream(container), container.streams.video[0], Damage(), lambda _: None)
    assert len(packets) == 39


def test_a_film_that_does_not_say_how_long_it_is_is_counted(tmp_path):
    path = film(tmp_path / "a.mkv", container="matroska")
    data = path.read_bytes()
    at = data.index(b"\x44\x89\x88")  # Duration of the segment, as a double
    path.write_bytes(data[: at + 3] + bytes(8) + data[at + 11 :])
    found, _ = seen(path, 100)
    assert len(found) <= 100
    assert found[-1][0] > 370


def test_a_long_film_that_breaks_off_is_damaged(tmp_path):
    path = film(tmp_path / "a.mp4", container="mp4", options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError) as caught:
        seen(path, 100)
    assert caught.value.code == Code.CORRUPT_VIDEO


def test_the_frames_that_are_written_are_those_that_were_chosen(tmp_path):
    """Through both sandboxed processes; the clip states its whole length."""
    path = film(tmp_path / "a.mp4", container="mp4")
    settings = FrameSettings(budget=14, long_side=160, limits=Limits(max_decoded_frames=100, **SMALL))
    found = extract_frames([Clip("a.mp4", path)], StageContext(tmp_path / "workspace", SILENT), settings)
    (info,) = found.clips
    assert info.duration_s == pytest.approx(20.0, abs=0.1)
    assert info.fps == pytest.approx(20.0, abs=0.1)
    assert len(found.frames) == 14
    assert found.frames[-1].timestamp_s > 17
    for frame in found.frames:
        with Image.open(tmp_path / "workspace" / "frames" / frame.image) as picture:
            assert number_in(np.asarray(picture)) == frame.index, frame


@pytest.mark.parametrize("bf", ["0", "3"])  # 3: frames at the end of a group are missing
@pytest.mark.parametrize(("step_px", "static"), [(0.0, True), (1.5, False)])
def test_gaps_are_no_cuts_and_no_motion(tmp_path, step_px, static, bf):
    options = {"preset": "veryfast", "g": "20", "bf": bf}
    path = write_film(tmp_path / "a.mp4", pan(400, step_px, WIDTH, HEIGHT), fps=20, container="mp4", options=options)
    (found,) = two_passes.survey(Clip("a.mp4", path), Limits(max_decoded_frames=100, **SMALL), UNHEARD)
    assert ("the camera does not move in this clip" in found.info.warnings) is static
    assert find_shot_boundaries(found.measures).starts == ()


def test_a_cut_between_gaps_is_seen_where_the_camera_moves_slowly(tmp_path):
    pictures = [*pan(200, 0.3, WIDTH, HEIGHT), *pan(200, 0.3, WIDTH, HEIGHT, seed=9)]
    path = write_film(tmp_path / "a.mp4", pictures, fps=20, container="mp4", options={"g": "10"})
    (found,) = two_passes.survey(Clip("a.mp4", path), Limits(max_decoded_frames=200, **SMALL), UNHEARD)
    (start,) = find_shot_boundaries(found.measures).starts
    assert found.measures[start].index == pytest.approx(200, abs=2)


# ---- the plan -------------------------------------------------------------------------------------------------------


def planned(path: Path, most: int) -> tuple[Group, ...]:
    with open_video(Clip(path.name, path), Limits(**SMALL)) as video:
        packets = read_packets(video._container, video._stream, Damage(), lambda _: None)
    return plan(packets, 0.05, most).groups


def test_a_plan_takes_from_all_parts_and_no_more_than_it_may(tmp_path):
    path = film(tmp_path / "a.mp4", container="mp4", options={"g": "10", "sc_threshold": "0"})
    for most in (5, 40, 100, 399):
        groups = planned(path, most)
        assert sum(group.end - group.first for group in groups) <= most
        assert len(groups) == min(40, max(int((1 - SPARE) * most / GROUP), min(FEW, most // GROUP))) or most > 100
        assert all(group.first % 10 == 0 for group in groups)
        assert all(one.end < other.first for one, other in itertools.pairwise(groups))
    assert planned(path, 40)[-1].first >= 350


@pytest.mark.parametrize("turn", [30, 100, 90, 400])  # pictures that are shown again and again
@pytest.mark.parametrize("keyframes", [10, 50, 400])
def test_of_what_is_repeated_by_stream_copy_each_picture_is_decoded(turn, keyframes):
    """However the groups of pictures and of packets fall together."""
    packets = Packets()
    packets.time_base = Fraction(1, 20)
    for number in range(12_000):
        packet = av.Packet(1)
        packet.pts = packet.dts = number
        packet.time_base, packet.is_keyframe = packets.time_base, number % turn % keyframes == 0
        packets.append(packet)
    groups = plan(packets, 0.05, 2000).groups
    seen_numbers = [number for group in groups for number in range(group.first, group.end)]
    assert len(seen_numbers) <= 2000
    assert len({number % turn for number in seen_numbers}) >= 2 / 3 * turn
    assert max(np.diff(seen_numbers)) < 12_000 / 20


def test_large_pictures_count_more():
    assert allowance(20_000, 1920, 1080) == 20_000
    assert allowance(20_000, 3840, 2160) == 10_000
    assert allowance(20_000, 7680, 4320) == 2_500
    assert allowance(100, 3840, 2160) == 100
