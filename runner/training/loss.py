"""What training minimises: (1 - w) L1 + w (1 - SSIM), as in 3DGS (Kerbl et al. 2023).

Not the border of the metric in quality/metrics.py, on purpose. The loss counts pixels outside the image as zero, so
every pixel gets a gradient. The metric uses only windows inside the image, as Wang et al. (2004) and scikit-image do,
so numbers compare with papers.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.quality.metrics import WINDOW_TAPS, blur, ssim_map
from runner.training import separable_ssim

_COMPILED = importlib.util.find_spec("numba") is not None


class Target:
    """An image to be matched. What the loss needs of it alone is computed once, at the first use."""

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
        from runner.training.kernels.ssim import blurred_moments

        return blurred_moments(self.rows)

    @cached_property
    def moments(self) -> Tensor:
        """Windowed mean and mean square [2, 3, H, W], for the torch loss."""
        y = self.image.permute(2, 0, 1)
        return separable_ssim.windowed(torch.stack([y, y * y]))


def photometric_loss(image: Tensor, target: Target, ssim_weight: float) -> Tensor:
    """(1 - w) mean |image - target| + w (1 - SSIM), a scalar. image: [H, W, 3], not clamped.

    Compiled kernels for float32 on the CPU, separable convolutions elsewhere; the same values up to rounding.
    Raises ValueError when image and target differ in size.
    """
    if image.shape != target.image.shape:
        raise ValueError(f"image {tuple(image.shape)} and target {tuple(target.image.shape)} differ in size")
    compiled = _COMPILED and image.device.type == "cpu" and image.dtype == target.image.dtype == torch.float32
    if compiled:
        return _compiled_loss(image, target, ssim_weight)
    return separable_ssim.loss(image, target.image, target.moments, ssim_weight)


class _CompiledLoss(torch.autograd.Function):
    """The gradient comes with the value: computing both costs little more than one."""

    @staticmethod
    def forward(ctx: Any, image: Tensor, target: Target, ssim_weight: float) -> Tensor:
        from runner.training.kernels.ssim import l1_ssim

        rows = image.detach().contiguous().numpy().reshape(target.rows.shape)
        absolute, ssim_sums, grad = l1_ssim(rows, target.rows, *target.row_moments, float(ssim_weight))
        ctx.grad = torch.from_numpy(grad).reshape(image.shape)
        loss = (1 - ssim_weight) * absolute.sum() / rows.size + ssim_weight * (1 - ssim_sums.sum() / rows.size)
        return torch.tensor(loss, dtype=torch.float32)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        return ctx.grad * grads[0], None, None


_compiled_loss: Callable[[Tensor, Target, float], Tensor] = _CompiledLoss.apply


def torch_loss(image: Tensor, target: Target, ssim_weight: float) -> Tensor:
    """`photometric_loss` by autograd through the whole window: what the faster ways are held against."""
    x, y = image.permute(2, 0, 1), target.image.permute(2, 0, 1)
    mean_x, square_x, product = blur(torch.stack([x, x * x, x * y]), padding=WINDOW_TAPS // 2)
    similarity = ssim_map(mean_x, square_x, product, *target.moments).mean()
    return (1 - ssim_weight) * (x - y).abs().mean() + ssim_weight * (1 - similarity)
