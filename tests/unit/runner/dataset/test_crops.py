"""Photos cut out of the side of another picture are told by the points that both see, wherever their cameras are."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.dataset.crops import Seen, find_crops, flattened

SIZE, FOCAL = (1600, 1200), 1500.0
Array = NDArray[np.float64]
Window = tuple[int, int, int, int]  # left, top, right, bottom


def things(flat: bool = False, count: int = 4000) -> Array:
    """[N, 3] points of a place, 4 to 7 m away, or of a wall at 5 m."""
    rng = np.random.default_rng(2)
    points = rng.uniform([-5, -4, 4], [5, 4, 7], (count, 3))
    points[:, 2] = np.where(flat, 5.0, points[:, 2])
    return points


def photo(points: Array, x: float = 0.0, z: float = 0.0, turn_deg: float = 0.0, seed: int = 0) -> Seen:
    """From x m beside, z m ahead, turned about the vertical; features are half a pixel off, nine of ten are found."""
    rng = np.random.default_rng(seed)
    rotation = Rotation.from_euler("y", turn_deg, degrees=True).as_matrix()
    inside = (points - [x, 0, z]) @ rotation.T
    at = FOCAL * inside[:, :2] / inside[:, 2:] + np.array(SIZE) / 2
    radius = ((at - np.array(SIZE) / 2) ** 2).sum(axis=1) / FOCAL**2
    at = np.array(SIZE) / 2 + (at - np.array(SIZE) / 2) * (1 - 0.1 * radius[:, None]) + rng.normal(0, 0.5, at.shape)
    seen = ((at > 0) & (at < SIZE)).all(axis=1) & (rng.random(len(at)) < 0.9)
    return Seen(*SIZE, np.flatnonzero(seen), at[seen])


def cut(whole: Seen, window: Window, scale: float = 1.0, turned: bool = False, seed: int = 7) -> Seen:
    """A part of a photo, enlarged or made smaller; turned by a quarter."""
    rng = np.random.default_rng(seed)
    left, top, right, bottom = window
    width, height = right - left, bottom - top
    at = whole.at + rng.normal(0, 0.3, whole.at.shape) - [left, top]
    kept = ((at > 0) & (at < [width, height])).all(axis=1) & (rng.random(len(at)) < 0.9)
    at = at[kept]
    if turned:
        at, width, height = np.stack([height - at[:, 1], at[:, 0]], axis=1), height, width
    return Seen(round(width * scale), round(height * scale), whole.points[kept], at * scale)


def photos(flat: bool = False) -> list[Seen]:
    """Eight, a step apart, each turned a little."""
    return [photo(things(flat), 0.4 * n - 1.4, 0.0, 1.5 * (n % 3), n) for n in range(8)]


@pytest.mark.parametrize(
    "window", [(0, 120, 960, 960), (560, 360, 1600, 1200), (480, 0, 1440, 840), (700, 500, 1100, 800)]
)
@pytest.mark.parametrize("changed", [{}, {"scale": 0.6}, {"scale": 1.5}, {"turned": True}])
def test_a_part_of_a_photo_from_its_side_is_told(window: Window, changed: dict[str, float]) -> None:
    seen = [*photos()]
    seen.append(cut(seen[3], window, **changed))  # type: ignore[arg-type]
    assert find_crops(seen, range(9)) == {8: 3}
    assert find_crops([seen[8], *seen[:8]], range(9)) == {0: 4}, "whichever comes first"
    assert find_crops(seen, range(8)) == {}, "a film's frames are no parts of photos"


@pytest.mark.parametrize("flat", [False, True])
def test_photos_of_one_place_are_no_parts_of_each_other(flat: bool) -> None:
    """Not those of a wall either, past which the camera slides; nor those that only turn."""
    assert find_crops(photos(flat), range(8)) == {}
    slid = [photo(things(flat), 0.3 * n, seed=n) for n in range(6)]
    assert find_crops(slid, range(6)) == {}
    turned = [photo(things(flat), turn_deg=2.0 * n, seed=n) for n in range(6)]
    assert find_crops(turned, range(6)) == {}
    closer = [photo(things(), z=0.3 * n, seed=n) for n in range(6)]
    assert find_crops(closer, range(6)) == {}


def test_parts_of_parts_and_the_same_photo_again_go_with_the_whole_one() -> None:
    seen = [*photos()]
    large = cut(seen[2], (0, 0, 1200, 1000))
    seen += [cut(large, (100, 200, 900, 900)), large, cut(seen[2], (0, 0, *SIZE), 0.5)]
    assert find_crops(seen, range(11)) == {8: 2, 9: 2, 10: 2}


def test_two_parts_without_the_whole_that_share_a_half_are_left_alone() -> None:
    whole = photos()[2]
    assert find_crops([cut(whole, (0, 0, 900, 1200)), cut(whole, (450, 0, 1600, 1200))], range(2)) == {}


def test_few_points_in_common_tell_nothing() -> None:
    few = [photo(things(count=60), 0.2 * n, seed=n) for n in range(3)]
    assert find_crops([*few, cut(few[0], (0, 0, 800, 800))], range(4)) == {}
    nothing = Seen(*SIZE, np.zeros(0, np.int64), np.zeros((0, 2)))
    assert find_crops([nothing, nothing], range(2)) == {}


def test_what_two_ways_tell_becomes_one_answer() -> None:
    """No picture that others follow follows another one itself."""
    assert flattened({3: 1}, {1: 0}) == {3: 0, 1: 0}
    assert flattened({1: 0}, {2: 1}) == {1: 0, 2: 0}
    assert flattened({1: 0}, {0: 1}) == {1: 0}
    assert flattened({}, {}) == {}
