"""Geometry of cameras: what is transformed and fitted comes back, and conventions are those that are written down."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from runner.scene.geometry import (
    angles_between_deg,
    camera_centre,
    nearest_rotation,
    quaternion,
    residuals,
    rotation_of,
    similarity,
)

seeds = st.integers(0, 2**32 - 1)


def turn(seed: int) -> np.ndarray:
    return np.asarray(Rotation.random(random_state=seed).as_matrix())


@given(seeds)
def test_the_centre_is_where_the_matrix_maps_to_nothing(seed: int) -> None:
    matrix = np.hstack([turn(seed), np.random.default_rng(seed).normal(size=(3, 1))])
    assert matrix @ [*camera_centre(matrix), 1.0] == pytest.approx(np.zeros(3), abs=1e-12)


@given(seeds, st.floats(0.01, 100.0))
def test_a_similarity_is_found_from_the_points_that_it_moved(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points, rotation, shift = rng.normal(size=(12, 3)), turn(seed), rng.normal(size=3)
    target = scale * points @ rotation.T + shift
    fit = similarity(points, target)
    assert fit.scale == pytest.approx(scale)
    assert fit.rotation == pytest.approx(rotation, abs=1e-9)
    assert fit.translation == pytest.approx(shift, abs=1e-9 * max(scale, 1))
    assert residuals(points, target, fit) == pytest.approx(np.zeros(12), abs=1e-9)
    assert similarity(points, target, rotation).scale == pytest.approx(scale)


def test_residuals_are_relative_to_the_size_of_the_target() -> None:
    """A square of corners at distance sqrt(2), all of them 0.3 away, up and down."""
    square = np.array([[1.0, 1, 0], [-1, 1, 0], [-1, -1, 0], [1, -1, 0]])
    fit = similarity(square, square)
    moved = square + np.array([[0, 0, 0.3], [0, 0, -0.3], [0, 0, 0.3], [0, 0, -0.3]])
    size = np.linalg.norm([1, 1, 0.3])
    assert residuals(square, moved, fit) == pytest.approx(np.full(4, 0.3 / size))


def test_points_in_one_place_have_no_scale() -> None:
    here = np.ones((5, 3))
    assert similarity(here, here + 1, np.eye(3)).scale == 1.0


@given(seeds)
def test_the_nearest_rotation_of_a_disturbed_one_is_a_rotation_near_it(seed: int) -> None:
    rotation, noise = turn(seed), 0.01 * np.random.default_rng(seed).normal(size=(3, 3))
    nearest = nearest_rotation(rotation + noise)
    assert nearest @ nearest.T == pytest.approx(np.eye(3), abs=1e-12)
    assert np.linalg.det(nearest) == pytest.approx(1.0)
    assert angles_between_deg(nearest[None], rotation)[0] < 5.0


def test_a_mirrored_matrix_still_gives_a_rotation() -> None:
    assert np.linalg.det(nearest_rotation(np.diag([1.0, 1.0, -1.0]))) == pytest.approx(1.0)


@pytest.mark.parametrize("degrees", [0.0, 1.0, 90.0, 180.0])
def test_angles_are_those_of_the_rotation_between(degrees: float) -> None:
    one = turn(3)
    other = one @ Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    assert angles_between_deg(np.stack([one, other]), one) == pytest.approx([0.0, degrees], abs=1e-5)


@given(seeds)
def test_a_quaternion_gives_its_rotation_back_whatever_its_length(seed: int) -> None:
    assert rotation_of(2.5 * quaternion(turn(seed))) == pytest.approx(turn(seed), abs=1e-12)


def test_quaternions_begin_with_the_real_part() -> None:
    """A quarter turn around z: x becomes y."""
    half = np.sqrt(0.5)
    assert rotation_of(np.array([half, 0, 0, half])) @ [1.0, 0, 0] == pytest.approx([0, 1, 0], abs=1e-12)
