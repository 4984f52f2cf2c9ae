"""Films that show nothing: dark or of one colour all over, but for the noise of the sensor, or nothing but noise.

A cap, a finger or a pocket over the lens leaves a picture that shows nothing in any part of it, once noise is averaged
away. A screen without a signal is full of detail, but no picture has anything in common
with the one before it, at any shift; pictures of a place have, even photos a step apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy import fft
from numpy.typing import NDArray

from runner.media.selection.measures import FrameMeasures, is_slide_show, is_static

COARSE = 4  # cycles per side and below: brightness and vignetting, which noise on a screen has in common too
UNLIKE = 0.1  # nine of ten frames of noise had 0.08 at most; photos a step apart 0.12 at least, films far more
EVEN = 0.95  # isotropy: noise has as much detail in all directions, 0.98 and more; whole photos had 0.94 at most
STANDS_STILL = 0.8  # a camera on a tripod sees the same details again: 0.95 and more
FEWEST = 12  # frames, for it to be noise
ALMOST_ALL = 0.95  # of the frames


class Resemblance:
    """Compares the details of each picture with those of the one before."""

    def __init__(self) -> None:
        self._before: tuple[NDArray[np.complexfloating], float] | None = None
        self._shape: tuple[int, ...] = ()

    def read(self, view: NDArray[np.float32]) -> float:
        """view [height, width], small -> the highest correlation at any shift, 0 to 1; 1.0 of the first one, and of one
        without details."""
        spectrum = fft.rfft2(view)
        down = np.abs(fft.fftfreq(view.shape[0], 1 / view.shape[0]))
        spectrum[np.ix_(down < COARSE, np.arange(spectrum.shape[1]) < COARSE)] = 0
        size = float(np.linalg.norm(fft.irfft2(spectrum, view.shape)))
        before, same_shape = self._before, self._shape == view.shape
        self._before, self._shape = (spectrum, size), view.shape
        if before is None or not same_shape or min(size, before[1]) < 1e-3:
            return 1.0
        products = fft.irfft2(spectrum * np.conj(before[0]), view.shape)
        return float(np.clip(products.max() / (size * before[1]), 0, 1))


def shows_no_place(frames: Sequence[FrameMeasures]) -> bool:
    """Of a film in which nothing moves: nothing can be seen in it, or noise, which is another one in each picture."""
    if not is_static(frames):
        return False
    alike, even = _alike_and_even(frames)
    empty = np.mean([frame.seen == 0 for frame in frames])
    return bool(empty >= ALMOST_ALL or (np.median(alike) < STANDS_STILL and np.median(even) > EVEN))


def is_noise(frames: Sequence[FrameMeasures]) -> bool:
    """Of a film: no picture has anything in common with the one before."""
    if len(frames) < FEWEST or is_slide_show(frames):
        return False
    alike, even = _alike_and_even(frames)
    return bool(np.quantile(alike, 0.9) < UNLIKE and np.median(even) > EVEN)


def _alike_and_even(frames: Sequence[FrameMeasures]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """[N] of all frames but the first, which is like none."""
    alike, even = np.array([(frame.alike, frame.isotropy) for frame in (frames[1:] or frames)]).T
    return alike, even
