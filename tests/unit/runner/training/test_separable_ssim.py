"""The loss of the GPU path, on CPU tensors: SSIM in two passes with its own gradient is SSIM."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from runner.training import separable_ssim
from runner.training.loss import Target, photometric_loss, torch_loss


def pair(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth picture and a noisy version of it, float64."""
    rng = np.random.default_rng(0)
    truth = gaussian_filter(rng.uniform(size=(height, width, 3)), (2, 2, 0))
    return torch.tensor(truth + rng.normal(0, 0.05, truth.shape)), torch.tensor(truth)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    """Wang et al. (2004) with zeros outside of the image: the 121 weights of the window at every pixel, one by one."""
    taps = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    window = np.outer(taps, taps) / taps.sum() ** 2
    padded = [np.pad(values, ((5, 5), (5, 5), (0, 0))) for values in (x, y, x * x, y * y, x * y)]
    total = 0.0
    for row in range(x.shape[0]):
        for column in range(x.shape[1]):
            mx, my, xx, yy, xy = (
                (window[..., None] * values[row : row + 11, column : column + 11]).sum(axis=(0, 1)) for values in padded
            )
            up = (2 * mx * my + 0.01**2) * (2 * (xy - mx * my) + 0.03**2)
            total += (up / ((mx**2 + my**2 + 0.01**2) * (xx - mx**2 + yy - my**2 + 0.03**2))).sum()
    return float(total / x.size)


@pytest.mark.parametrize("size", [(40, 31), (11, 11), (5, 8), (1, 1)], ids=str)
def test_value_is_ssim_by_its_definition(size: tuple[int, int]) -> None:
    image, truth = pair(*size)
    loss = separable_ssim.loss(image, truth, Target(truth).moments, 1.0)
    assert 1 - loss.item() == pytest.approx(by_definition(image.numpy(), truth.numpy()), rel=1e-9)


@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
@pytest.mark.parametrize("size", [(40, 31), (11, 11), (5, 8), (1, 1)], ids=str)
def test_value_and_gradient_are_those_of_autograd(size: tuple[int, int], weight: float) -> None:
    image, truth = pair(*size)
    gradients = []
    for way in (photometric_loss, torch_loss):  # float64 is never compiled, so the first is what a GPU takes
        leaf = image.clone().requires_grad_()
        loss = way(leaf, Target(truth), weight)
        (3.0 * loss).backward()
        assert leaf.grad is not None
        gradients.append((loss.item(), leaf.grad))
    (value, gradient), (expected, by_autograd) = gradients
    assert value == pytest.approx(expected, rel=1e-12)
    torch.testing.assert_close(gradient, by_autograd, rtol=1e-9, atol=1e-13)


def test_gradient_is_that_of_central_differences() -> None:
    image, truth = pair(7, 6)
    target = Target(truth)
    assert torch.autograd.gradcheck(
        lambda x: separable_ssim.loss(x, truth, target.moments, 0.2), image.requires_grad_()
    )


def test_float32_keeps_what_a_training_needs() -> None:
    image, truth = pair(60, 47)
    narrow, exact = image.float().requires_grad_(), image.clone().requires_grad_()
    separable_ssim.loss(narrow, truth.float(), Target(truth.float()).moments, 0.2).backward()
    torch_loss(exact, Target(truth), 0.2).backward()
    assert narrow.grad is not None
    assert exact.grad is not None
    assert float((narrow.grad - exact.grad).norm() / exact.grad.norm()) < 1e-4


def test_a_rendering_without_gradient_has_a_value() -> None:
    image, truth = pair(20, 20)
    assert separable_ssim.loss(image, truth, Target(truth).moments, 0.2).requires_grad is False
