"""Pictures that are bent, each in another way, are told from what a lens sees, by the matches of neighbours."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pycolmap
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.poses.bent import BENT
from runner.poses.colmap.bending import find_bent
from runner.poses.colmap.requests import FindBent

SIZE, FOCAL, POINTS = (640, 480), 500.0, 700
NAMES = tuple(f"a/{number:06d}.png" for number in range(6))
F64 = NDArray[np.float64]
Change = Callable[[F64, int], F64]  # of the places [N, 2] px in the picture with this number


def as_seen(places: F64, _: int) -> F64:
    return places


def seen(number: int, step: float) -> tuple[F64, NDArray[np.bool_]]:
    """Places of things in a picture [N, 2] px, and which of them are in it. step: of the camera, metres."""
    rng = np.random.default_rng(3)
    things = rng.uniform((-4, -3, 3), (4, 3, 9), (POINTS, 3))
    turned = Rotation.from_euler("yx", (0.02 * number, 0.01 * np.sin(number))).as_matrix()
    x, y, z = (turned @ (things - (step * number, 0.02 * number, 0.03 * number)).T).reshape(3, -1)
    places = np.column_stack([FOCAL * x / z, FOCAL * y / z]) + np.array(SIZE) / 2
    noise = np.random.default_rng(number).normal(0, 0.25, places.shape)
    return places + noise, ((places > 0) & (places < SIZE)).all(axis=1) & (z > 0)


def shares(folder: Path, change: Change, step: float = 0.06, wrong: float = 0.1) -> Sequence[float]:
    """What is found of six pictures. wrong: share of the matches that are mistakes."""
    path = str(folder / "database.db")
    with pycolmap.Database.open(path) as database:
        camera = database.write_camera(pycolmap.Camera.create_from_model_name(0, "SIMPLE_RADIAL", FOCAL, *SIZE))
        found = [seen(number, step) for number in range(len(NAMES))]
        numbers = []
        for number, name in enumerate(NAMES):
            image = database.write_image(pycolmap.Image(name=name, camera_id=camera))
            database.write_keypoints(image, change(found[number][0], number).astype(np.float32))
            numbers.append(image)
        for number in range(len(NAMES) - 1):
            both = np.flatnonzero(found[number][1] & found[number + 1][1])
            matches = np.column_stack([both, both]).astype(np.uint32)
            mistakes = np.random.default_rng(number).random(len(both)) < wrong
            matches[mistakes, 1] = np.random.default_rng(number).permutation(matches[mistakes, 1])
            database.write_matches(numbers[number], numbers[number + 1], matches)
    return find_bent(FindBent(seed=0, database=path, lists=(NAMES,))).shares[0]


def bent(px: float) -> Change:
    """By a wave of another kind in each picture."""

    def change(places: F64, number: int) -> F64:
        rng = np.random.default_rng([9, number])
        ways, phases = rng.uniform(-9, 9, (2, 2)) / SIZE[0], rng.uniform(0, 7, 2)
        return np.asarray(places + px * np.sqrt(2) * np.sin(places @ ways.T + phases))

    return change


def curved(places: F64, number: int) -> F64:
    """By a wide lens, all pictures alike."""
    off = (places - np.array(SIZE) / 2) / FOCAL
    return np.asarray(np.array(SIZE) / 2 + FOCAL * off * (1 - 0.15 * (off**2).sum(axis=1, keepdims=True)))


def skewed(places: F64, number: int) -> F64:
    """By a sensor that reads its rows one after the other while the camera turns, in each picture another way."""
    rows = (places[:, 1:] - SIZE[1] / 2) / SIZE[1]
    return np.asarray(places + rows * np.array([[8 * np.sin(2 * number), 5 * np.sin(3 * number)]]))


def with_somebody(places: F64, number: int) -> F64:
    """Who walks by, in a third of the picture."""
    inside = (places[:, 0] > 150) & (places[:, 0] < 360)
    return np.asarray(places + inside[:, None] * np.array([[4.0 * number, 3 * np.sin(number)]]))


@pytest.mark.parametrize("change", [as_seen, curved, skewed, with_somebody])
def test_what_a_lens_sees_is_not_bent(change: Change, tmp_path: Path) -> None:
    """A wide lens, a rolling shutter and somebody who walks by are no program that bends pictures."""
    found = shares(tmp_path, change)
    assert len(found) == len(NAMES) - 1
    assert np.median(found) < BENT / 2


def test_pictures_that_are_bent_each_in_another_way_are_told(tmp_path: Path) -> None:
    found = shares(tmp_path, bent(4.0))
    assert len(found) == len(NAMES) - 1
    assert np.median(found) > 1.5 * BENT


def test_pictures_too_far_from_each_other_say_nothing(tmp_path: Path) -> None:
    assert shares(tmp_path, bent(4.0), step=0.6) == ()


def test_pairs_that_were_not_compared_and_unknown_images_say_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "database.db")
    pycolmap.Database.open(path).close()
    assert find_bent(FindBent(seed=0, database=path, lists=(NAMES, ()))).shares == ((), ())
