"""What training minimises, (1 - w) L1 + w (1 - SSIM) as in 3DGS (Kerbl et al. 2023), and how results are scored.

Two borders, on purpose. The loss counts pixels outside the picture as zero, so every pixel gets a gradient. The metric
`ssim` uses only windows inside the picture, as Wang et al. (2004) and scikit-image do, so numbers compare with papers.
"""

from __future__ import annotations

import importlib.util
import math
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

WINDOW_TAPS = 11
WINDOW_SIGMA_PX = 1.5
C1, C2 = 0.01**2, 0.03**2  # stabilisers for values in 0..1

_COMPILED = importlib.util.find_spec("numba") is not None


class Target:
    """A picture to be matched. What the loss needs of it alone is computed once, at the first use."""

    def __init__(self, image: Tensor | NDArray[np.uint8] | NDArray[np.float32]) -> None:
        """image: [H, W, 3], uint8 0..255 or float 0..1, on the device of the training."""
        tensor = torch.as_tensor(image)
        if tensor.ndim != 3 or tensor.shape[2] != 3:
            raise ValueError(f"a target is [H, W, 3], not {tuple(tensor.shape)}")
        if tensor.dtype == torch.uint8:
            tensor = tensor.float() / 255.0
        self.image = tensor.contiguous()  # [H, W, 3] float 0..1

    @cached_property
    def rows(self) -> NDArray[np.float32]:
        """[H, 3 W] view for the compiled loss."""
        return self.image.numpy().reshape(self.image.shape[0], -1)

    @cached_property
    def row_moments(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Windowed mean and mean square [H, 3 W], for the compiled loss."""
        from runner.raster.kernels_loss import blurred_moments

        return blurred_moments(self.rows)

    @cached_property
    def moments(self) -> Tensor:
        """Windowed mean and mean square [2, 3, H, W], for the torch loss."""
        y = self.image.permute(2, 0, 1)
        return _blur(torch.stack([y, y * y]), padding=WINDOW_TAPS // 2)


def photometric_loss(image: Tensor, target: Target, ssim_weight: float) -> Tensor:
    """(1 - w) mean |image - target| + w (1 - SSIM), a scalar. image: [H, W, 3], not clamped.

    Compiled kernels for float32 on the CPU, torch convolutions elsewhere; the same values up to rounding.
    Raises ValueError when image and target differ in size.
    """
    if image.shape != target.image.shape:
        raise ValueError(f"image {tuple(image.shape)} and target {tuple(target.image.shape)} differ in size")
    compiled = _COMPILED and image.device.type == "cpu" and image.dtype == target.image.dtype == torch.float32
    return _CompiledLoss.apply(image, target, ssim_weight) if compiled else torch_loss(image, target, ssim_weight)


class _CompiledLoss(torch.autograd.Function):
    """The gradient comes with the value: computing both costs little more than one."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Target, ssim_weight: float) -> Tensor:
        from runner.raster.kernels_loss import l1_ssim

        rows = image.detach().contiguous().numpy().reshape(target.rows.shape)
        absolute, ssim_sums, grad = l1_ssim(rows, target.rows, *target.row_moments, float(ssim_weight))
        ctx.grad = torch.from_numpy(grad).reshape(image.shape)
        loss = (1 - ssim_weight) * absolute.sum() / rows.size + ssim_weight * (1 - ssim_sums.sum() / rows.size)
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.grad * grads[0], None, None


def torch_loss(image: Tensor, target: Target, ssim_weight: float) -> Tensor:
    """`photometric_loss` in plain torch, on any device and in any float type."""
    x, y = image.permute(2, 0, 1), target.image.permute(2, 0, 1)
    mean_x, square_x, product = _blur(torch.stack([x, x * x, x * y]), padding=WINDOW_TAPS // 2)
    similarity = _ssim_map(mean_x, square_x, product, *target.moments).mean()
    return (1 - ssim_weight) * (x - y).abs().mean() + ssim_weight * (1 - similarity)


def psnr(image: Tensor, truth: Tensor) -> float:
    """Peak signal-to-noise ratio in dB of two pictures with values in 0..1; infinite for equal ones."""
    error = float((image.double() - truth.double()).square().mean())
    return -10.0 * math.log10(error) if error > 0 else math.inf


def ssim(image: Tensor, truth: Tensor) -> float:
    """Mean structural similarity (Wang et al. 2004) of two pictures [H, W, 3] with values in 0..1.

    Gaussian window of 11 x 11 pixels, sigma 1.5, only where it lies inside the picture; mean over the channels.
    Raises ValueError for pictures smaller than the window.
    """
    if min(image.shape[:2]) < WINDOW_TAPS:
        raise ValueError(f"SSIM needs pictures of at least {WINDOW_TAPS} pixels a side, got {tuple(image.shape)}")
    x, y = image.detach().permute(2, 0, 1), truth.detach().permute(2, 0, 1)
    mean_x, square_x, product, mean_y, square_y = _blur(torch.stack([x, x * x, x * y, y, y * y]), padding=0)
    return float(_ssim_map(mean_x, square_x, product, mean_y, square_y).mean())


def _blur(maps: Tensor, padding: int) -> Tensor:
    """Gaussian window over the last two axes of maps [..., H, W], zeros outside.

    One depthwise convolution with the whole window: on CPUs two or three times faster than two separable passes.
    """
    flat = maps.reshape(1, -1, *maps.shape[-2:])
    window = _window(maps.dtype, maps.device).expand(flat.shape[1], 1, -1, -1)
    flat = F.conv2d(flat, window, padding=padding, groups=flat.shape[1])
    return flat.reshape(*maps.shape[:-2], *flat.shape[-2:])


@lru_cache
def _window(dtype: torch.dtype, device: torch.device) -> Tensor:
    """[TAPS, TAPS] weights with the sum 1."""
    steps = torch.arange(WINDOW_TAPS, dtype=dtype, device=device) - WINDOW_TAPS // 2
    weights = torch.exp(-0.5 * (steps / WINDOW_SIGMA_PX) ** 2)
    weights = weights / weights.sum()
    return torch.outer(weights, weights)


def _ssim_map(mean_x: Tensor, square_x: Tensor, product: Tensor, mean_y: Tensor, square_y: Tensor) -> Tensor:
    """SSIM at every window from its windowed means, mean squares and mean product."""
    covariance = product - mean_x * mean_y
    variances = square_x - mean_x**2 + square_y - mean_y**2
    luminance = (2 * mean_x * mean_y + C1) / (mean_x**2 + mean_y**2 + C1)
    return luminance * (2 * covariance + C2) / (variances + C2)
