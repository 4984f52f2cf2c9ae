"""Mean SSIM with its gradient for GPUs: eleven taps down, eleven across, in the place of a window of 121.

The same value and gradient as autograd through `loss.torch_loss` (Wang et al. 2004; zeros outside of the image), in six
blurs instead of the dozens of kernels of autograd: three maps in the forward pass, and three for the gradient, whose
derivatives are written out. What a target adds never changes, so it is an argument.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from runner.quality.metrics import C1, C2, WINDOW_SIGMA_PX, WINDOW_TAPS

REACH = WINDOW_TAPS // 2


def windowed(maps: Tensor) -> Tensor:
    """Gaussian window over the last two axes of maps [..., H, W], zeros outside: two passes of one dimension."""
    taps = _taps(maps.dtype, maps.device)
    flat = maps.reshape(-1, 1, *maps.shape[-2:])  # one channel each: an ordinary convolution, not a depthwise one
    flat = F.conv2d(flat, taps.view(1, 1, -1, 1), padding=(REACH, 0))
    flat = F.conv2d(flat, taps.view(1, 1, 1, -1), padding=(0, REACH))
    return flat.reshape(maps.shape)


@lru_cache
def _taps(dtype: torch.dtype, device: torch.device) -> Tensor:
    """[TAPS] weights with the sum 1."""
    steps = torch.arange(WINDOW_TAPS, dtype=dtype, device=device) - REACH
    weights = torch.exp(-0.5 * (steps / WINDOW_SIGMA_PX) ** 2)
    return weights / weights.sum()


class _MeanSsim(torch.autograd.Function):
    """The gradient comes with the value: both need the same maps."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, moments: Tensor) -> Tensor:
        mean_x, square_x, product = windowed(torch.stack([x, x * x, x * y]))
        mean_y, square_y = moments
        a1, a2 = 2 * mean_x * mean_y + C1, 2 * (product - mean_x * mean_y) + C2
        b1, b2 = mean_x**2 + mean_y**2 + C1, square_x - mean_x**2 + square_y - mean_y**2 + C2
        inverse = 1 / (b1 * b2)
        ssim: Tensor = a1 * a2 * inverse
        if ctx.needs_input_grad[0]:
            by_mean = 2 * (mean_y * (a2 - a1) - ssim * mean_x * (b2 - b1)) * inverse
            # The window is symmetric, so the gradient of a blur is the same blur of the gradient.
            maps = windowed(torch.stack([by_mean, -ssim * b1 * inverse, 2 * a1 * inverse]))
            ctx.save_for_backward((maps[0] + 2 * x * maps[1] + y * maps[2]) / x.numel())
        return ssim.mean()

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = ctx.saved_tensors
        return gradient * grads[0], None, None


mean_ssim: Callable[[Tensor, Tensor, Tensor], Tensor] = _MeanSsim.apply
"""(x [3, H, W], y [3, H, W], windowed mean and mean square of y [2, 3, H, W]) -> mean SSIM, with a gradient by x."""


def loss(image: Tensor, target: Tensor, moments: Tensor, ssim_weight: float) -> Tensor:
    """(1 - w) mean |image - target| + w (1 - SSIM). image, target: [H, W, 3]; moments: as in `mean_ssim`."""
    similarity = mean_ssim(image.permute(2, 0, 1), target.permute(2, 0, 1), moments)
    return (1 - ssim_weight) * (image - target).abs().mean() + ssim_weight * (1 - similarity)
