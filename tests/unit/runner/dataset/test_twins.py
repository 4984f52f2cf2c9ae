"""Copies that only their cameras tell: their frames go where those of the original go; other films are left alone."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.dataset.holdout import assign_split, split_of_scene
from runner.dataset.twins import find_twins

Array = NDArray[np.float64]
Timeline = list[tuple[str, float]]


def path(times: Array, seed: int = 0) -> tuple[Array, Array]:
    """Somebody walks along an arc, unsteadily: centres [N, 3] and rotations [N, 3, 3] at these seconds."""
    rng = np.random.default_rng(seed)
    phase, size = rng.uniform(0, 2 * np.pi, (2, 3, 4)), np.array([0.3, 0.15, 0.08, 0.04])
    sway = (size * np.sin(times[:, None, None] * np.array([0.5, 1.1, 1.9, 2.7]) + phase[0])).sum(axis=2)
    turn = (10 * size * np.sin(times[:, None, None] * np.array([0.4, 0.9, 1.7, 2.9]) + phase[1])).sum(axis=2)
    centres = np.stack([np.cos(times / 10), 0 * times, np.sin(times / 10)], axis=1) * 10 + 0.3 * sway
    angles = np.degrees(times / 10)[:, None] * [0.0, 1.0, 0.0] + turn
    return centres, Rotation.from_euler("xyz", angles, degrees=True).as_matrix()


def filmed(*films: tuple[str, Array, int], noise: float = 0.01) -> tuple[Timeline, Array, Array]:
    """timeline, centres, rotations of (name, seconds on the way, seed of the walk) with errors as poses have them."""
    rng, timeline = np.random.default_rng(9), Timeline()
    centres, rotations = [], []
    for name, times, seed in films:
        where, turned = path(times, seed)
        timeline += [(name, float(time - times[0])) for time in times]
        centres.append(where + noise * rng.normal(size=where.shape))
        rotations.append(turned)
    return timeline, np.concatenate(centres), np.concatenate(rotations)


def test_a_copy_is_told_by_its_cameras_at_other_moments_and_another_speed_too() -> None:
    """Chosen frames of a copy are others than those of the film itself."""
    film, copy = np.arange(20) * 0.5, 0.21 + np.arange(15) * 0.62
    timeline, centres, rotations = filmed(("film.mp4", film, 0), ("square.mp4", copy, 0))
    timeline = [(name, 1.5 * time if name == "square.mp4" else time) for name, time in timeline]
    twins = find_twins(timeline, set(), centres, rotations)
    assert len(twins) >= 13
    for index, other in twins.items():
        assert timeline[index][0] == "square.mp4"
        assert abs(film[other] - copy[index - 20]) <= 0.3
    split = split_of_scene(timeline, {}, set(), (), twins)
    held_out = {index for index, part in enumerate(split) if part == "test"}
    assert any(index < 20 for index in held_out)
    assert all(split[index] == split[other] for index, other in twins.items())
    plain = split_of_scene(timeline, {}, set())
    assert any(plain[index] != plain[other] for index, other in twins.items()), "without, some would be trained on"


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_second_walk_along_the_same_path_is_no_copy(seed: int) -> None:
    walk = np.arange(40) * 0.25
    timeline, centres, rotations = filmed(("a.mp4", walk, 0), ("b.mp4", 0.1 + walk, seed))
    assert find_twins(timeline, set(), centres, rotations) == {}
    assert split_of_scene(timeline, {}, set(), (), {}) == assign_split(timeline)


def test_a_part_of_a_film_and_a_film_that_holds_it_are_told() -> None:
    long, part = np.arange(30) * 0.4, 3.1 + np.arange(10) * 0.4
    timeline, centres, rotations = filmed(("part.mp4", part, 0), ("long.mp4", long, 0))
    twins = find_twins(timeline, set(), centres, rotations)
    assert len(twins) >= 9
    assert all(timeline[index][0] == "part.mp4" for index in twins)


def test_photos_of_one_place_and_direction_are_twins_and_those_of_a_step_or_a_turn_are_not() -> None:
    timeline, centres, rotations = filmed(("photos", np.arange(12.0), 0), ("photos 2", np.arange(3.0) + 4, 0), noise=0)
    centres += 0.002 * np.random.default_rng(1).normal(size=centres.shape)
    timeline = [(name, float(number)) for number, (name, _) in enumerate(timeline)]
    photos = {"photos", "photos 2"}
    assert find_twins(timeline, photos, centres, rotations) == {12: 4, 13: 5, 14: 6}
    rotations[13] = Rotation.from_euler("y", 20, degrees=True).as_matrix() @ rotations[13]
    centres[14] += 0.3
    assert find_twins(timeline, photos, centres, rotations) == {12: 4}
    split = split_of_scene(timeline, {}, photos, (), {12: 4})
    assert split[12] == split[4]


def test_a_camera_that_does_not_move_and_too_few_views_tell_nothing() -> None:
    timeline = [("a.mp4", float(i)) for i in range(8)] + [("b.mp4", float(i)) for i in range(8)]
    still, ahead = np.zeros((16, 3)), np.tile(np.eye(3), (16, 1, 1))
    assert find_twins(timeline, set(), still, ahead) == {}
    assert find_twins(timeline[:2], {"a.mp4"}, still[:2], ahead[:2]) == {}
    assert find_twins([], set(), still[:0], ahead[:0]) == {}
