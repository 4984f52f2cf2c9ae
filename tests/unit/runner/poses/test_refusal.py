"""A refusal for want of poses says in which clip and when; an edited film is called one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from runner.poses.coverage import Coverage
from runner.poses.gates import Verdict
from runner.poses.refusal import refusal
from scenejobs.errors import Code
from scenejobs.filming import MORE_TO_SEE
from tests.synthetic import write_frames

FEW_POINTS = Verdict(False, Code.POSES_UNRELIABLE, ("377 points were found; 1,000 are needed",), MORE_TO_SEE)


def coverage(folder: Path, cuts_s: tuple[float, ...] = ()) -> Coverage:
    frames = write_frames(folder, {"a": [np.zeros((24, 32, 3), np.uint8)] * 12})
    return Coverage(replace(frames, clips=tuple(replace(clip, cuts_s=cuts_s) for clip in frames.clips)))


def test_what_names_no_clip_is_given_clip_and_seconds(tmp_path: Path) -> None:
    error = refusal(FEW_POINTS, coverage(tmp_path))
    assert error.code == Code.POSES_UNRELIABLE
    assert "a.mp4 0.0-2.2 s" in error.cause


def test_an_edited_film_is_called_one_with_its_cuts(tmp_path: Path) -> None:
    error = refusal(FEW_POINTS, coverage(tmp_path, (0.7, 1.5)))
    assert error.code == Code.NO_OVERLAP
    assert error.cause.startswith("a.mp4 is an edited film: it is cut at 0.7, 1.5 s")
    assert "as the camera made them" in error.advice
    assert "slow" not in error.advice


def test_a_still_camera_is_no_edited_film(tmp_path: Path) -> None:
    still = Verdict(False, Code.STATIC_CAMERA, ("the camera does not move: a.mp4",), "walk")
    assert refusal(still, coverage(tmp_path, (0.7,))).code == Code.STATIC_CAMERA
