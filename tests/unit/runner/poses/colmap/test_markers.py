"""Printed markers are found by the library that their authors wrote, at the corners they have."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from runner.poses.colmap.markers import LEAST_SIDE_PX, find_markers
from scripts.marker import PAGE, modules, svg
from tests.synthetic import texture

WIDTH, HEIGHT, FOCAL = 640, 480, 500.0
CENTRE = (WIDTH / 2, HEIGHT / 2)
Quad = list[tuple[float, float]]
FLAT: Quad = [(200, 300), (320, 300), (320, 180), (200, 180)]
TILTED: Quad = [(190, 310), (330, 280), (322, 190), (205, 170)]


def pictured(corners: Quad, number: int = 0, light: float = 1.0) -> np.ndarray:
    """[480, 640, 3] a wall with the marker, whose black square has these corners: bottom left, and on to the right."""
    scale = 40
    tag = np.kron(modules(number), np.ones((scale, scale), np.uint8))
    edge, far = scale, scale * 9
    source = [(edge, far), (far, far), (far, edge), (edge, edge)]
    rows = []
    for (x, y), (u, v) in zip(corners, source, strict=True):
        rows += [[x, y, 1, 0, 0, 0, -u * x, -u * y], [0, 0, 0, x, y, 1, -v * x, -v * y]]
    places = np.linalg.solve(np.array(rows, float), np.array(source, float).ravel())
    size = (WIDTH, HEIGHT)
    drawn = Image.fromarray(tag).transform(size, Image.Transform.PERSPECTIVE, places.tolist(), Image.Resampling.BICUBIC)
    there = Image.fromarray(np.full_like(tag, 255)).transform(size, Image.Transform.PERSPECTIVE, places.tolist())
    wall = texture(3, 1024)[:HEIGHT, :WIDTH]
    grey = np.where(np.asarray(there) > 127, np.asarray(drawn, float), wall) * light
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8)[..., None], 3, axis=-1)


@pytest.mark.parametrize("corners", [FLAT, TILTED])
@pytest.mark.parametrize("light", [1.0, 0.35])
def test_the_corners_are_where_they_are(corners: Quad, light: float) -> None:
    (found,) = find_markers(pictured(corners, 7, light), (FOCAL, FOCAL), CENTRE)
    assert found.number == 7
    wanted = (np.array(corners) - CENTRE) / FOCAL
    assert np.abs(np.array(found.corners) - wanted).max() * FOCAL < 0.6


def test_a_picture_without_one_has_none() -> None:
    wall = np.repeat(texture(5, 1024)[:HEIGHT, :WIDTH, None].astype(np.uint8), 3, axis=-1)
    assert find_markers(wall, (FOCAL, FOCAL), CENTRE) == []


def test_one_that_is_too_small_to_measure_is_not_told() -> None:
    side = LEAST_SIDE_PX - 2
    corners = [(200.0, 200.0 + side), (200.0 + side, 200.0 + side), (200.0 + side, 200.0), (200.0, 200.0)]
    assert find_markers(pictured(corners), (FOCAL, FOCAL), CENTRE) == []


def test_a_number_that_is_there_twice_says_nothing_and_others_stay() -> None:
    apart: Quad = [(400, 300), (520, 300), (520, 180), (400, 180)]
    twice = np.where(np.arange(WIDTH)[None, :, None] < 360, pictured(FLAT, 2), pictured(apart, 2))
    assert find_markers(twice, (FOCAL, FOCAL), CENTRE) == []
    two = np.where(np.arange(WIDTH)[None, :, None] < 360, pictured(FLAT, 2), pictured(apart, 9))
    assert [each.number for each in find_markers(two, (FOCAL, FOCAL), CENTRE)] == [2, 9]


def test_the_page_to_print_is_the_marker_that_is_found() -> None:
    assert PAGE.read_text() == svg(modules(0))


LOOKS = """
import numpy as np
from runner.poses.colmap import markers

grey = np.random.default_rng(1).integers(0, 255, (240, 320, 3)).astype(np.uint8)
markers.find_markers(grey, (300, 300), (160, 120))
del markers._own.detector  # as the end of a thread does
"""


def test_a_thread_that_ends_leaves_the_memory_of_others_alone() -> None:
    """Freed memory is overwritten here at once, so what reads it crashes every time, not once in a hundred runs."""
    env = {**os.environ, "GLIBC_TUNABLES": "glibc.malloc.tcache_count=0", "MALLOC_PERTURB_": "165"}
    done = subprocess.run([sys.executable, "-c", LOOKS], env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
