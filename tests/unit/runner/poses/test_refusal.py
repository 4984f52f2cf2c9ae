"""A refusal for want of poses says in which clip and when; an edited film is called one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np

from runner.poses.coverage import Coverage
from runner.poses.gates import Verdict
from runner.poses.refusal import refusal
from runner.poses.rungs import Attempt, Rung
from scenejobs.errors import Code
from scenejobs.filming import MORE_TO_SEE
from tests.pose_models import model
from tests.synthetic import write_frames

FIRST = Rung("exhaustive", "incremental", 4096, 1280)
FEW_POINTS = Verdict(False, Code.POSES_UNRELIABLE, ("377 points were found; 1,000 are needed",), MORE_TO_SEE)


def coverage(folder: Path, cuts_s: tuple[float, ...] = ()) -> Coverage:
    frames = write_frames(folder, {"a": [np.zeros((24, 32, 3), np.uint8)] * 12})
    return Coverage(replace(frames, clips=tuple(replace(clip, cuts_s=cuts_s) for clip in frames.clips)))


def attempt(verdict: Verdict, *parts: range) -> Attempt:
    found = [msgspec.structs.replace(model(), names=tuple(f"a/{i:06d}.png" for i in part)) for part in parts]
    return Attempt(FIRST, found[0] if found else None, verdict, tuple(found[1:]))


def test_a_film_whose_shots_dissolve_into_each_other_is_told_by_its_parts(tmp_path: Path) -> None:
    """Without a cut that anybody sees: three parts of the clip, one after the other, that nothing joins."""
    seen = coverage(tmp_path)
    error = refusal(attempt(FEW_POINTS, range(8, 12), range(4), range(4, 8)), seen)
    assert error.code == Code.NO_OVERLAP
    assert error.cause.startswith("a.mp4 0.0-0.6 s, a.mp4 0.8-1.4 s, a.mp4 1.6-2.2 s do not join")
    assert "as the camera made them" in error.advice
    once_too_fast = refusal(attempt(FEW_POINTS, range(6), range(6, 12)), seen)
    assert once_too_fast.code == Code.POSES_UNRELIABLE
    mixed = refusal(attempt(FEW_POINTS, range(0, 12, 3), range(1, 12, 3), range(2, 12, 3)), seen)
    assert mixed.code == Code.POSES_UNRELIABLE, "parts that lie within each other are no shots"


def test_what_names_no_clip_is_given_clip_and_seconds(tmp_path: Path) -> None:
    error = refusal(attempt(FEW_POINTS), coverage(tmp_path))
    assert error.code == Code.POSES_UNRELIABLE
    assert "a.mp4 0.0-2.2 s" in error.cause


def test_an_edited_film_is_called_one_with_its_cuts(tmp_path: Path) -> None:
    error = refusal(attempt(FEW_POINTS), coverage(tmp_path, (0.7, 1.5)))
    assert error.code == Code.NO_OVERLAP
    assert error.cause.startswith("a.mp4 is an edited film: it is cut at 0.7, 1.5 s")
    assert "as the camera made them" in error.advice
    assert "slow" not in error.advice


def test_a_still_camera_is_no_edited_film(tmp_path: Path) -> None:
    still = Verdict(False, Code.STATIC_CAMERA, ("the camera does not move: a.mp4",), "walk")
    assert refusal(attempt(still), coverage(tmp_path, (0.7,))).code == Code.STATIC_CAMERA
