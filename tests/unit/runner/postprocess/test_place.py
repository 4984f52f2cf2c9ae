"""Scale by the GPS of photos: within per cent on generated scenes, unknown where it cannot be told."""

from __future__ import annotations

import json

import numpy as np
import pytest

from runner.postprocess.place import EARTH_M, Place, find_place
from runner.scene.views import View

UP = (0.0, -1.0, 0.0)
HOME = (48.137154, 11.576124)


def walk(count: int, size_m: float, metres_per_unit: float, noise_m: float, seed: int = 0, wrong: int = 0):
    """Views of a walk around a place of that size, and where its photos say that they were taken."""
    random = np.random.default_rng(seed)
    angles = np.linspace(0, 1.6 * np.pi, count)
    metres = size_m / 2 * np.stack([np.cos(angles), np.sin(angles)], axis=1) * (1 + 0.2 * random.random((count, 1)))
    heading = np.radians(35.0)
    turn = np.array([[np.cos(heading), -np.sin(heading)], [np.sin(heading), np.cos(heading)]])
    plane = metres @ turn / metres_per_unit
    # y points down: seen from above, x is to the right and z is ahead
    centres = np.stack([plane[:, 0], random.normal(0, 0.1, count), plane[:, 1]], axis=1)
    told = metres + random.normal(0, noise_m, (count, 2))
    told[:wrong] += 150.0
    views, positions = [], {}
    for number, (centre, (east, north)) in enumerate(zip(centres, told, strict=True)):
        pose = np.eye(4)
        pose[:3, 3] = -centre
        views.append(View(f"p/{number}.png", "p", 0.0, 4, 3, np.eye(3), pose, "train"))
        latitude = HOME[0] + np.degrees(north / EARTH_M)
        longitude = HOME[1] + np.degrees(east / (EARTH_M * np.cos(np.radians(HOME[0]))))
        positions[views[-1].image] = (float(latitude), float(longitude))
    return views, positions


@pytest.mark.parametrize(("size_m", "noise_m", "allowed"), [(100.0, 3.0, 0.05), (300.0, 3.0, 0.02), (40.0, 2.0, 0.08)])
def test_the_scale_is_right_within_per_cent_and_knows_its_error(size_m: float, noise_m: float, allowed: float) -> None:
    off, told = [], []
    for seed in range(12):
        found = find_place(*walk(40, size_m, 7.3, noise_m, seed), UP)
        assert found.metres_per_unit is not None, found.reason
        assert found.error_percent is not None
        off.append(found.metres_per_unit / 7.3 - 1)
        told.append(found.error_percent / 100)
    assert max(map(abs, off)) < allowed
    assert 0.4 < np.std(off) / np.median(told) < 2.5


def test_positions_that_are_far_off_are_left_out() -> None:
    found = find_place(*walk(40, 120.0, 7.3, 2.0, wrong=8), UP)
    assert found.metres_per_unit == pytest.approx(7.3, rel=0.05)
    assert found.photos <= 32


def test_the_place_is_where_the_photos_were_taken() -> None:
    found = find_place(*walk(40, 200.0, 7.3, 1.0), UP)
    assert found.origin is not None
    assert np.allclose(found.origin, HOME, atol=2e-5)  # 2 m


def test_it_is_unknown_where_it_cannot_be_told() -> None:
    views, positions = walk(40, 100.0, 7.3, 2.0)
    few = dict(list(positions.items())[:4])
    assert "4 pictures" in find_place(views, few, UP).reason
    assert "up" in find_place(views, positions, None).reason
    assert "within" in find_place(*walk(40, 3.0, 7.3, 0.5), UP).reason
    random = np.random.default_rng(1)
    shuffled = dict(zip(positions, random.permutation(list(positions.values())), strict=True))
    assert find_place(views, {key: tuple(value) for key, value in shuffled.items()}, UP).metres_per_unit is None
    same = dict.fromkeys(positions, HOME)
    assert find_place(views, same, UP).metres_per_unit is None


def test_no_coordinate_is_told_unless_it_is_published() -> None:
    found = find_place(*walk(40, 200.0, 7.3, 1.0), UP)
    told = json.dumps(found.to_json())
    assert "48.1" not in told
    assert "11.57" not in told
    assert "48.1" in json.dumps(found.to_json(publish=True))
    assert "origin" not in Place(None, None, 0, 0, "no GPS").to_json(publish=True)
