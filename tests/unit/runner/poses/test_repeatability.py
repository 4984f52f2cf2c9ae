"""Two runs of one scene: how far they differ, when that is asked, and what it means."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.poses.gates import Verdict
from runner.poses.repeatability import AGREEMENT, by_other_pairs, disagreement, is_odd, judged
from runner.poses.rungs import Attempt, Rung
from scenejobs.errors import Code
from tests.pose_models import HEALTH

RING = {f"{i}.png": [np.cos(i / 3), np.sin(i / 3), 0.1 * i] for i in range(12)}
TURN = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]


def moved(points: dict, matrix: np.ndarray, scale: float = 1.0) -> dict:
    return {name: (scale * matrix @ np.array(at) + [3.0, -2.0, 5.0]).tolist() for name, at in points.items()}


@pytest.mark.parametrize("scale", [0.01, 1.0, 200.0])
def test_a_run_that_is_turned_moved_and_scaled_agrees(scale: float) -> None:
    rotation = TURN * np.sign(np.linalg.det(TURN))
    assert disagreement(RING, moved(RING, rotation, scale)) == pytest.approx(0.0, abs=1e-9)


def test_a_run_that_is_the_mirror_image_disagrees() -> None:
    """A reflection is no similarity of the kind that two right runs differ by."""
    bent = {name: [x, y, 0.5 * np.sin(2 * i)] for i, (name, (x, y, _)) in enumerate(RING.items())}
    differs = disagreement(bent, moved(bent, np.diag([1.0, 1.0, -1.0])))
    assert differs is not None
    assert differs > AGREEMENT


def test_cameras_elsewhere_disagree_by_their_distance_relative_to_the_path() -> None:
    """Half of the cameras on a square of side 2 pushed outwards, evenly: no similarity undoes it."""
    square = {f"{i}.png": [x, y, 0.0] for i, (x, y) in enumerate([(1, 1), (-1, 1), (-1, -1), (1, -1)])}
    pushed = {name: [x * (2.0 if x * y > 0 else 1.0), y * (2.0 if x * y > 0 else 1.0), z]
              for name, (x, y, z) in square.items()}  # fmt: skip
    # Best scale of the other onto the square: sum(|a||b|) / sum(|a|^2) = (2 * 2 + 1 + 1) / (4 + 4 + 1 + 1) = 0.6.
    # It leaves |0.6 * 2 - 1| = 0.2 and |0.6 - 1| = 0.4, twice each: median 0.3.
    assert disagreement(square, pushed) == pytest.approx(0.3)


def test_pictures_that_only_one_run_placed_say_nothing_and_three_cameras_fit_anything() -> None:
    few = dict(list(RING.items())[:3])
    assert disagreement(RING, few) is None
    assert disagreement(RING, {**moved(RING, np.eye(3)), "other.png": [1e6, 0.0, 0.0]}) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    ("ratio", "stated", "odd"),
    [(0.72, False, False), (0.52, False, False), (1.93, False, True), (0.42, False, True), (1.93, True, False)],
)
def test_a_second_run_is_asked_for_where_a_lens_is_unusual_and_unstated(ratio: float, stated: bool, odd: bool) -> None:
    assert is_odd(replace(HEALTH, focal_ratio=ratio), stated) is odd


def test_a_further_run_that_differs_or_finds_nothing_refuses() -> None:
    passed = Verdict(True, warnings=("before",))
    assert judged(passed, 0.02) == passed
    for differs, says in ((0.33, "33% of their path"), (None, "finds no cameras")):
        refused = judged(passed, differs)
        assert (refused.passed, refused.code) == (False, Code.POSES_UNRELIABLE)
        assert says in refused.reasons[0]
        assert "repeat" in refused.advice


def test_an_odd_lens_is_held_against_what_other_pairs_gave_before() -> None:
    """48 pictures of a room of tiles: all pairs gave a room that is wrong by 25 %, three times from three seeds; the
    pairs that look alike placed 3 of them."""
    chosen, everything = (Rung(matching, "incremental", 1000, 480) for matching in ("preselected", "exhaustive"))
    few = Attempt(chosen, None, Verdict(False), map_s=1.0)
    assert by_other_pairs(everything, [few]) is few
    for other in (
        replace(few, verdict=Verdict(True)),  # it has been confirmed itself
        replace(few, cut="the mapping was ended"),  # says nothing
        replace(few, map_s=0.0),  # nothing was mapped
        replace(few, rung=everything),
        replace(few, rung=replace(chosen, features=2000)),
        replace(few, rung=replace(chosen, mapper="global")),
    ):
        assert by_other_pairs(everything, [other]) is None
    refused = judged(Verdict(True), None, "a run with fewer pairs")
    assert refused.reasons[0].startswith("a run with fewer pairs finds no cameras")
