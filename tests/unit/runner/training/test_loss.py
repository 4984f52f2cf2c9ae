"""The training loss against torch in float64, and the metrics against scipy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from runner.quality.metrics import psnr, ssim
from runner.training.loss import Target, photometric_loss, torch_loss


def pair(height: int, width: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """A smooth picture and a noisy version of it (which leaves 0..1 in places, as renderings do)."""
    rng = np.random.default_rng(seed)
    truth = gaussian_filter(rng.uniform(size=(height, width, 3)), (2, 2, 0))
    truth = (truth - truth.min()) / max(np.ptp(truth), 1e-6)
    return torch.tensor(truth + rng.normal(0, 0.05, truth.shape)).float(), torch.tensor(truth).float()


def scipy_ssim(x: np.ndarray, y: np.ndarray, *, inside_only: bool) -> float:
    """Wang et al. (2004), equations 6 to 13, in float64: 11 x 11 Gaussian window with sigma 1.5, L = 1."""

    def window(values: np.ndarray) -> np.ndarray:
        return gaussian_filter(values, (1.5, 1.5, 0), mode="constant", truncate=3.5)  # 3.5 sigma: 5 pixels a side

    mx, my = window(x), window(y)
    vx, vy, cov = window(x * x) - mx**2, window(y * y) - my**2, window(x * y) - mx * my
    c1, c2 = 0.01**2, 0.03**2
    values = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    return float(values[5:-5, 5:-5].mean() if inside_only else values.mean())


@pytest.mark.parametrize("size", [(40, 61), (11, 11), (5, 8), (1, 1), (70, 33)], ids=str)
@pytest.mark.parametrize("weight", [0.0, 0.2, 1.0])
def test_compiled_loss_and_gradient_equal_torch_in_float64(size, weight):
    """Sizes smaller than the window too: training starts on small pictures."""
    image, truth = pair(*size)
    ours, exact = image.clone().requires_grad_(), image.double().requires_grad_()
    loss = photometric_loss(ours, Target(truth), weight)
    (3.0 * loss).backward()
    expected = torch_loss(exact, Target(truth.double()), weight)
    (3.0 * expected).backward()
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5, abs=1e-7)
    difference = (ours.grad - exact.grad).norm() / exact.grad.norm().clamp_min(1e-12)
    assert float(difference) <= 1e-4


def test_torch_loss_is_l1_and_ssim_with_zeros_outside_the_picture():
    """The oracle of the test above has its own: scipy, with scipy's own Gaussian."""
    image, truth = pair(40, 61)
    x, y = image.double().numpy(), truth.double().numpy()
    expected = 0.8 * np.abs(x - y).mean() + 0.2 * (1 - scipy_ssim(x, y, inside_only=False))
    assert torch_loss(image.double(), Target(truth.double()), 0.2).item() == pytest.approx(expected, rel=1e-9)


def test_torch_loss_has_the_gradient_of_its_value():
    """Central differences in float64, away from the kinks of L1."""
    image, truth = (t.double() for t in pair(7, 6))
    target = Target(truth)
    assert torch.autograd.gradcheck(lambda x: torch_loss(x, target, 0.2), image.requires_grad_())


def test_equal_pictures_have_no_loss():
    _, truth = pair(20, 30)
    image = truth.clone().requires_grad_()
    loss = photometric_loss(image, Target(truth), 0.2)
    loss.backward()
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    assert float(image.grad.abs().max()) <= 1e-6


def test_targets_may_be_bytes_or_floats():
    """uint8 0..255 and the same as float 0..1 give the same loss; arrays and tensors likewise."""
    image, truth = pair(20, 30)
    as_bytes = (truth * 255).round().to(torch.uint8)
    losses = [
        photometric_loss(image, Target(target), 0.2).item()
        for target in (as_bytes, as_bytes.numpy(), as_bytes.float() / 255, (as_bytes.float() / 255).numpy())
    ]
    assert len(set(losses)) == 1


def test_wrong_sizes_are_refused():
    with pytest.raises(ValueError, match="differ in size"):
        photometric_loss(torch.zeros(4, 5, 3), Target(torch.zeros(5, 4, 3)), 0.2)
    with pytest.raises(ValueError, match="a target is"):
        Target(torch.zeros(3, 5, 4))
    with pytest.raises(ValueError, match="at least 11"):
        ssim(torch.zeros(10, 40, 3), torch.zeros(10, 40, 3))


def test_psnr_is_that_of_the_definition():
    """An error of 0.1 everywhere is a mean square of 0.01, which is 20 dB."""
    zeros = torch.zeros(12, 9, 3)
    assert psnr(zeros + 0.1, zeros) == pytest.approx(20.0, abs=1e-5)
    assert psnr(zeros, zeros) == math.inf


def test_ssim_is_that_of_wang_inside_the_border():
    image, truth = pair(48, 37)
    expected = scipy_ssim(image.double().numpy(), truth.double().numpy(), inside_only=True)
    assert ssim(image, truth) == pytest.approx(expected, abs=2e-5)
    assert ssim(truth, truth) == pytest.approx(1.0, abs=1e-6)
