"""The training pictures: kept as bytes, handed out as what the loss wants, at full, half or a quarter of the size."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.loss import Target
from runner.scene import TrainingScene

CACHE_BYTES = 600 * 2**20  # of prepared targets (float pictures and their blurred maps)
TARGET_BYTES_PER_VALUE = 4 * 3  # the picture, its mean and its mean square, float32


@dataclass(frozen=True)
class Picture:
    """One training picture at one size, with the camera that fits it."""

    world_to_camera: Tensor  # [4, 4]
    K: Tensor  # [3, 3] pixels of this size
    width: int
    height: int
    target: Target


class Pictures:
    """Pictures of a scene at one scale at a time. As many as fit are kept ready; the others are prepared on demand."""

    def __init__(self, scene: TrainingScene, device: torch.device) -> None:
        self._scene, self._device = scene, device
        self._ready: dict[int, Picture] = {}
        self._divisor = 0
        self._room_bytes = 0

    def get(self, index: int, divisor: int) -> Picture:
        """View `index` of the scene, its sides divided by `divisor`."""
        if divisor != self._divisor:
            self._ready, self._divisor, self._room_bytes = {}, divisor, CACHE_BYTES
        if index in self._ready:
            return self._ready[index]
        view = self._scene.views[index]
        pixels = reduced(self._scene.pixels[index], divisor)
        K = view.K.copy()
        K[:2] /= divisor
        picture = Picture(
            torch.tensor(view.world_to_camera, dtype=torch.float32, device=self._device),
            torch.tensor(K, dtype=torch.float32, device=self._device),
            width=pixels.shape[1],
            height=pixels.shape[0],
            target=Target(torch.from_numpy(pixels).to(self._device)),
        )
        size = pixels.size * TARGET_BYTES_PER_VALUE
        if size <= self._room_bytes:  # first come, first kept: evicting would miss every time in a shuffled epoch
            self._ready[index] = picture
            self._room_bytes -= size
        return picture


def reduced(pixels: NDArray[np.uint8], divisor: int) -> NDArray[np.float32]:
    """[H // divisor, W // divisor, 3] float 0..1: the mean of each block of pixels.

    Rows and columns that fill no block are left out at the far edges, so dividing K by `divisor` stays exact.
    """
    height, width = pixels.shape[0] // divisor, pixels.shape[1] // divisor
    blocks = pixels[: height * divisor, : width * divisor].reshape(height, divisor, width, divisor, 3)
    if divisor == 1:
        return (pixels / np.float32(255)).astype(np.float32)
    return (blocks.mean(axis=(1, 3), dtype=np.float32) / np.float32(255)).astype(np.float32)
