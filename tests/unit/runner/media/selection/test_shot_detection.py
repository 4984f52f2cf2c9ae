"""Edited clips: cuts and stray frames are found with their place, and filming alone never looks like one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.context import StageContext
from runner.files.marker import read_marker
from runner.media.extract import extract_frames, frame_set_from_json
from runner.media.selection.measures import FrameMeasures, look, sharpness
from runner.media.selection.shot_detection import Layouts, ShotBoundaries, find_shot_boundaries, shots
from runner.media.settings import FrameSettings, Limits
from runner.scene.frames import Clip
from runner.scene.progress import SILENT
from runner.scene.shots import shots_of
from tests.videos import pan, wall, write_video

SETTINGS = FrameSettings(budget=24, long_side=160, limits=Limits(min_long_side=64, min_short_side=48))
SIZE = (160, 96)


def looked_at(pictures, fps: float = 15.0) -> list[FrameMeasures]:
    layouts = Layouts()
    return [
        FrameMeasures(
            index, index / fps, 100.0, 0.01 * index, 128.0, *layouts.read(picture.mean(axis=2).astype(np.uint8))
        )
        for index, picture in enumerate(pictures)
    ]


def test_a_cut_is_found_where_the_other_shot_begins():
    assert find_shot_boundaries(looked_at(pan(20, 3, *SIZE) + pan(15, 3, *SIZE, seed=1))) == ShotBoundaries(
        starts=(20,)
    )


def test_every_cut_of_an_edited_clip_is_found():
    pictures = [picture for seed in range(4) for picture in pan(12, 3, *SIZE, seed=seed)]
    assert find_shot_boundaries(looked_at(pictures)).starts == (12, 24, 36)


@pytest.mark.parametrize("other", [wall(*SIZE, seed=9), np.zeros((96, 160, 3), np.uint8)])
def test_a_single_foreign_frame_is_a_stray_and_no_cut(other):
    """Of another shot, or black."""
    pictures = pan(30, 3, *SIZE)
    pictures[11] = other
    assert find_shot_boundaries(looked_at(pictures)) == ShotBoundaries(strays=(11,))


def test_a_film_that_fades_in_and_out_is_not_cut():
    pictures = [
        (picture * min(1, i / 10, (39 - i) / 10)).astype(np.uint8) for i, picture in enumerate(pan(40, 3, *SIZE))
    ]
    pictures = [pictures[0]] * 5 + pictures + [pictures[0]] * 5
    frames = [
        replace(frame, sharpness=sharpness(picture.mean(axis=2).astype(np.uint8)))
        for frame, picture in zip(looked_at(pictures), pictures, strict=True)
    ]
    assert find_shot_boundaries(frames) == ShotBoundaries()


@pytest.mark.parametrize("level", [0, 135, 255])
def test_flashes_and_lost_pictures_are_no_cuts_and_what_comes_after_black_is(level):
    """Pictures of one colour in between, as a flash, a hand before the lens or a bad network leaves them."""
    pictures = pan(40, 1, *SIZE)
    blank = np.full_like(pictures[0], level)

    def measured(film):
        greys = [picture.mean(axis=2).astype(np.uint8) for picture in film]
        return [
            replace(frame, sharpness=sharpness(grey), look=look(grey))
            for frame, grey in zip(looked_at(film), greys, strict=True)
        ]

    interrupted = [blank if number in (10, 11, 12, 25, 26) else picture for number, picture in enumerate(pictures)]
    assert find_shot_boundaries(measured(interrupted)).starts == ()
    others = [*pictures[:20], blank, blank, *pan(20, 3, *SIZE, seed=1)]
    assert len(find_shot_boundaries(measured(others)).starts) > 0


@pytest.mark.parametrize("step_px", [1, 4, 8])
def test_a_pan_is_no_cut(step_px):
    """8 px of 160 at 15 frames per second: the picture is replaced in a second and a half."""
    assert find_shot_boundaries(looked_at(pan(40, step_px, *SIZE))) == ShotBoundaries()


def test_a_change_of_exposure_is_no_cut():
    pictures = [
        (picture * (0.5 if i // 10 % 2 else 1.0)).astype(np.uint8) for i, picture in enumerate(pan(40, 3, *SIZE))
    ]
    assert find_shot_boundaries(looked_at(pictures)) == ShotBoundaries()


def test_a_set_of_photos_has_no_cuts():
    """At 5 per second each frame may be another photo."""
    assert find_shot_boundaries(looked_at([wall(*SIZE, seed=seed) for seed in range(20)], fps=5)) == ShotBoundaries()


def test_shots_hold_every_frame_but_the_strays_once():
    parts = shots(12, ShotBoundaries(starts=(4, 9), strays=(2, 9)))
    assert parts == [[0, 1, 3], [4, 5, 6, 7, 8], [10, 11]]


def test_each_shot_of_a_cut_clip_gets_its_frames_and_the_user_is_told(tmp_path):
    pictures = pan(45, 3, *SIZE) + pan(15, 3, *SIZE, seed=1)
    pictures[20] = wall(*SIZE, seed=9)
    clip = Clip("a.mp4", write_video(tmp_path / "a.mp4", pictures, fps=15))
    frames = extract_frames([clip], StageContext(tmp_path, SILENT), SETTINGS)
    assert frames.clips[0].cuts_s == (3.0,)
    assert any("cut at 3.0 s" in warning for warning in frames.clips[0].warnings)
    assert any("left out at 1.3 s" in warning for warning in frames.clips[0].warnings)
    assert 20 not in [frame.index for frame in frames.frames]
    one, two = shots_of(frames)
    assert (one.frames[-1].timestamp_s < 3.0, two.frames[0].timestamp_s >= 3.0) == (True, True)
    assert len(two.frames) == 8  # a quarter of the frames and of the motion: fewer than the least of a clip
    assert two.title.startswith("a.mp4 3.")
    assert frame_set_from_json(read_marker(tmp_path / "frames.json")) == frames
