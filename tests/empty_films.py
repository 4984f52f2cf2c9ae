"""Films that show no place: of a cap, a pocket or a finger over the lens, of screens without a picture."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

SIZE = (640, 480)
Picture = NDArray[np.float64]

COLUMNS = np.linspace(-1, 1, SIZE[0])[None, :, None]
FINGER, GLOW = np.array([150.0, 60, 30]) * (1 - 0.3 * COLUMNS**2), np.array([30.0, 22, 14]) * (1 + COLUMNS) / 2
PLAIN, BLUE = np.zeros((*SIZE[::-1], 3)), np.array([0, 0, 200.0])


def film(picture: Callable[[int], Picture], frames: int) -> list[NDArray[np.uint8]]:
    """picture: of a frame's number, grey levels."""
    return [np.clip(picture(index), 0, 255).astype(np.uint8) for index in range(frames)]


def grain(seed: int, sigma: float, cell: int = 1) -> Picture:
    """Noise of cells of so many px [height, width, 3], grey."""
    width, height = SIZE
    cells = np.random.default_rng(seed).normal(0, sigma, (height // cell + 1, width // cell + 1))
    return np.repeat(np.kron(cells, np.ones((cell, cell)))[:height, :width, None], 3, axis=2)


def colour_bars() -> Picture:
    """The colour bars of a camera that has no picture."""
    bars = np.array([[192, 192, 192], [192, 192, 0], [0, 192, 192], [0, 192, 0], [192, 0, 192], [192, 0, 0]], float)
    picture = np.repeat(np.repeat(bars, SIZE[0] // 6 + 1, axis=0)[None, : SIZE[0]], SIZE[1], axis=0)
    picture[360:, : SIZE[0] // 3], picture[360:, SIZE[0] // 3 :] = 250, 16
    return picture


def cap(index: int) -> Picture:
    """On the lens; the camera turns up what little its sensor has."""
    return 6 + grain(index, 12)


def pocket(index: int) -> Picture:
    """A little light comes through the cloth."""
    return GLOW * (1 + 0.5 * np.sin(index / 9)) / 2 + 2 + grain(index, 8)


def finger(index: int) -> Picture:
    """Over the whole lens, with the light behind it."""
    return FINGER * (1 + 0.1 * np.sin(index / 5)) + grain(index, 6)


def no_signal(index: int) -> Picture:
    """The snow on a television, which is darker at its sides."""
    return (128 + grain(index, 70, 3)) * (1 - 0.6 * COLUMNS**2)
