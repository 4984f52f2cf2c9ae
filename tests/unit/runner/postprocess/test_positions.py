"""Up of a drone's flight comes from where its photos were taken; positions like those of a phone tell nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from local.footage.film import SHOTS, film
from runner.postprocess.place import EARTH_M, find_place
from runner.postprocess.positions import by_positions
from runner.postprocess.upright import TOLD, Witness, find_up
from runner.scene.rotate import rotate_scene
from runner.scene.views import TrainingScene, View
from tests.tiny_scene import random_rotation

HOME = (46.84, -91.99)
METRES_PER_UNIT = 8.0
K = np.array([[500.0, 0, 320], [0, 500, 240], [0, 0, 1]])
Z_UP = np.array([0, 0, 1.0])


def survey(rows: int = 4, columns: int = 5, step_m: float = 20.0) -> NDArray[np.float64]:
    """[N, 3] east, north and height over the ground in metres, to and fro."""
    return np.array([
        [step_m * (column if row % 2 == 0 else columns - 1 - column), step_m * row, 60.0]
        for row in range(rows) for column in range(columns)
    ])  # fmt: skip


def looking_down(places_m: NDArray[np.float64]) -> TrainingScene:
    """Cameras that look straight down, every other row the other way round, and the ground, flat; z is up."""
    views = []
    for number, place in enumerate(places_m / METRES_PER_UNIT):
        sign = 1.0 if number // 5 % 2 == 0 else -1.0
        rotation = np.array([[sign, 0, 0], [0, -sign, 0], [0, 0, -1.0]])
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ place
        views.append(View(f"photos/{number:06d}.png", "photos", float(number), 640, 480, K, pose, "train"))
    ground = np.random.default_rng(0).uniform((-2, -2, 0), (12, 12, 0.3), (800, 3)).astype(np.float32)
    count = len(ground)
    return TrainingScene(
        tuple(views), (), ground, np.zeros((count, 3), np.uint8), np.zeros(count, np.float32),
        np.full(count, 3, np.int32),
    )  # fmt: skip


def told(places_m: NDArray[np.float64], noise_m: float, heights_m: float, wrong: int = 0):
    """Positions and altitudes by image, off by so much (standard deviation), `wrong` of them by a hundred metres."""
    rng = np.random.default_rng(4)
    seen = places_m + rng.normal(0, 1, places_m.shape) * [noise_m, noise_m, heights_m]
    seen[:wrong] += 100.0
    north, east = np.degrees(seen[:, 1] / EARTH_M), np.degrees(seen[:, 0] / EARTH_M / np.cos(np.radians(HOME[0])))
    names = [f"photos/{number:06d}.png" for number in range(len(seen))]
    positions = {name: (HOME[0] + n, HOME[1] + e) for name, n, e in zip(names, north, east, strict=True)}
    return positions, dict(zip(names, (seen[:, 2] + 200).tolist(), strict=True))


def off_deg(up: object) -> float:
    return float(np.degrees(np.arccos(np.clip(np.asarray(up, float) @ Z_UP, -1, 1))))


@pytest.mark.parametrize("wrong", [0, 3])
def test_a_drone_that_looks_down_knows_up_and_scale_by_its_positions(wrong: int) -> None:
    places = survey()
    scene = looking_down(places)
    assert find_up(scene).up is None, "the cameras alone say nothing"
    positions, altitudes = told(places, 1.5, 0.5, wrong)
    fitting = by_positions(scene.views, positions, altitudes)
    assert fitting is not None
    found = find_up(scene, fitting.up)
    assert found.method == TOLD
    assert off_deg(found.up) < 2
    place = find_place(scene.views, positions, found.up, altitudes=altitudes)
    assert place.metres_per_unit == pytest.approx(METRES_PER_UNIT, rel=0.03)


def test_up_is_found_however_the_model_lies() -> None:
    places = survey()
    turn = random_rotation(3)
    scene = rotate_scene(looking_down(places), turn)
    fitting = by_positions(scene.views, *told(places, 1.0, 0.5))
    assert fitting is not None
    assert off_deg(turn.T @ np.array(fitting.up.up)) < 2


@pytest.mark.parametrize(
    ("places", "noise_m", "heights_m"),
    [
        (survey(step_m=1.0), 3.0, 6.0), (survey(1, 20), 1.0, 0.5), (survey(1, 7), 1.0, 0.5), (survey(), 30.0, 5.0),
    ],
    ids=["somebody who walks", "along a line", "seven photos", "positions far off"],
)  # fmt: skip
def test_positions_that_do_not_tell_are_not_asked(
    places: NDArray[np.float64], noise_m: float, heights_m: float
) -> None:
    assert by_positions(looking_down(places).views, *told(places, noise_m, heights_m)) is None


def right(places_m: NDArray[np.float64], positions_of_m: NDArray[np.float64], noise_m: float, wrong: int = 0) -> int:
    """How many cameras are right by positions of what may be other places."""
    fitting = by_positions(looking_down(places_m).views, *told(positions_of_m, noise_m, noise_m, wrong))
    return len(fitting.right) if fitting else 0


def test_cameras_are_right_where_their_positions_say_and_not_where_these_are_off() -> None:
    """A survey of a wood was in doubt, though each of its photos stood where the drone had been."""
    assert right(survey(), survey(), 0.3) == 20
    assert right(survey(), survey(), 0.3, wrong=3) == 17, "what is said of three is wrong, so nothing is known of them"
    assert right(survey(), survey(), 2.0) == 0


@pytest.mark.parametrize("change", ["two parts", "drift", "mirrored", "scattered"])
def test_wrong_cameras_are_not_right_by_positions(change: str) -> None:
    places = survey()
    half, size = np.arange(20) >= 10, np.linalg.norm(places - places.mean(axis=0), axis=1).mean()
    rng = np.random.default_rng(0)
    steps = rng.normal(size=places.shape)
    wrong = {
        "two parts": places + 0.2 * size * half[:, None] * np.array([0.9, 0.3, 0.3]),
        "drift": places + 0.1 * size * np.linspace(0, 1, 20)[:, None] ** 2 * np.array([0.3, 0.3, 0.9]),
        "mirrored": np.where(half[:, None], places * [-1, 1, 1] + [80, 0, 0], places),
        "scattered": places + 0.03 * size * steps / np.linalg.norm(steps, axis=1)[:, None],
    }
    assert right(wrong[change], places, 0.3) == 0


def test_photos_without_altitudes_do_not_tell() -> None:
    places = survey()
    assert by_positions(looking_down(places).views, told(places, 1.0, 0.5)[0], {}) is None


@pytest.mark.parametrize(("tilt_deg", "is_believed"), [(5, False), (30, True)])
def test_positions_are_believed_where_the_cameras_say_something_else(tilt_deg: float, is_believed: bool) -> None:
    """Cameras that walk around a room, level; and positions whose up is another one, as on a ship or by mistake."""
    rng = np.random.default_rng(1)
    cameras = [camera for shot in SHOTS for camera in film(shot, rng, (848, 480), 5, 20)]
    views = tuple(
        View(f"a/{number:06d}.png", "a.mp4", number / 5, 848, 480, camera.K, camera.world_to_camera, "train")
        for number, camera in enumerate(cameras)
    )
    ground = rng.uniform((-4, -4, 0), (4, 4, 0.01), (800, 3)).astype(np.float32)
    scene = replace(looking_down(survey()), views=views, points=ground)
    usual = find_up(scene)
    assert usual.up is not None
    other = rotation_about_x(tilt_deg) @ np.array(usual.up)
    found = find_up(scene, Witness(TOLD, (float(other[0]), float(other[1]), float(other[2])), ""))
    assert found.up == pytest.approx(other if is_believed else usual.up)
    assert found.witnesses[-1].method == TOLD


def rotation_about_x(degrees: float) -> NDArray[np.float64]:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0], [0, c, -s], [0, s, c]])
