"""Turning on the spot is told from walking, before anything is reconstructed."""

from __future__ import annotations

import numpy as np
import pytest

from runner.poses.colmap.parallax import Pairs, turning_share

SIZE = (640, 480)


def camera(focal: float) -> np.ndarray:
    return np.array([[focal, 0, SIZE[0] / 2], [0, focal, SIZE[1] / 2], [0, 0, 1.0]])


def turned(degrees: float) -> np.ndarray:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[c, 0, s], [0, 1.0, 0], [-s, 0, c]])


def pairs(homographies, whole=True) -> Pairs:
    count = len(homographies)
    return Pairs(np.array(homographies), np.full(count, whole), np.tile(np.array(SIZE, float), (count, 1)))


@pytest.mark.parametrize("focal", [0.5, 0.78, 1.6])
def test_a_camera_that_turns_is_seen_turning_whatever_its_lens(focal):
    k = camera(focal * 640)
    scale = np.linspace(0.5, 2, 20)[:, None, None]  # a homography has no scale
    found = scale * np.array([k @ turned(angle) @ np.linalg.inv(k) for angle in np.linspace(8, 25, 20)])
    assert turning_share(pairs(found)) == 1.0


def test_a_walk_along_a_wall_is_no_turning():
    """Every picture of a wall is a homography of every other: H = K (I + t n^T / d) K^-1, here a step aside of 0.1 to
    0.4 of the distance."""
    k = camera(500.0)
    found = [k @ (np.eye(3) + np.outer([t, 0, 0], [0, 0, 1.0])) @ np.linalg.inv(k) for t in np.linspace(0.1, 0.4, 20)]
    assert turning_share(pairs(found)) == 0.0


def test_pairs_that_no_homography_explains_have_parallax():
    k = camera(500.0)
    found = [k @ turned(angle) @ np.linalg.inv(k) for angle in np.linspace(10, 25, 20)]
    mixed = pairs(found + [np.zeros((3, 3))] * 20)
    mixed.whole[20:] = False
    assert turning_share(mixed) == pytest.approx(0.5)


def test_nothing_is_said_from_few_pairs_or_small_turns():
    k = camera(500.0)
    assert turning_share(pairs([k @ turned(20) @ np.linalg.inv(k)] * 9)) == 0.0
    assert turning_share(pairs([k @ turned(1) @ np.linalg.inv(k)] * 50)) == 0.0
    assert turning_share(pairs(np.zeros((0, 3, 3)))) == 0.0
