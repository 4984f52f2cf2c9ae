"""Where a drone or an action camera was is read from its film; nonsense in its place is nothing, and costs nothing."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from runner.media.decoding.decoder import Sandboxed
from runner.media.settings import FrameSettings, Limits
from runner.media.track import place_at
from runner.media.video.telemetry import gpmf, read_track, subtitle
from runner.scene.frames import Clip
from tests.telemetry import Degrees, dji, gps5, gps9, write_film
from tests.videos import pan, write_video

SECONDS = 6
WAY: list[Degrees] = [(48.137154 + k * 1e-5, 11.576124 - k * 2e-5) for k in range(10 * SECONDS)]


def filmed(path: Path, kind: str) -> Clip:
    frames = pan(10 * SECONDS, 3)
    packets = {
        "dji": [dji(WAY[10 * second], second) for second in range(SECONDS)],
        "gps5": [gps5(WAY[10 * second :][:10]) for second in range(SECONDS)],
        "gps9": [gps9(WAY[10 * second :][:10]) for second in range(SECONDS)],
    }[kind]
    return Clip(path.name, write_film(path, frames, packets, subtitles=kind == "dji"))


@pytest.mark.parametrize("kind", ["dji", "gps5", "gps9"])
def test_the_way_of_a_camera_is_read_through_the_sandbox(tmp_path: Path, kind: str) -> None:
    clip = filmed(tmp_path / "a.mp4", kind)
    (found,) = Sandboxed(FrameSettings()).survey(clip, lambda *_: None)
    track = found.info.track
    assert len(track) == (SECONDS if kind == "dji" else 2 * SECONDS), "one or two a second"
    for time_s, *place in track:
        assert place == pytest.approx(WAY[round(10 * time_s)], abs=1e-6)
    for time_s in np.arange(0, SECONDS - 1, 0.37):
        there = [np.interp(10 * time_s, range(len(WAY)), [each[axis] for each in WAY]) for axis in (0, 1)]
        assert place_at(track, float(time_s)) == pytest.approx(there, abs=2e-6)


def test_a_film_without_telemetry_has_no_way(tmp_path: Path) -> None:
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pan(20, 3), audio=True))
    assert read_track(clip, Limits()) == ()
    other = Clip("b.mp4", write_film(tmp_path / "b.mp4", pan(20, 3), [b"anything else", b"more"], subtitles=False))
    assert read_track(other, Limits()) == ()


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("[latitude: 48.137154] [longitude: -11.576124]", (48.137154, -11.576124)),
        ("[latitude : 48.137154] [longtitude : 11.576124] [altitude: 500.1]", (48.137154, 11.576124)),
        ("HOME(149.0251,-20.2533) 2017.08.05\nGPS(149.0252,-20.2532,16) BAROMETER:1.9", (-20.2532, 149.0252)),
        ("[latitude: 0.000000] [longitude: 0.000000]", None),  # no fix
        ("[latitude: 98.1] [longitude: 11.5]", None),
        ("a subtitle of a film: 48.1, 11.5", None),
        ("\udcff", None),
    ],
)
def test_subtitles_of_drones_are_told_from_others(text: str, place: Degrees | None) -> None:
    assert list(subtitle(text.encode("utf-8", "surrogateescape"))) == ([place] if place else [])


def test_what_a_receiver_does_not_know_is_not_told() -> None:
    assert len(list(gpmf(gps5(WAY[:10])))) == 10
    assert list(gpmf(gps5(WAY[:10], fix=0))) == []
    assert list(gpmf(gps5(WAY[:10], precision=9999))) == []
    assert list(gpmf(gps9(WAY[:10], fix=0))) == []
    assert list(gpmf(gps5([(0.0, 0.0)]))) == []


def test_damaged_packets_give_coordinates_or_nothing() -> None:
    chance = random.Random(3)
    for _ in range(3000):
        packet = bytearray(chance.choice([gps5, gps9])(WAY[:18]))
        for _ in range(chance.randrange(1, 6)):
            packet[chance.randrange(len(packet))] = chance.randrange(256)
        found = list(gpmf(bytes(packet[: chance.randrange(len(packet))])))
        assert all(abs(north) <= 90 and abs(east) <= 180 for north, east in found)
        assert len(found) <= 18 * 200


def test_between_fixes_that_are_far_apart_nothing_is_known() -> None:
    track = ((1.0, 48.0, 11.0), (2.0, 48.2, 11.4), (9.0, 49.0, 12.0))
    assert place_at(track, 1.5) == pytest.approx((48.1, 11.2))
    assert place_at(track, 0.8) == (48.0, 11.0)
    for time_s in (0.0, 5.0, 20.0):
        assert place_at(track, time_s) is None
    assert place_at(((0.0, 10.0, 179.9), (1.0, 10.0, -179.9)), 0.5) is None
    assert place_at((), 0.0) is None
