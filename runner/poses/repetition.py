"""Does what is filmed repeat (tiles, bricks, windows)? Told from the pictures alone, where no cameras were found.

A patch of a picture is compared with what is around it, at every shift: of a wall of tiles it looks like the next tiles
as much as like itself. Edges in one direction only (a rail, a door frame) look so along themselves: they do not count.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.fft import fft2, ifft2

from runner.scene.sizes import shrink
from runner.scene.views import evenly

PICTURES, SIDE = 8, 640  # that are looked at; px, long side
PATCH_PX, AROUND_PX = 64, 64  # at that size; so far around a patch
LEAST_PX = 12  # of the shift: nearer, a patch looks like itself
NOISE_LEVEL = 8.0  # grey levels: a gradient below has that much less to say
TEXTURE, BOTH_WAYS = 0.02, 0.25  # mean strength of the edges of a patch; weaker / stronger direction
ALIKE = 0.6  # correlation of the edges of a patch with what is beside it
LEAST_PATCHES = 24


def share_that_repeats(frames: Path, images: Sequence[str]) -> float:
    """Of the patches with edges in two directions, those that look like what is beside them, 0 to 1. frames: the folder
    of the images."""
    alike = []
    for number in evenly(range(len(images)), PICTURES):
        with Image.open(frames / images[number]) as file:
            grey = file.convert("L")
        alike += _of_patches(np.asarray(grey.resize(shrink(*grey.size, SIDE), Image.Resampling.BOX), np.float32))
    return float(np.mean(np.array(alike) > ALIKE)) if len(alike) >= LEAST_PATCHES else 0.0


def _of_patches(grey: NDArray[np.float32]) -> list[float]:
    """How much each patch with edges looks like what is beside it."""
    edges = np.zeros(grey.shape, np.complex64)
    edges[1:-1, 1:-1] = (grey[1:-1, 2:] - grey[1:-1, :-2]) / 2 + 1j * (grey[2:, 1:-1] - grey[:-2, 1:-1]) / 2
    edges /= np.maximum(np.abs(edges), np.float32(NOISE_LEVEL))
    found = []
    for top in range(AROUND_PX, grey.shape[0] - PATCH_PX - AROUND_PX + 1, PATCH_PX):
        for left in range(AROUND_PX, grey.shape[1] - PATCH_PX - AROUND_PX + 1, PATCH_PX):
            patch = edges[top : top + PATCH_PX, left : left + PATCH_PX]
            xx, yy, xy = (patch.real**2).mean(), (patch.imag**2).mean(), (patch.real * patch.imag).mean()
            apart = np.hypot((xx - yy) / 2, xy)
            if xx + yy >= TEXTURE and (xx + yy) / 2 - apart >= BOTH_WAYS * ((xx + yy) / 2 + apart):
                around = edges[top - AROUND_PX : top + PATCH_PX + AROUND_PX, left - AROUND_PX :]
                found.append(_most_alike(patch, around[:, : PATCH_PX + 2 * AROUND_PX]))
    return found


def _most_alike(patch: NDArray[np.complex64], around: NDArray[np.complex64]) -> float:
    """Highest correlation of a patch with a part of its surroundings that is not itself."""
    size = around.shape
    one, other = np.zeros(size, np.complex64), (np.abs(around) ** 2).astype(np.complex64)
    one[:PATCH_PX, :PATCH_PX] = patch
    inside = np.zeros(size, np.complex64)
    inside[:PATCH_PX, :PATCH_PX] = 1
    together = ifft2(np.conj(fft2(one)) * fft2(around)).real
    energy = ifft2(np.conj(fft2(inside)) * fft2(other)).real
    own = float((np.abs(patch) ** 2).sum())
    reach = 2 * AROUND_PX + 1
    alike = (together / np.sqrt(np.maximum(own * energy, (0.1 * own) ** 2)))[:reach, :reach]
    down, across = np.mgrid[:reach, :reach] - AROUND_PX
    return float(alike[np.maximum(abs(down), abs(across)) >= LEAST_PX].max())
