"""Wrong timestamps and pauses cost neither the film nor most of its frames; slides are not taken for the film."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from runner.media.selection.budget import choose
from runner.media.selection.measures import FrameMeasures
from runner.media.settings import Limits
from runner.media.video.reader import open_video
from runner.media.video.survey import survey
from runner.scene.frames import Clip
from tests.videos import pan, wall, write_two_streams, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
STANDS_STILL = "it holds 2 video streams; only the one that moves is used: a larger one stands still"
UNHEARD = lambda _share, _detail: None  # noqa: E731


def test_a_pause_takes_no_frames_from_what_was_filmed():
    """A minute in which nothing was written had most of the windows in time, all of them empty."""
    for pause_at in (1, 30, 59):
        frames = [
            FrameMeasures(i, 0.1 * i + 50.0 * (i >= pause_at), 1.0 + i % 3, travel=0.01 * (i + 1)) for i in range(60)
        ]
        (chosen,) = choose([frames], 30)
        assert len(chosen) >= 26, pause_at


def test_a_pause_gives_a_clip_no_larger_part_of_the_budget():
    def clip(pause_s: float) -> list[FrameMeasures]:
        return [FrameMeasures(i, 0.1 * i + pause_s * (i >= 50), 1.0, travel=0.01 * (i + 1)) for i in range(100)]

    paused, other = choose([clip(50.0), clip(0.0)], 60)
    assert min(len(paused), len(other)) >= 26


@pytest.mark.parametrize(
    "times_ms",
    [[*range(0, 3900, 100), 44_000], [0, *range(50_000, 53_900, 100)]],
    ids=["last", "first"],
)
def test_one_frame_far_from_all_others_makes_a_film_no_longer(tmp_path, times_ms):
    path = write_video(tmp_path / "a.mp4", pan(40, 4, 160, 96), times_ms=times_ms)
    (part,) = survey(Clip(path.name, path), LIMITS, UNHEARD)
    assert part.info.duration_s == pytest.approx(4.0, abs=0.1)
    assert part.info.fps == pytest.approx(10, abs=0.3)
    assert [one.timestamp_s for one in part.measures] == pytest.approx(np.arange(40) / 10, abs=0.01)
    assert sum("far from all others" in warning for warning in part.info.warnings) == 1


def test_a_film_whose_first_frame_is_stamped_too_late_is_not_cut_off(tmp_path):
    """Matroska from 100 s on, whose first frame says 150 s: its end was looked for 50 s after it."""
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", format="matroska", container_options={"cluster_time_limit": "90"}) as output:
        stream = output.add_stream("libx264", rate=10)
        stream.width, stream.height, stream.pix_fmt, stream.options = 160, 96, "yuv420p", {"bf": "0", "g": "10"}
        for index, pixels in enumerate(pan(40, 4, 160, 96)):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), "rgb24")
            frame.pts, frame.time_base = 1000 + index, Fraction(1, 10)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    data = bytearray(path.read_bytes())
    at = data.index(b"\xe7\x83", data.index(b"\x1f\x43\xb6\x75")) + 2  # Timestamp of the first Cluster, 3 bytes
    assert int.from_bytes(data[at : at + 3], "big") == 100_000
    data[at : at + 3] = (150_000).to_bytes(3, "big")
    path.write_bytes(data)
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert len(list(video.frames())) == 40


def test_slides_that_are_larger_than_the_film_are_not_the_film(tmp_path):
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w", format="matroska") as output:
        film = output.add_stream("libx264", rate=10)
        film.width, film.height, film.pix_fmt = 160, 96, "yuv420p"
        slides = output.add_stream("mjpeg", rate=10)
        slides.width, slides.height, slides.pix_fmt = 640, 480, "yuvj420p"
        for index, pixels in enumerate(pan(40, 4, 160, 96)):
            for stream, shown in ((film, pixels), *([(slides, wall(640, 480, index))] if index % 10 == 0 else [])):
                frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(shown), "rgb24")
                frame.pts, frame.time_base = index, Fraction(1, 10)
                output.mux(stream.encode(frame))
        for stream in (film, slides):
            output.mux(stream.encode(None))
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert [(frame.width, frame.height) for frame in video.frames()] == [(160, 96)] * 40
        assert video.warnings == [STANDS_STILL]


@pytest.mark.parametrize("slides", [1, 2])
def test_a_picture_that_stands_still_beside_a_film_is_not_the_film(tmp_path, slides):
    """As many pictures as the film has, four times as large: one slide, and two."""
    stands = [wall(640, 480, seed) for seed in range(slides) for _ in range(60 // slides)]
    path = write_two_streams(tmp_path / "a.mp4", pan(60, 4, 160, 96), stands)
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert [(frame.width, frame.height) for frame in video.frames()] == [(160, 96)] * 60
        assert video.warnings == [STANDS_STILL]


@pytest.mark.parametrize("both_move", [True, False])
def test_of_two_films_and_of_two_pictures_that_stand_still_the_largest_is_used(tmp_path, both_move):
    small, large = (pan(60, 4, *size) if both_move else [wall(*size)] * 60 for size in ((160, 96), (320, 240)))
    path = write_two_streams(tmp_path / "a.mp4", small, large)
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert {(frame.width, frame.height) for frame in video.frames()} == {(320, 240)}
        assert video.warnings == ["it holds 2 video streams; only the largest is used"]


def test_frames_that_the_camera_dropped_are_not_missing(tmp_path):
    """MP4 with samples of no bytes: every third picture was dropped while recording, and nothing is damaged."""
    path = write_video(tmp_path / "a.mp4", pan(40, 4, 160, 96), codec="mjpeg", pix_fmt="yuvj420p")
    data = bytearray(path.read_bytes())
    table, chunks = data.index(b"stsz") + 12, data.index(b"stco") + 8
    count, begin = (int.from_bytes(data[at : at + 4], "big") for at in (table, chunks + 4))
    assert (count, int.from_bytes(data[chunks : chunks + 4], "big")) == (40, 1)
    kept, at = b"", begin
    for number in range(count):
        entry = slice(table + 4 + 4 * number, table + 8 + 4 * number)
        size = int.from_bytes(data[entry], "big")
        if number % 3 == 2:
            data[entry] = bytes(4)
        else:
            kept += data[at : at + size]
        at += size
    data[begin:at] = kept.ljust(at - begin, b"\0")
    path.write_bytes(data)
    with open_video(Clip(path.name, path), LIMITS) as video:
        assert len(list(video.frames())) == 27
        assert video.warnings == []
