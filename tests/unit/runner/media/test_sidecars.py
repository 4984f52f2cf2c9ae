"""What a drone writes beside its film finds where its camera was; what does not fit is told, and refuses nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.media.sidecars import read_sidecar
from runner.scene.frames import Clip, Fix
from runner.scene.inputs.sidecars import LONE, MOST_BYTES, attached
from runner.scene.progress import SILENT
from tests.photos import write_photo
from tests.telemetry import Degrees, dji, srt, write_film
from tests.videos import pan, write_video

LIMITS = Limits(min_long_side=64, min_short_side=48)
SETTINGS = FrameSettings(budget=20, long_side=120, limits=LIMITS)
SECONDS = 4
WAY: list[Degrees] = [(48.137154 + k * 1e-4, 11.576124 - k * 2e-4) for k in range(SECONDS)]


# Each is the form of a file that a drone wrote, as the samples of the public parser JuanIrache/DJI_SRT_Parser (GitHub,
# MIT) have it; places and times are others.
FORMS = {
    "Phantom 3, 4, first Mavic: longitude first, a part a second, the first after one": (
        b"1\n00:00:01,000 --> 00:00:02,000\nHOME(149.0251,-20.2532) 2017.08.05 14:11:51\n"
        b"GPS(149.0252,-20.2533,16) BAROMETER:1.9\nISO:100 Shutter:60 EV: Fnum:2.2\n\n"
        b"2\n00:00:02,000 --> 00:00:03,000\nHOME(149.0251,-20.2532) 2017.08.05 14:11:52\n"
        b"GPS(149.0253,-20.2534,16) BAROMETER:1.9\nISO:100 Shutter:60 EV: Fnum:2.2\n\n",
        ((1.0, -20.2533, 149.0252), (2.0, -20.2534, 149.0253)),
    ),
    "Phantom 4 Pro, Mavic Mini: one line, and blank lines more than one": (
        b"1\n00:00:00,000 --> 00:00:01,000\nF/2.8, SS 206.14, ISO 150, EV 0, GPS (-82.6669, 27.7716, 10), D 2.80m, "
        b"H 0.00m, H.S 0.00m/s, V.S 0.00m/s \n\n\n"
        b"2\n00:00:01,000 --> 00:00:02,000\nF/2.8, SS 206.14, ISO 150, EV 0, GPS (-82.6668, 27.7717, 10), D 2.80m\n",
        ((0.0, 27.7716, -82.6669), (1.0, 27.7717, -82.6668)),
    ),
    "Phantom 4 RTK: GPS before HOME, or RTK in its place": (
        b"36\n00:00:35,000 --> 00:00:36,000\nF/6.3, SS 60, ISO 100, EV 0, RTK (120.083799, 30.213635, 28), "
        b"HOME (120.084146, 30.214243, 103.55m), D 75.36m, F.PRY (-5.3\xc2\xb0, 2.1\xc2\xb0, 28.3\xc2\xb0)\n\n"
        b"37\n00:00:36,000 --> 00:00:37,000\nF/6.3, SS 60, ISO 100, EV 0, GPS (120.083800, 30.213636, 28), "
        b"HOME (120.084146, 30.214243, 103.55m)\n\n",
        ((35.0, 30.213635, 120.083799), (36.0, 30.213636, 120.0838)),
    ),
    "Matrice 300: CRLF, and where the height has its unit, latitude first": (
        b"1\r\n00:00:00,000 --> 00:00:01,000\r\n2022.06.21 16:06:17\r\nGPS(36.6146,-6.1120,0.0M) BAROMETER:0.3M"
        b"\r\n\r\n2\r\n00:00:01,000 --> 00:00:02,000\r\n2022.06.21 16:06:18\r\nGPS(36.6147,-6.1121,0.0M)\r\n\r\n",
        ((0.0, 36.6146, -6.112), (1.0, 36.6147, -6.1121)),
    ),
    "Mavic 2: a byte order mark, spaces before colons, longtitude, times with two commas": (
        b'\xef\xbb\xbf1\n00:00:00,000 --> 00:00:00,040\n<font size="36">FrameCnt : 218, DiffTime : 40ms\n'
        b"2019-09-27 10:28:08,438,904\n[iso : 110] [shutter : 1/1250.0] [fnum : 280] [ev : 0] [ct : 5174] "
        b"[color_md : default] [focal_len : 280] [latitude : -35.080155] [longtitude : -60.286702] </font>\n\n"
        b'2\n00:00:00,600 --> 00:00:00,640\n<font size="36">FrameCnt : 219, DiffTime : 41ms\n'
        b"2019-09-27 10:28:08,478,931\n[iso : 110] [latitude : -35.080156] [longtitude : -60.286703] "
        b"[altitude: 213.983002] </font>\n\n",
        ((0.0, -35.080155, -60.286702), (0.6, -35.080156, -60.286703)),
    ),
    "Mavic 3, Mini 3 Pro: both heights in one bracket": (
        b'1\n00:00:00,000 --> 00:00:00,020\n<font size="28">FrameCnt: 1, DiffTime: 20ms\n2021-12-25 12:27:52.373\n'
        b"[iso: 220] [shutter: 1/8000.0] [fnum: 3.2] [ev: 0] [ct: 5115] [color_md : default] [focal_len: 24.00] "
        b"[latitude: 3.41531] [longitude: -3.37440] [rel_alt: -2.400 abs_alt: 0.401] </font>\n\n",
        ((0.0, 3.41531, -3.3744),),
    ),
    "as embedded tracks are taken out: no tags, a dot in the times, no fix at first": (
        b"1\n00:00:00.000 --> 00:00:00.033\nFrameCnt: 0 2026-07-25 14:38:26.477\n[iso: 120] [latitude: 0.000000] "
        b"[longitude: 0.000000] [rel_alt: 14.885 abs_alt: 207.027]\n\n"
        b"2\n00:00:01.033 --> 00:00:01.066\nFrameCnt: 1 2026-07-25 14:38:26.511\n[latitude: 30.648740] "
        b"[longitude: -97.675877] [gb_yaw: -160.0 gb_pitch: -53.0 gb_roll: 0.0]",
        ((1.033, 30.64874, -97.675877),),
    ),
    "Mavic Air: no place in it": (
        b'1\n00:00:00,000 --> 00:00:00,039\n<font size="36">FrameCnt : 1, DiffTime : 39ms\n'
        b"2018-02-19 08:04:51,265,847\n[iso : 100] [shutter : 1/240.0] [fnum : 280] [ev : 0] [ct : 5627] </font>\n\n",
        (),
    ),
    "the words of a film": (b"1\n00:00:01,000 --> 00:00:04,000\nWe met at 48.137154, 11.576124.\n\n", ()),
    "without times": (b"1\n[latitude : -20.2533] [longtitude : 149.0251]\n\n", ()),
    "nothing": (b"", ()),
    "anything": (bytes(range(256)) * 50, ()),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_that_drones_write_is_read(form: str, tmp_path: Path) -> None:
    data, places = FORMS[form]
    (tmp_path / "a.srt").write_bytes(data)
    track, _ = read_sidecar(tmp_path / "a.srt")
    assert [fix[0] for fix in track] == pytest.approx([fix[0] for fix in places])
    assert [fix[1:] for fix in track] == [fix[1:] for fix in places]


def test_a_file_longer_than_any_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "a.srt").open("wb") as file:
        file.write(srt(WAY))
        file.truncate(MOST_BYTES + 1)
    assert read_sidecar(tmp_path / "a.srt") == ((), 0.0)


def test_films_and_sidecars_are_matched_by_stem_within_their_folder() -> None:
    names = ["card1/DJI_0001.MP4", "card1/dji_0001.srt", "card2/DJI_0001.MP4", "card2/DJI_0002.SRT", "b.mov", "B.Srt",
             "b.srt", "photo.jpg", "photo.srt"]  # fmt: skip
    found, unused = attached([Clip(name, Path(name)) for name in names])
    assert {clip.name: clip.sidecar.name if clip.sidecar else "" for clip in found} == {
        "card1/DJI_0001.MP4": "card1/dji_0001.srt", "card2/DJI_0001.MP4": "", "b.mov": "B.Srt", "photo.jpg": "",
    }  # fmt: skip
    assert {each.name: each.reason for each in unused} == {
        "card2/DJI_0002.SRT": LONE, "photo.srt": LONE, "b.srt": "B.Srt is read in its place",
    }  # fmt: skip


def frames_of(folder: Path, *files: Clip) -> tuple[dict[str, tuple[Fix, ...]], dict[str, str]]:
    """The ways of the films, and what is told of files that are not used."""
    clips, alone = attached(files)
    found = extract_frames(clips, StageContext(folder, SILENT), SETTINGS)
    for frame in found.frames:
        track = next(clip.track for clip in found.clips if clip.name == frame.video)
        if frame.timestamp_s <= SECONDS - 1:  # when the last part begins
            assert (frame.gps is not None) == bool(track)
    return {clip.name: clip.track for clip in found.clips}, {each.name: each.reason for each in (*alone, *found.unused)}


def film(path: Path, seed: int = 0) -> Clip:
    return Clip(path.name, write_video(path, pan(10 * SECONDS, 5, 160, 96, seed=seed)))


def beside(path: Path, data: bytes) -> Clip:
    path.write_bytes(data)
    return Clip(path.name, path)


def test_the_frames_of_a_film_get_the_places_of_its_sidecar(tmp_path: Path) -> None:
    files = film(tmp_path / "DJI_0001.MP4"), beside(tmp_path / "DJI_0001.SRT", srt(WAY, crlf=True))
    tracks, unused = frames_of(tmp_path, *files)
    assert tracks == {"DJI_0001.MP4": tuple((float(k), *place) for k, place in enumerate(rounded(WAY)))}
    assert unused == {}


def test_a_sidecar_that_comes_later_makes_another_choice_of_frames(tmp_path: Path) -> None:
    clip = film(tmp_path / "a.mp4")
    assert frames_of(tmp_path, clip)[0] == {"a.mp4": ()}
    assert len(frames_of(tmp_path, clip, beside(tmp_path / "a.srt", srt(WAY)))[0]["a.mp4"]) == SECONDS


def test_what_a_film_says_itself_goes_before_its_sidecar(tmp_path: Path) -> None:
    own = [(place[0] + 1, place[1]) for place in WAY]
    made = write_film(tmp_path / "a.mp4", pan(10 * SECONDS, 5), [dji(place) for place in own], subtitles=True)
    tracks, unused = frames_of(tmp_path, Clip("a.mp4", made), beside(tmp_path / "a.srt", srt(WAY)))
    assert [fix[1:] for fix in tracks["a.mp4"]] == rounded(own)
    assert unused == {"a.srt": "the film says it itself"}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"1\n00:00:01,000 --> 00:00:04,000\nHello.\n\n", "it tells no place"),
        (b"", "it tells no place"),
        (srt(WAY * 9), "it lasts 36 s and a.mp4 4 s: it is of another film, or the film was cut"),
    ],
)
def test_one_that_does_not_fit_is_told_and_refuses_nothing(tmp_path: Path, data: bytes, why: str) -> None:
    tracks, unused = frames_of(tmp_path, film(tmp_path / "a.mp4"), beside(tmp_path / "a.srt", data))
    assert (tracks, unused) == ({"a.mp4": ()}, {"a.srt": why})


def test_alone_among_photos_it_is_told_as_not_used(tmp_path: Path) -> None:
    photos = [
        Clip(f"{number}.jpg", write_photo(tmp_path / f"{number}.jpg", pixels))
        for number, pixels in enumerate(pan(12, 12, 160, 96))
    ]
    _, unused = frames_of(tmp_path, *photos, beside(tmp_path / "DJI_0001.SRT", srt(WAY)))
    assert unused == {"DJI_0001.SRT": LONE}


def rounded(places: list[Degrees]) -> list[Degrees]:
    return [(round(latitude, 6), round(longitude, 6)) for latitude, longitude in places]
