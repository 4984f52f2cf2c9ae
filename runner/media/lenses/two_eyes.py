"""Pictures that hold one for each eye, side by side or one above the other, as 3D cameras and headsets export them.

The halves show the same with a small shift, and where one ends the picture breaks off. A row of equal windows repeats
itself as well, but goes on there.
"""

from __future__ import annotations

import numpy as np
from numpy import fft
from numpy.typing import NDArray
from PIL import Image

SIZE = (96, 72)  # px, to which a half is shrunk
COARSE = 4  # cycles per side and below: brightness, which the halves of many pictures have in common
SHIFT = (2, 8)  # px down and across, at most, from one eye to the other
ALIKE = 0.7  # correlation of the details; walk, fox, photos of a facade and a table have 0.51 at most
BREAK, HIGHEST = 1.8, 0.9  # times the usual step from column to column, where one half ends, and the highest ones
APART = 3  # columns that are compared: compression smooths over the border


def holds_two_eyes(luma: NDArray[np.uint8]) -> bool:
    """luma: [height, width], shrunk."""
    down, across = (side // 2 for side in luma.shape)
    beside = _breaks_off(luma) and _are_alike(luma[:, :across], luma[:, -across:])
    return beside or (_breaks_off(luma.T) and _are_alike(luma[:down], luma[-down:]))


def _breaks_off(luma: NDArray[np.uint8]) -> bool:
    """Whether the picture does in the middle of its width."""
    width = luma.shape[1]
    if width < 8 * APART:
        return False
    steps = np.abs(luma[:, APART:].astype(np.float32) - luma[:, :-APART]).mean(axis=0)
    middle = width // 2 - APART
    seam = float(steps[middle : middle + APART].max())
    around = steps[width // 8 : 7 * width // 8]
    return seam > BREAK * float(np.median(around)) and seam >= HIGHEST * float(np.quantile(around, 0.98))


def _are_alike(half: NDArray[np.uint8], second: NDArray[np.uint8]) -> bool:
    """Whether the one half shows what the other does."""
    one, other = _details(half), _details(second)
    size = float(np.linalg.norm(fft.irfft2(one)) * np.linalg.norm(fft.irfft2(other)))
    if size < 1.0:
        return False
    products = fft.irfft2(other * np.conj(one)) / size
    down, across = SHIFT
    near = np.ix_(np.arange(-down, down + 1), np.arange(-across, across + 1))
    return bool(products[near].max() >= ALIKE)


def _details(part: NDArray[np.uint8]) -> NDArray[np.complexfloating]:
    """Spectrum of a part, shrunk, without what is coarse."""
    small = np.asarray(Image.fromarray(np.ascontiguousarray(part)).resize(SIZE, Image.Resampling.BOX), np.float32)
    small = small - small.mean(axis=0) - small.mean(axis=1, keepdims=True)  # bars and horizons are alike anywhere
    spectrum = fft.rfft2(small)
    down = np.abs(fft.fftfreq(small.shape[0], 1 / small.shape[0]))
    spectrum[np.ix_(down < COARSE, np.arange(spectrum.shape[1]) < COARSE)] = 0
    return spectrum
