"""What a film shows again counts once: a clip repeated by stream copy, or played forwards and backwards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from benchmarks.footage_cases.formats import repeated as write_repeated
from runner.context import StageContext
from runner.media.extract import extract_frames
from runner.media.selection.measures import ClipSurvey
from runner.media.selection.repeats import find_repeats
from runner.media.settings import FrameSettings, Limits
from runner.media.video.survey import survey
from runner.scene.frames import Clip, FrameSet
from runner.scene.progress import SILENT
from tests.films import write_film
from tests.videos import pan, wall

LIMITS = Limits(min_long_side=64, min_short_side=48)
TURN, FPS = 60, 20
SAID = "it shows the same again and again"


def walk(seed: int) -> list[NDArray[np.uint8]]:
    """Along one wall, unsteadily: no two walks are at one place at the same time."""
    surface, rng = wall(900, 200, seed=3), np.random.default_rng(seed)
    steps = 7 + np.convolve(rng.normal(0, 6, TURN + 8), np.ones(8) / 8, "valid")[:TURN]
    at = np.clip(np.cumsum(steps), 0, 900 - 320).astype(int)
    up = (20 + np.convolve(rng.normal(0, 20, TURN + 8), np.ones(8) / 8, "valid")[:TURN]).clip(0, 19).astype(int)
    return [surface[y : y + 180, x : x + 320] for x, y in zip(at, up, strict=True)]


def film(path: Path, pictures: list[NDArray[np.uint8]], crf: int = 20) -> Path:
    options = {"g": "20", "preset": "veryfast", "crf": str(crf)}
    return write_film(path, pictures, container="mp4", fps=FPS, options=options)


def looked_at(path: Path, limits: Limits = LIMITS) -> ClipSurvey:
    return survey(Clip(path.name, path), limits, lambda _share, _detail: None)[0]


def chosen(path: Path, budget: int = 24, limits: Limits = LIMITS) -> FrameSet:
    settings = FrameSettings(budget=budget, long_side=320, limits=limits)
    return extract_frames([Clip(path.name, path)], StageContext(path.parent / "workspace", SILENT), settings)


@pytest.mark.parametrize("most", [20_000, 300])  # with 300, some groups of packets are decoded
def test_a_clip_repeated_by_stream_copy_gives_each_picture_once(tmp_path: Path, most: int) -> None:
    path = tmp_path / "loop.mp4"
    write_repeated(film(tmp_path / "seed.mp4", pan(TURN, 5, 320, 180)), path, 10 * TURN / FPS)
    found = chosen(path, limits=Limits(min_long_side=64, min_short_side=48, max_decoded_frames=most))
    places = [frame.index % TURN for frame in found.frames]
    assert len(places) >= 12
    assert len(set(places)) == len(places)
    assert np.diff(sorted({0, *places, TURN})).max() <= 10, "from all of it"
    assert sum(SAID in warning for clip in found.clips for warning in clip.warnings) == 1


def test_a_clip_that_goes_forwards_and_backwards_gives_each_place_once(tmp_path: Path) -> None:
    there = pan(TURN, 5, 320, 180)
    path = film(tmp_path / "boomerang.mp4", [*there, *there[::-1]] * 2, crf=30)
    places = [min(frame.index % (2 * TURN), 2 * TURN - 1 - frame.index % (2 * TURN)) for frame in chosen(path).frames]
    at_turn = FPS // 4  # there it is at one place twice within STEP_S
    between = [place for place in places if at_turn <= place < TURN - at_turn]
    assert len(between) >= 12
    assert len(set(between)) == len(between)


def test_a_second_walk_past_the_same_place_is_used(tmp_path: Path) -> None:
    path = film(tmp_path / "twice.mp4", [*walk(1), *walk(2)])
    found = chosen(path)
    assert sum(frame.index >= TURN for frame in found.frames) == pytest.approx(12, abs=3)
    assert not any(SAID in warning for clip in found.clips for warning in clip.warnings)


@pytest.mark.parametrize("step_px", [0.1, 0.5, 3.0])
def test_a_camera_that_moves_on_repeats_nothing(tmp_path: Path, step_px: float) -> None:
    path = film(tmp_path / "on.mp4", pan(4 * TURN, step_px, 320, 180))
    frames = looked_at(path).measures
    again = find_repeats(frames).again
    kept = {frame.travel for number, frame in enumerate(frames) if number not in again}
    assert kept == {frame.travel for frame in frames}


def test_of_a_blurred_picture_and_a_sharp_one_later_the_sharp_one_is_used(tmp_path: Path) -> None:
    sharp = pan(TURN, 5, 320, 180)
    blurred = [np.asarray(Image.fromarray(each).filter(ImageFilter.GaussianBlur(2))) for each in sharp]
    found = chosen(film(tmp_path / "focus.mp4", [*blurred, *sharp]))
    assert sum(frame.index >= TURN for frame in found.frames) >= 12
