"""Scale by the GPS of photos: within per cent on generated scenes, unknown where it cannot be told."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from runner.postprocess.place import EARTH_M, Place, find_place, in_metres
from runner.postprocess.upright import Orientation
from runner.scene.geometry import camera_centre, rotation_between
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


def high(views, ground_m: float, noise_m: float, seed: int = 0) -> dict[str, float]:
    """What photos of that walk say of their altitude: y points down, a unit is 7.3 m."""
    random = np.random.default_rng([seed, 2])
    heights = [-camera_centre(view.world_to_camera)[1] * 7.3 for view in views]
    return {
        view.image: ground_m + height + random.normal(0, noise_m) for view, height in zip(views, heights, strict=True)
    }


def test_the_height_of_the_origin_is_that_of_the_altitudes_and_knows_its_error() -> None:
    """Of the origin of the files, not of the cameras: they are carried to it by the scale."""
    off, told = [], []
    for seed in range(12):
        views, positions = walk(40, 100.0, 7.3, 2.0, seed)
        found = find_place(views, positions, UP, altitudes=high(views, 519.0, 6.0, seed))
        assert found.height is not None
        off.append(found.height.metres - 519.0)
        told.append(found.height.error_m)
    assert max(map(abs, off)) < 5.0
    assert 0.4 < np.std(off) / np.median(told) < 2.5


def test_altitudes_that_are_far_off_or_few_do_not_tell_a_wrong_height() -> None:
    views, positions = walk(40, 100.0, 7.3, 2.0)
    altitudes = high(views, 519.0, 1.0)
    wrong = {image: metres + 400.0 * (number < 15) for number, (image, metres) in enumerate(altitudes.items())}
    found = find_place(views, positions, UP, altitudes=wrong)
    assert found.height is not None
    assert abs(found.height.metres - 519.0) < 3.0
    few = dict(list(altitudes.items())[:4])
    assert find_place(views, positions, UP, altitudes=few).height is None
    assert find_place(views, positions, UP, altitudes=few).to_json(publish=True)["origin"]["height_m"] is None
    assert "origin" not in found.to_json()


def test_positions_that_are_far_off_are_left_out() -> None:
    found = find_place(*walk(40, 120.0, 7.3, 2.0, wrong=8), UP)
    assert found.metres_per_unit == pytest.approx(7.3, rel=0.05)
    assert found.photos <= 32


def test_the_place_is_where_the_photos_were_taken() -> None:
    found = find_place(*walk(40, 200.0, 7.3, 1.0), UP)
    assert found.origin is not None
    assert np.allclose(found.origin, HOME, atol=2e-5)  # 2 m


@pytest.mark.parametrize("up", [UP, (0.0, -0.96, 0.28)])
def test_directions_of_the_files_are_told_in_east_north_and_up(up: tuple[float, float, float]) -> None:
    """up: of supplied poses it need not be an axis."""
    views, positions = walk(40, 200.0, 7.3, 1.0)
    tilt = rotation_between(np.array(UP), np.array(up))
    turned = [replace(view, world_to_camera=view.world_to_camera @ block(tilt.T)) for view in views]
    told = find_place(turned, positions, up).to_json(publish=True)
    turn = np.array(told["output_to_east_north_up"])
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) == pytest.approx(1)
    np.testing.assert_allclose(turn @ up, (0, 0, 1), atol=1e-9)
    centres = np.array([camera_centre(view.world_to_camera) for view in turned])
    found = told["metres_per_unit"] * centres @ turn.T
    home = told["origin"]["latitude"], told["origin"]["longitude"]
    truth = [
        (np.radians(east - home[1]) * EARTH_M * np.cos(np.radians(home[0])), np.radians(north - home[0]) * EARTH_M)
        for north, east in positions.values()
    ]
    assert np.abs(found[:, :2] - np.array(truth)).mean() < 1.5, "metres, of positions that are off by 1"


def block(rotation: np.ndarray) -> np.ndarray:
    found = np.eye(4)
    found[:3, :3] = rotation
    return found


def test_files_are_in_metres_where_the_scale_is_known_and_else_say_why_not() -> None:
    known = find_place(*walk(40, 200.0, 7.3, 1.0), UP)
    there = in_metres(known, users_coordinates=False)
    assert (there.metres_per_unit, there.to_json()["files_in"], there.warnings) == (1.0, "metres", ())
    assert there.error_percent == known.error_percent
    assert known.to_json()["files_in"] == "units of the scene"
    unknown = in_metres(Place(None, None, 0, 0, "no GPS"), users_coordinates=False)
    assert unknown.to_json()["files_in"] == "units of the scene"
    assert unknown.warnings == (
        "METRIC is true, and the files are in units of the scene: the scale is unknown: no GPS",
    )  # fmt: skip
    kept = in_metres(known, users_coordinates=True)
    assert (kept.metres_per_unit, kept.to_json()["files_in"]) == (known.metres_per_unit, "units of the scene")
    assert kept.warnings[0].endswith("the coordinates of the supplied camera poses are kept")


def test_the_transform_of_the_model_has_the_size_in_it() -> None:
    told = Orientation("unknown", "", None, (), "", size=7.3).to_json()
    np.testing.assert_allclose(told["model_to_output"] @ [1, 2, 3, 1], [7.3, 14.6, 21.9, 1])
    np.testing.assert_allclose(told["output_to_model"] @ told["model_to_output"], np.eye(4), atol=1e-12)


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
