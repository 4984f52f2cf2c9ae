"""Copies of a film in another codec or size, and parts of it, are left out; other films of the same place are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from runner.context import StageContext
from runner.dataset.holdout import split_of_scene
from runner.media.extract import extract_frames
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT
from tests.photos import write_photo
from tests.videos import pan, wall, write_video

SETTINGS = FrameSettings(budget=40, long_side=160, limits=Limits(min_long_side=64, min_short_side=48))


def walk(frames: int, seed: int) -> list[NDArray[np.uint8]]:
    """Along one wall, unsteadily: no two walks are at one place at the same time."""
    surface, rng = wall(900, 200, seed=3), np.random.default_rng(seed)
    steps = 7 + np.convolve(rng.normal(0, 6, frames + 8), np.ones(8) / 8, "valid")[:frames]
    at = np.clip(np.cumsum(steps), 0, 900 - 320).astype(int)
    up = (20 + np.convolve(rng.normal(0, 20, frames + 8), np.ones(8) / 8, "valid")[:frames]).clip(0, 19).astype(int)
    return [surface[y : y + 180, x : x + 320] for x, y in zip(at, up, strict=True)]


def smaller(pictures: list[NDArray[np.uint8]]) -> list[NDArray[np.uint8]]:
    return [np.asarray(Image.fromarray(picture).resize((240, 136))) for picture in pictures]


def clip(path: Path, pictures: list[NDArray[np.uint8]], **options: object) -> Clip:
    return Clip(path.name, write_video(path, pictures, **options))  # type: ignore[arg-type]


def found(folder: Path, *clips: Clip) -> FrameSet:
    return extract_frames(list(clips), StageContext(folder, SILENT), SETTINGS)


def test_a_film_in_another_codec_and_size_is_left_out_and_said_once(tmp_path: Path) -> None:
    film = walk(60, 1)
    frames = found(
        tmp_path,
        clip(tmp_path / "sent.mp4", smaller(film), crf=36),
        clip(tmp_path / "film.mp4", film),
        clip(tmp_path / "old.mp4", film[::2], codec="mpeg4", fps=5),
        clip(tmp_path / "cut.mp4", film[17:52], crf=30),
    )
    assert {each.name: each.same_as for each in frames.unused} == dict.fromkeys(
        ("sent.mp4", "old.mp4", "cut.mp4"), "film.mp4"
    )
    assert {frame.video for frame in frames.frames} == {"film.mp4"}
    assert sum("same recording" in warning for warning in frames.warnings) == 1


def test_a_mirrored_copy_is_left_out_and_called_so(tmp_path: Path) -> None:
    """As a front camera records, and an editor flips."""
    film = walk(60, 1)
    flipped = [np.ascontiguousarray(picture[:, ::-1]) for picture in smaller(film)]
    frames = found(
        tmp_path, clip(tmp_path / "film.mp4", film), clip(tmp_path / "flipped.mp4", flipped, crf=30),
        clip(tmp_path / "other.mp4", walk(60, 2)),
    )  # fmt: skip
    assert [(each.name, each.reason) for each in frames.unused] == [
        ("flipped.mp4", "it shows the same as film.mp4, mirrored")
    ]


@pytest.mark.parametrize(
    ("window", "times"),
    [((0, 60, 220, 180), slice(None)), ((120, 0, 320, 110), slice(8, 52)), ((60, 30, 280, 160), slice(None, None, 2))],
)
def test_a_film_that_is_cut_out_of_the_pictures_of_another_is_left_out(
    tmp_path: Path, window: tuple[int, int, int, int], times: slice
) -> None:
    """From their side, enlarged, for a part of the time, at half the frames. Another walk along the wall is none."""
    film = [np.asarray(Image.fromarray(p).crop((60, 40, 240, 140)).resize((320, 180))) for p in walk(60, 1)]
    left, top, right, bottom = window
    part = [np.asarray(Image.fromarray(p[top:bottom, left:right]).resize((400, 240))) for p in film[times]]
    frames = found(
        tmp_path, clip(tmp_path / "film.mp4", film), clip(tmp_path / "other.mp4", walk(60, 2)),
        clip(tmp_path / "export.mp4", part, crf=26, fps=10 // (times.step or 1)),
    )  # fmt: skip
    assert [(each.name, each.same_as) for each in frames.unused] == [("export.mp4", "film.mp4")]
    assert any("cut out of the pictures of others" in warning for warning in frames.warnings)


def test_walks_along_one_wall_with_another_lens_are_not_cut_out_of_each_other(tmp_path: Path) -> None:
    closer = [
        [np.asarray(Image.fromarray(p[20:160, 40:280]).resize((320, 186))) for p in walk(60, seed)]
        for seed in (3, 4, 5)
    ]
    clips = [clip(tmp_path / f"{number}.mp4", film) for number, film in enumerate([walk(60, 1), walk(60, 2), *closer])]
    assert found(tmp_path, *clips).unused == ()


@pytest.mark.parametrize("quarters", [1, 2])
def test_a_turned_copy_is_left_out_and_called_so(tmp_path: Path, quarters: int) -> None:
    film = walk(60, 1)
    turned = [np.ascontiguousarray(np.rot90(picture, quarters)) for picture in smaller(film)]
    frames = found(tmp_path, clip(tmp_path / "film.mp4", film), clip(tmp_path / "turned.mp4", turned, crf=30))
    assert [(each.name, each.reason) for each in frames.unused] == [
        ("turned.mp4", "it shows the same as film.mp4, turned")
    ]


def test_a_copy_that_is_played_backwards_is_left_out_and_called_so(tmp_path: Path) -> None:
    film = walk(60, 1)
    frames = found(tmp_path, clip(tmp_path / "film.mp4", film), clip(tmp_path / "back.mp4", smaller(film)[::-1]))
    assert [(each.name, each.reason) for each in frames.unused] == [
        ("back.mp4", "it shows the same as film.mp4, backwards")
    ]


def test_two_walks_along_one_wall_and_films_that_share_a_part_are_all_used(tmp_path: Path) -> None:
    first, second = walk(60, 1), walk(60, 2)
    frames = found(
        tmp_path, clip(tmp_path / "a.mp4", first), clip(tmp_path / "b.mp4", second),
        clip(tmp_path / "both.mp4", [*second[30:], *walk(30, 5)]),
    )  # fmt: skip
    assert frames.unused == ()
    assert len(frames.clips) == 3


def test_what_is_held_out_of_a_film_is_not_trained_on_in_another_that_shows_it_too(tmp_path: Path) -> None:
    """The second film goes on where the first one is in its middle; the third one is two pieces of them."""
    scene = walk(90, 1)
    begins_s = {"first.mp4": 0.0, "second.mp4": 3.0}
    frames = found(
        tmp_path,
        clip(tmp_path / "first.mp4", scene[:60]),
        clip(tmp_path / "second.mp4", smaller(scene[30:]), crf=30),
        clip(tmp_path / "pieces.mp4", [*walk(20, 5), *scene[70:85], *walk(10, 6), *scene[5:20]]),
    )
    assert len(frames.clips) == 3
    assert sum("held out of training together" in warning for warning in frames.warnings) == 1
    moments = []
    for frame in frames.frames:
        time_s = frame.timestamp_s + begins_s.get(frame.video, 0.0)
        if frame.video == "pieces.mp4":
            number = round(frame.timestamp_s * 10)
            shown = number + 50 if 20 <= number < 35 else number - 40 if number >= 45 else 1000 + number
            time_s = shown / 10
        moments.append(time_s)

    def trained_twins(split: list[str]) -> int:
        held_out, trained = (
            [m for m, s in zip(moments, split, strict=True) if s == kind] for kind in ("test", "train")
        )
        assert len(held_out) >= 2
        return sum(any(abs(one - other) < 0.12 for other in trained) for one in held_out)

    timeline = [(frame.video, frame.timestamp_s) for frame in frames.frames]
    assert trained_twins(split_of_scene(timeline, {}, set(), frames.shared)) == 0
    assert trained_twins(split_of_scene(timeline, {}, set())) > 0, "without, some would be"


def test_a_photo_in_two_formats_is_used_once_and_the_other_is_named(tmp_path: Path) -> None:
    clips = []
    for number in range(8):
        picture = pan(1, 0, 320, 240, seed=number)[0]
        clips.append(Clip(f"{number}.heic", write_photo(tmp_path / f"{number}.heic", picture)))
        if number < 2:
            clips.append(Clip(f"{number}.jpg", write_photo(tmp_path / f"{number}.jpg", picture)))
    frames = found(tmp_path, *clips)
    assert len(frames.frames) == 8
    assert [each.reason.partition(" as ")[0] for each in frames.unused] == ["it shows the same"] * 2


@pytest.mark.parametrize("share", [0.9, 0.667, 0.4])
def test_what_a_messenger_made_smaller_is_left_out(share: float, tmp_path: Path) -> None:
    """Beside the photo itself, and both smaller than the pictures that are used."""
    clips = []
    for number in range(8):
        picture = pan(1, 0, 320, 240, seed=number)[0]
        sent = np.asarray(Image.fromarray(picture).resize((round(320 * share), round(240 * share))))
        for name, shown in ((f"{number}.jpg", picture), (f"sent{number}.jpg", sent)):
            clips.append(Clip(name, write_photo(tmp_path / name, shown)))
    settings = FrameSettings(budget=40, long_side=640, limits=SETTINGS.limits)
    frames = extract_frames(clips, StageContext(tmp_path, SILENT), settings)
    assert {each.name: each.same_as for each in frames.unused} == {f"sent{n}.jpg": f"{n}.jpg" for n in range(8)}


def test_a_mirrored_photo_of_any_size_is_left_out(tmp_path: Path) -> None:
    """What fills no block of the small image is on the other side of it."""
    clips = []
    for number in range(8):
        picture = pan(1, 0, 333, 241, seed=number)[0]
        clips.append(Clip(f"{number}.jpg", write_photo(tmp_path / f"{number}.jpg", picture)))
    flipped = np.ascontiguousarray(pan(1, 0, 333, 241, seed=3)[0][:, ::-1])
    clips.append(Clip("selfie.jpg", write_photo(tmp_path / "selfie.jpg", flipped)))
    settings = FrameSettings(budget=40, long_side=333, limits=SETTINGS.limits)
    frames = extract_frames(clips, StageContext(tmp_path, SILENT), settings)
    (unused,) = frames.unused
    assert {unused.name, unused.same_as} == {"3.jpg", "selfie.jpg"}
    assert unused.reason.endswith(", mirrored")
