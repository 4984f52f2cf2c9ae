"""The scale by a printed marker: right within the error that it states, and unknown rather than wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from runner.postprocess.marker import MarkerScale, find_scale
from runner.postprocess.place import Place, with_marker
from runner.scene.views import View
from tests.synthetic import looking_at

SIDE = 0.8  # of the marker, in units of the scene
SIZE_M = 0.16
FOCAL = 900.0


def square(middle: Sequence[float] = (0.0, 0.0, 0.0), side: float = SIDE) -> np.ndarray:
    """[4, 3] corners of a marker that lies in the plane z = 0."""
    return np.array(middle) + side / 2 * np.array([(-1, 1, 0), (1, 1, 0), (1, -1, 0), (-1, -1, 0)])


def seen(
    count: int, markers: dict[int, np.ndarray], noise_px: float = 0.3, seed: int = 0, wide: float = 1.0
) -> list[View]:
    """Views along an arc in front of the markers. wide: half of its length, in units."""
    random, views = np.random.default_rng(seed), []
    for number, t in enumerate(np.linspace(-1, 1, count)):
        position = np.array([t, 0.3 * np.sin(7 * t), 0.5 * np.cos(3 * t)]) * wide - (0, 0, 4.0)
        rotation = looking_at(position, np.zeros(3))
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = rotation, -rotation @ position
        found = []
        for marker, corners in markers.items():
            camera = corners @ rotation.T + matrix[:3, 3]
            plane = camera[:, :2] / camera[:, 2:] + random.normal(0, noise_px / FOCAL, (4, 2))
            found.append((marker, tuple(map(tuple, plane.tolist()))))
        K = np.array([[FOCAL, 0, 640], [0, FOCAL, 360], [0, 0, 1]])
        views.append(View(f"{number}.png", "a.mp4", number / 5, 1280, 720, K, matrix, "train", tuple(found)))
    return views


def test_the_scale_is_right_within_the_error_that_is_stated() -> None:
    off = []
    for seed in range(40):
        found = find_scale(seen(12, {0: square()}, seed=seed), SIZE_M)
        assert found.metres_per_unit is not None, found.reason
        assert found.error_percent is not None
        off.append(100 * (found.metres_per_unit / (SIZE_M / SIDE) - 1) / found.error_percent)
        assert found.error_percent < 2
    assert np.abs(off).max() < 3.5
    assert np.mean(np.abs(off) < 2) > 0.9


@pytest.mark.parametrize("count", [4, 8, 60, 200])
def test_few_and_many_views(count: int) -> None:
    found = find_scale(seen(count, {0: square()}), SIZE_M)
    assert found.metres_per_unit == pytest.approx(SIZE_M / SIDE, rel=0.03), found
    assert found.views == count


def test_several_markers_agree_and_one_of_another_size_does_not() -> None:
    places = {number: square((number - 1.0, 0.2 * number, 0.3 * number)) for number in range(3)}
    found = find_scale(seen(12, places), SIZE_M)
    assert found.metres_per_unit == pytest.approx(SIZE_M / SIDE, rel=0.02)
    assert found.markers == 3
    wrong = find_scale(seen(12, {**places, 3: square((0, 1, 0), side=2 * SIDE)}), SIZE_M)
    assert wrong.metres_per_unit is None
    assert "differ" in wrong.reason


def test_views_with_wrong_cameras_are_left_out() -> None:
    views = seen(12, {0: square()})
    for index in (3, 7):
        matrix = views[index].world_to_camera.copy()
        matrix[:3, 3] += (0.8, -0.4, 0.3)
        views[index] = replace(views[index], world_to_camera=matrix)
    assert find_scale(views, SIZE_M).metres_per_unit == pytest.approx(SIZE_M / SIDE, rel=0.03)


@pytest.mark.parametrize(
    ("views", "why"),
    [
        (seen(12, {}), "no picture shows a marker"),
        (seen(3, {5: square()}), "marker 5 is seen in 3 pictures; 4 are needed"),
        (seen(12, {0: square()}, wide=0.01), "one place only"),
        (seen(6, {0: square()}) + seen(6, {0: square((1.5, 0, 0))}, seed=1), "two of it"),
        (seen(12, {0: square() * np.array([1.0, 1.6, 1.0])}), "no square"),
    ],
)
def test_where_it_is_not_sure_it_is_unknown(views: list[View], why: str) -> None:
    found = find_scale(views, SIZE_M)
    assert (found.metres_per_unit, found.error_percent) == (None, None)
    assert why in found.reason


def test_much_noise_is_stated_or_refused() -> None:
    for noise in (2.0, 6.0, 20.0):
        found = find_scale(seen(8, {0: square()}, noise_px=noise), SIZE_M)
        if found.metres_per_unit is not None:
            assert abs(100 * (found.metres_per_unit / (SIZE_M / SIDE) - 1)) < 3.5 * (found.error_percent or 0)


KNOWN = MarkerScale(0.2, 1.0, 1, 9, "", SIZE_M)
UNKNOWN = MarkerScale(None, None, 0, 0, "no picture shows a marker", SIZE_M)
BY_GPS = Place(0.21, 4.0, 9, 9, "", 2.0, (48.1, 11.5), 30.0)
NO_GPS = Place(None, None, 0, 0, "0 photos tell where they were taken; 5 are needed")


def test_the_marker_is_believed_and_the_place_stays_that_of_the_photos() -> None:
    both = with_marker(BY_GPS, KNOWN)
    assert (both.metres_per_unit, both.error_percent, both.origin) == (0.2, 1.0, (48.1, 11.5))
    assert both.to_json()["from"] == "printed marker"
    assert (both.note, both.warnings) == ("", ()), "5 % off is within three times 4.1 %"
    assert with_marker(NO_GPS, KNOWN).to_json()["reason"] == ""


def test_a_marker_of_another_size_than_was_said_is_told_where_gps_knows_better() -> None:
    (warning,) = with_marker(replace(BY_GPS, metres_per_unit=0.4), KNOWN).warnings
    assert "measure the printed marker" in warning


def test_without_a_marker_the_photos_say_it_and_why_there_is_none_is_told() -> None:
    by_gps = with_marker(BY_GPS, UNKNOWN)
    assert (by_gps.metres_per_unit, by_gps.to_json()["from"]) == (0.21, "GPS of photos")
    assert "no picture shows a marker" in by_gps.note
    neither = with_marker(NO_GPS, UNKNOWN)
    assert (
        by_gps.warnings
        == neither.warnings
        == ("MARKER_SIZE_M is 0.16, and the marker gives no scale: no picture shows a marker",)
    )
    assert neither.to_json()["from"] is None
    assert "no picture shows a marker" in neither.reason
    assert "5 are needed" in neither.reason
