"""What must hold on every device: unit tests run these checks on the CPU, tests/gpu on a GPU with gsplat's kernels.

Each check is held against something that the device has no part in: the float64 rasteriser of tests/raster_oracle.py,
torch in float64, or a definition. Tolerances are those of float32 on a GPU, where sums have no fixed order; the CPU's
own tests are far stricter.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from runner.postprocess.floaters import coverage
from runner.quality.evaluate import exposure_corrected
from runner.quality.metrics import psnr, ssim
from runner.raster import Rasterizer, Rendering, parameters
from runner.scene.progress import SILENT
from runner.training import optimiser
from runner.training.exposure.drift import ExposureDrift
from runner.training.exposure.fold import fold
from runner.training.exposure.model import Exposures
from runner.training.loss import Target, photometric_loss, torch_loss
from runner.training.targets import TrainingImages, reduced
from tests.raster_oracle import KEYS, Shot, cloud, dense, leaves, relative_error, weights
from tests.tiny_scene import blank_scene, ground_truth, tiny_scene

CPU = torch.device("cpu")
COLOR = 1e-3  # a pixel differs by more than this only where a contribution of 1/255 is cut on one side
CUT_SHARE = 0.01  # of the pixels may
GRADIENT = 1e-2  # relative L2


# ---- drawing ---------------------------------------------------------------------------------------------------------


def drawn(backend: Rasterizer, params: dict[str, Tensor], shot: Shot) -> Rendering:
    device = backend.device
    return backend.render(
        params, shot.view.to(device), shot.K.to(device), shot.width, shot.height, sh_degree=shot.sh_degree,
        background=shot.background.to(device), antialiased=shot.antialiased,
    )  # fmt: skip


def on(device: torch.device, params: dict[str, Tensor]) -> dict[str, Tensor]:
    """Leaves in float32 on the device."""
    return {key: value.detach().to(device, torch.float32).clone().requires_grad_() for key, value in params.items()}


def check_drawing(backend: Rasterizer, shot: Shot, count: int = 400) -> None:
    """Image, alpha, all six gradients and the gradients of the positions are those of the float64 rasteriser."""
    by_image, by_alpha = weights(shot)
    truth, ours = leaves(cloud(count), torch.float64), on(backend.device, cloud(count))
    image, alpha, positions = dense(truth, shot)
    ((image * by_image).sum() + (alpha * by_alpha).sum()).backward()
    rendering = drawn(backend, ours, shot)
    rendering.info["means2d"].retain_grad()
    loss = (rendering.image * by_image.to(backend.device)).sum() + (rendering.alpha * by_alpha.to(backend.device)).sum()
    loss.backward()
    difference = (rendering.image.detach().cpu() - image.detach()).abs().amax(dim=-1)
    assert float((difference > COLOR).double().mean()) <= CUT_SHARE
    assert float(difference.mean()) <= COLOR / 10
    assert float((rendering.alpha.detach().cpu() - alpha.detach()).abs().mean()) <= COLOR / 10
    for key in KEYS:
        gradient = ours[key].grad
        assert gradient is not None, key
        assert relative_error(gradient.cpu(), truth[key].grad) <= GRADIENT, key
    assert relative_error(rendering.info["means2d"].grad[0].cpu(), positions.grad) <= GRADIENT


def check_what_strategies_read(backend: Rasterizer, sums_per_pixel: bool = True) -> None:
    """`Rendering.info` is as the port says. sums_per_pixel: absgrad is that of AbsGS, and exceeds the gradient."""
    shot, params = Shot(), on(backend.device, cloud(50))
    params["means"].data[0, 2] = -5.0  # behind the camera
    rendering = drawn(backend, params, shot)
    info = rendering.info
    info["means2d"].retain_grad()
    rendering.image.square().sum().backward()
    assert (info["width"], info["height"], info["n_cameras"]) == (shot.width, shot.height, 1)
    assert info["radii"].shape == (1, 50, 2)
    assert info["radii"].dtype == torch.int32
    assert not info["radii"][0, 0].any()
    assert (info["radii"][0, 1:] > 0).all(dim=-1).any()
    grad, absgrad = info["means2d"].grad, info["means2d"].absgrad
    assert grad.shape == absgrad.shape == (1, 50, 2)
    assert (absgrad >= grad.abs() * 0.999 - 1e-6).all()
    if sums_per_pixel:
        assert float(absgrad.sum()) > 1.05 * float(grad.abs().sum())


def check_odd_sizes(backend: Rasterizer) -> None:
    """Images that fill no tile, of one pixel, and with the principal point outside."""
    for shot in (Shot(width=53, height=37), Shot(width=1, height=1), Shot(centre_offset=(-55.0, 40.0))):
        image, _, _ = dense(leaves(cloud(200), torch.float64), shot)
        rendering = drawn(backend, on(backend.device, cloud(200)), shot)
        assert rendering.image.shape == (shot.height, shot.width, 3)
        difference = (rendering.image.detach().cpu() - image.detach()).abs().amax(dim=-1)
        assert float((difference > COLOR).double().mean()) <= CUT_SHARE


def check_hidden_gaussians(backend: Rasterizer) -> None:
    """Gaussians that no camera sees change nothing and get no gradient, NaN neither."""
    shot, params = Shot(), cloud(60)
    params["means"][:20, 2] = -3.0
    ours = on(backend.device, params)
    rendering = drawn(backend, ours, shot)
    rendering.image.sum().backward()
    alone = drawn(backend, on(backend.device, {key: value[20:] for key, value in params.items()}), shot)
    torch.testing.assert_close(rendering.image, alone.image, rtol=0, atol=COLOR)
    for key in KEYS:
        gradient = ours[key].grad
        assert gradient is not None, key
        assert not gradient[:20].any(), key
        assert torch.isfinite(gradient).all(), key


def check_coverage(backend: Rasterizer) -> None:
    """The pixels that Gaussians fill, by the gradient of the colour: together they are the sum of alpha."""
    scene = tiny_scene(backend)
    gaussians, view = ground_truth(), scene.views[0]
    covered = coverage(gaussians, [view], backend, SILENT)
    shot = Shot(
        width=view.width, height=view.height, centre_offset=(0.0, 0.0), focal=(view.K[0, 0], view.K[1, 1]),
        view=torch.tensor(view.world_to_camera, dtype=torch.float32), sh_degree=0,
    )  # fmt: skip
    params = {key: value.detach().double() for key, value in parameters.parameters(gaussians, CPU).items()}
    params["shN"] = torch.zeros(gaussians.count, 0, 3, dtype=torch.float64)
    _, alpha, _ = dense(params, shot)
    assert covered.sum() == pytest.approx(float(alpha.sum()), rel=GRADIENT)
    assert (covered >= 0).all()


# ---- the parts of a step ---------------------------------------------------------------------------------------------


def check_loss(device: torch.device) -> None:
    """Value and gradient of the loss on the device are those of torch in float64."""
    generator = torch.Generator().manual_seed(0)
    image, target = torch.rand(2, 40, 29, 3, generator=generator)
    ours, truth = image.to(device).clone().requires_grad_(), image.double().requires_grad_()
    for weight in (0.0, 0.2, 1.0):
        ours.grad = truth.grad = None
        value = photometric_loss(ours, Target(target.to(device)), weight)
        expected = torch_loss(truth, Target(target.double()), weight)
        value.backward()
        expected.backward()
        assert value.item() == pytest.approx(expected.item(), rel=1e-4)
        assert ours.grad is not None
        assert truth.grad is not None
        assert relative_error(ours.grad.cpu(), truth.grad) < 1e-3


def check_adam(device: torch.device) -> None:
    """Twenty steps of the optimisers that training uses on the device are Adam's in float64."""
    generator = torch.Generator().manual_seed(0)
    start = {name: torch.randn(500, 3, generator=generator) for name in ("means", "scales")}
    ours = {name: torch.nn.Parameter(value.to(device)) for name, value in start.items()}
    truth = {name: torch.nn.Parameter(value.double()) for name, value in start.items()}
    optimizers = optimiser.optimizers(ours)
    references = {name: torch.optim.Adam([value], lr=0.0, eps=optimiser.ADAM_EPS) for name, value in truth.items()}
    for step in range(20):
        rates = {"means": 0.01 * 0.9**step, "scales": 0.02}
        for name in start:
            gradient = torch.randn(500, 3, generator=generator) * 10.0 ** (step % 5 - 4)
            ours[name].grad, truth[name].grad = gradient.to(device), gradient.double()
            references[name].param_groups[0]["lr"] = rates[name]
            references[name].step()
        optimiser.set_learning_rates(optimizers, rates)
        optimiser.step(optimizers)
    for name in start:
        assert ours[name].grad is None
        torch.testing.assert_close(ours[name].detach().cpu(), truth[name].detach().float(), rtol=1e-4, atol=1e-5)
    assert optimiser.all_finite(ours)
    with torch.no_grad():
        ours["scales"][3, 1] = math.nan
    assert not optimiser.all_finite(ours)


def check_training_images(backend: Rasterizer) -> None:
    """Images at every size are block means of the bytes, with the camera that fits, on the device of the training."""
    scene = tiny_scene(backend)
    images = TrainingImages(scene, backend.device)
    for divisor in (4, 2, 1):
        for index in (0, 5, 0):
            image = images.get(index, divisor)
            expected = torch.from_numpy(reduced(scene.pixels[index], divisor))
            assert image.target.image.device.type == image.K.device.type == backend.device.type
            torch.testing.assert_close(image.target.image.cpu(), expected, rtol=0, atol=1e-6)
            assert (image.width, image.height) == (expected.shape[1], expected.shape[0])
            assert image.K[0, 0].item() == pytest.approx(scene.views[index].K[0, 0] / divisor)


def check_exposures(device: torch.device) -> None:
    """A gain of one image is learned, the others have as much less, and what is white may be brighter."""
    generator = torch.Generator().manual_seed(0)
    image = (torch.rand(8, 8, 3, generator=generator) * 0.6 + 0.1).to(device)
    drift = ExposureDrift(np.zeros((2, 3), np.float32), 0.0, 0.0)
    exposures = Exposures(blank_scene(2), drift, device)
    for step in range(300):
        target = image * (1.1 if step % 2 else 1 / 1.1)
        (exposures.apply(image, step % 2, target) - target).abs().mean().backward()
        exposures.step(min(1.0, step / 250))
    assert exposures.log_gains()[1] == pytest.approx(np.log(1.1), abs=0.02)
    assert exposures.log_gains().sum(axis=0) == pytest.approx(0, abs=1e-6)
    white = torch.ones_like(image)
    assert torch.equal(exposures.apply(white * 1.5, 0, white), white)
    scene = ground_truth()
    folded = fold(scene, blank_scene(4).views, np.full((4, 3), 0.2), 0.5, device)
    assert np.abs(folded.sh0 - scene.sh0).max() > 0


def check_scores(device: torch.device) -> None:
    """PSNR, SSIM and the exposure correction give the numbers that they give in float64 on the CPU."""
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(48, 40, 3, generator=generator)
    image = (truth * 0.9 + 0.03 * torch.randn(truth.shape, generator=generator)).clamp(0, 1)
    ours, exact = (image.to(device), truth.to(device)), (image.double(), truth.double())
    assert psnr(*ours) == pytest.approx(psnr(*exact), abs=1e-3)
    assert ssim(*ours) == pytest.approx(ssim(*exact), abs=1e-4)
    corrected = exposure_corrected(*ours)
    assert corrected.device.type == device.type
    torch.testing.assert_close(corrected.cpu(), exposure_corrected(*exact), rtol=0, atol=1e-5)
