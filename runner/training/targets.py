"""The training images: kept as bytes, handed out as what the loss wants, at full, half or a quarter of the size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.scene.views import TrainingScene
from runner.training.loss import Target

CACHE_BYTES = 600 * 2**20  # of prepared targets (float images and their blurred maps)
CACHE_SHARE = 0.2  # of the memory that a GPU has left: a target is then prepared once, not at every step
DEVICE_BYTES = 4 * 2**30  # of images as bytes on a GPU; more stay on the host and are copied at every step
IGNORED_LEVEL = 0.5  # of ignored pixels, in the target and in what is compared with it
TARGET_BYTES_PER_VALUE = 4 * 3  # the image, its mean and its mean square, float32


@dataclass(frozen=True)
class TrainingImage:
    """One training image at one size, with the camera that fits it."""

    world_to_camera: Tensor  # [4, 4]
    K: Tensor  # [3, 3] pixels of this size
    width: int
    height: int
    target: Target
    used: Tensor | None = None  # [H, W, 1] bool, True where a pixel is used; None: all of them are

    def compared(self, rendered: Tensor) -> Tensor:
        """What the loss compares with the target: the rendering, and the target itself where nothing is to be learned.

        So the gradient is zero there. rendered: [H, W, 3].
        """
        return rendered if self.used is None else torch.where(self.used, rendered, self.target.image)


class TrainingImages:
    """The images of a scene at one scale at a time. As many as fit are kept ready; the others are prepared on demand.

    On a GPU the bytes and the cameras of all images lie on it from the beginning, so preparing one copies nothing.
    """

    def __init__(self, scene: TrainingScene, device: torch.device) -> None:
        self._scene, self._device = scene, device
        self._ready: dict[int, TrainingImage] = {}
        self._divisor = 0
        self._room_bytes, self._cache_bytes = 0, cache_bytes(device)
        self._moving: Mapping[int, NDArray[np.bool_]] = {}
        self._bytes = on_device(scene.pixels, device) if device.type != "cpu" else []
        cameras = np.stack([view.world_to_camera for view in scene.views]), np.stack([view.K for view in scene.views])
        self._poses, self._Ks = (torch.tensor(each, dtype=torch.float32, device=device) for each in cameras)

    def leave_out(self, moving: Mapping[int, NDArray[np.bool_]]) -> None:
        """Further masks [H, W] by view, True where a pixel is used; in place of earlier ones, beside the scene's."""
        if moving or self._moving:
            self._moving, self._divisor = moving, 0

    def get(self, index: int, divisor: int) -> TrainingImage:
        """View `index` of the scene, its sides divided by `divisor`."""
        if divisor != self._divisor:
            self._ready, self._divisor, self._room_bytes = {}, divisor, self._cache_bytes
        if index in self._ready:
            return self._ready[index]
        if self._bytes:
            pixels = reduced_on_device(self._bytes[index].to(self._device, non_blocking=True), divisor)
        else:
            pixels = torch.from_numpy(reduced(self._scene.pixels[index], divisor))
        K = self._Ks[index].clone()
        K[:2] /= divisor
        used = None
        if (mask := self._mask(index)) is not None:
            used = torch.from_numpy(reduced_mask(mask, divisor)).to(self._device)
            pixels = torch.where(used, pixels, IGNORED_LEVEL)  # windows beside the mask are not to see what is there
            if (nothing := self._scene.empty(index)) is not None:  # black, as the background of every rendering is
                empty = torch.from_numpy(reduced_mask(nothing, divisor)).to(self._device)
                pixels, used = torch.where(empty, 0.0, pixels), used | empty
        image = TrainingImage(
            self._poses[index], K, width=pixels.shape[1], height=pixels.shape[0], target=Target(pixels), used=used
        )  # fmt: skip
        size = pixels.numel() * TARGET_BYTES_PER_VALUE
        if size <= self._room_bytes:  # first come, first kept: evicting would miss every time in a shuffled epoch
            self._ready[index] = image
            self._room_bytes -= size
        return image

    def _mask(self, index: int) -> NDArray[np.bool_] | None:
        mask, moving = self._scene.mask(index), self._moving.get(index)
        if mask is None or moving is None:
            return mask if moving is None else moving
        both: NDArray[np.bool_] = mask & moving
        return both


def cache_bytes(device: torch.device) -> int:
    """How much of a device's memory prepared targets may take, before anything else of the training is on it."""
    if device.type != "cuda":
        return CACHE_BYTES
    free, total = torch.cuda.mem_get_info(device)
    allowed = total * torch.cuda.get_per_process_memory_fraction(device) - torch.cuda.memory_reserved(device)
    return max(CACHE_BYTES, int(CACHE_SHARE * min(free, allowed)))


def on_device(pixels: tuple[NDArray[np.uint8], ...], device: torch.device) -> list[Tensor]:
    """The images [H, W, 3] as bytes: on the device as far as DEVICE_BYTES go, in pinned host memory beyond."""
    room, tensors = DEVICE_BYTES, []
    for image in pixels:
        tensor = torch.from_numpy(image)
        room -= image.nbytes
        tensors.append(tensor.to(device) if room >= 0 else tensor.pin_memory())
    return tensors


def reduced(pixels: NDArray[np.uint8], divisor: int) -> NDArray[np.float32]:
    """[H // divisor, W // divisor, 3] float 0..1: the mean of each block of pixels.

    Rows and columns that fill no block are left out at the far edges, so dividing K by `divisor` stays exact.
    """
    height, width = pixels.shape[0] // divisor, pixels.shape[1] // divisor
    blocks = pixels[: height * divisor, : width * divisor].reshape(height, divisor, width, divisor, 3)
    if divisor == 1:
        return (pixels / np.float32(255)).astype(np.float32)
    means: NDArray[np.float32] = blocks.mean(axis=(1, 3), dtype=np.float32)
    return (means / np.float32(255)).astype(np.float32)


def reduced_mask(used: NDArray[np.bool_], divisor: int) -> NDArray[np.bool_]:
    """[H // divisor, W // divisor, 1] of a mask [H, W]: a block is used where all of its pixels are."""
    height, width = used.shape[0] // divisor, used.shape[1] // divisor
    blocks = used[: height * divisor, : width * divisor].reshape(height, divisor, width, divisor)
    whole: NDArray[np.bool_] = np.asarray(blocks.all(axis=(1, 3)))
    return np.ascontiguousarray(whole[..., None])


def reduced_on_device(pixels: Tensor, divisor: int) -> Tensor:
    """`reduced` in torch, where the pixels [H, W, 3] uint8 are."""
    height, width = pixels.shape[0] // divisor, pixels.shape[1] // divisor
    blocks = pixels[: height * divisor, : width * divisor].float().reshape(height, divisor, width, divisor, 3)
    return (blocks if divisor == 1 else blocks.mean(dim=(1, 3))).reshape(height, width, 3) / 255
