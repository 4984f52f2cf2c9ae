"""A film that is cut out of the side of another one is told by the points that both see; a second walk is not."""

from __future__ import annotations

from itertools import chain, pairwise

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from runner.dataset.crops import Seen
from runner.dataset.cut_films import find_cut_films

SIZE, FOCAL, COUNT = (1280, 720), 900.0, 20
Window = tuple[int, int, int, int]  # left, top, right, bottom


def place() -> NDArray[np.float64]:
    """[N, 3] points of a place, 2 to 8 m away."""
    return np.random.default_rng(1).uniform([-12, -4, 2], [12, 4, 8], (4000, 3))


def film(delay: float = 0.0, window: Window = (0, 0, *SIZE), scale: float = 1.0, walk: int = 0) -> list[Seen]:
    """A walk sideways with a hand that sways, a frame every quarter of a second, delay: of that. walk: by whom.

    Features are a third of a pixel off, eight of ten are found."""
    rng, found = np.random.default_rng(round(100 * delay) + 7 * walk + 3), []
    phase = np.random.default_rng(walk).uniform(0, 6, 3)
    left, top, right, bottom = window
    for number in range(COUNT):
        t = number + delay
        turn = Rotation.from_euler("xyz", [1.5, 3, 1] * np.sin(0.5 * t * np.array([1, 0.7, 0.8]) + phase), degrees=True)
        inside = (place() - [0.12 * t - 1.2 + 0.02 * walk, 0.03 * np.sin(t + phase[0]), 0]) @ turn.as_matrix().T
        at = FOCAL * inside[:, :2] / np.maximum(inside[:, 2:], 0.1) + np.array(SIZE) / 2 - [left, top]
        at += rng.normal(0, 0.3, at.shape)
        size = np.array([right - left, bottom - top])
        sees = (inside[:, 2] > 0.5) & ((at > 0) & (at < size)).all(axis=1) & (rng.random(len(at)) < 0.8)
        found.append(Seen(*(round(side * scale) for side in size), np.flatnonzero(sees), at[sees] * scale))
    return found


def told(*films: list[Seen]) -> dict[int, int]:
    begins = np.cumsum([0, *map(len, films)]).tolist()
    return find_cut_films([*chain(*films)], [range(*pair) for pair in pairwise(begins)])


@pytest.mark.parametrize("window", [(0, 216, 768, 720), (512, 0, 1280, 504), (320, 100, 1160, 700)])
@pytest.mark.parametrize(("delay", "scale"), [(0.0, 1.0), (0.4, 1.0), (0.4, 1.5)])
def test_a_part_of_a_film_follows_its_frames(window: Window, delay: float, scale: float) -> None:
    """At the same moments and at others, enlarged or not, and whichever comes first."""
    whole, part = film(), film(delay, window, scale)
    found = told(whole, part)
    assert len(found) >= 0.9 * COUNT
    assert all(abs(one - COUNT + delay - other) <= 1.0 for one, other in found.items())
    assert all(other >= COUNT > one for one, other in told(part, whole).items())
    assert len(told(part, whole)) >= 0.9 * COUNT


@pytest.mark.parametrize("walk", [1, 2, 3])
def test_a_second_walk_along_the_same_path_is_no_part_of_the_first(walk: int) -> None:
    assert told(film(), film(0.3, walk=walk)) == {}
    assert told(film(), film(0.3, (256, 144, 1024, 576), walk=walk)) == {}, "with a longer lens"


def test_one_film_and_few_frames_tell_nothing() -> None:
    assert told(film()) == {}
    assert told(film(), film(0.4, (0, 216, 768, 720))[:4]) == {}
