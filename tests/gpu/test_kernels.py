"""On a GPU, each kernel that training uses against a reference that the GPU has no part in (tests/device_checks.py)."""

from __future__ import annotations

import pytest
import torch

from runner.raster import Rasterizer
from runner.raster.torch_reference import TorchRasterizer
from tests import device_checks as checks
from tests import device_trainings as trainings
from tests.raster_oracle import KEYS, Shot, cloud, relative_error, weights

CUDA = torch.device("cuda")


@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_gsplat_draws_the_reference_and_has_its_gradients(gpu: Rasterizer, degree: int, antialiased: bool) -> None:
    checks.check_drawing(gpu, Shot(sh_degree=degree, antialiased=antialiased))


@pytest.mark.parametrize("size", [(160, 96), (480, 272)], ids=str)
def test_gsplat_and_the_cpu_kernels_draw_the_same_picture(
    gpu: Rasterizer, cpu: Rasterizer, size: tuple[int, int]
) -> None:
    """Both backends train the same scene, whatever the size."""
    shot = Shot(width=size[0], height=size[1], focal=(0.9 * size[0], 0.9 * size[0]))
    by_image, _ = weights(shot)
    images, gradients = [], []
    for backend in (gpu, cpu):
        params = checks.on(backend.device, cloud(2000))
        rendering = checks.drawn(backend, params, shot)
        (rendering.image * by_image.to(backend.device)).sum().backward()
        images.append(rendering.image.detach().cpu())
        gradients.append({key: params[key].grad for key in KEYS})
    difference = (images[0] - images[1]).abs().amax(dim=-1)
    assert float((difference > checks.COLOR).double().mean()) <= checks.CUT_SHARE
    for key in KEYS:
        one, other = gradients[0][key], gradients[1][key]
        assert one is not None
        assert other is not None
        assert relative_error(one.cpu(), other) <= checks.GRADIENT, key


def test_what_the_strategies_read(gpu: Rasterizer) -> None:
    checks.check_what_strategies_read(gpu)


def test_absolute_position_gradients_are_those_of_the_cpu_kernels(gpu: Rasterizer, cpu: Rasterizer) -> None:
    """What decides where Gaussians are added (AbsGS) is the same on both."""
    shot, sums = Shot(), []
    by_image, _ = weights(shot)
    for backend in (gpu, cpu):
        rendering = checks.drawn(backend, checks.on(backend.device, cloud(400)), shot)
        rendering.info["means2d"].retain_grad()
        (rendering.image * by_image.to(backend.device)).sum().backward()
        sums.append(rendering.info["means2d"].absgrad[0].cpu())
    assert relative_error(sums[0], sums[1]) <= checks.GRADIENT


def test_odd_sizes_and_hidden_gaussians(gpu: Rasterizer) -> None:
    checks.check_odd_sizes(gpu)
    checks.check_hidden_gaussians(gpu)


def test_plain_torch_on_the_gpu_draws_the_reference() -> None:
    checks.check_drawing(TorchRasterizer("cuda"), Shot())


def test_coverage_by_gradients(gpu: Rasterizer) -> None:
    checks.check_coverage(gpu)


def test_loss() -> None:
    checks.check_loss(CUDA)


def test_adam() -> None:
    checks.check_adam(CUDA)


def test_training_images(gpu: Rasterizer) -> None:
    checks.check_training_images(gpu)


def test_exposures() -> None:
    checks.check_exposures(CUDA)


def test_scores() -> None:
    checks.check_scores(CUDA)


def test_default_strategy() -> None:
    trainings.check_default_growth(CUDA)
    trainings.check_default_pruning(CUDA)


def test_mcmc_strategy() -> None:
    trainings.check_mcmc_refinement(CUDA)


def test_relocation_kernel() -> None:
    from gsplat.relocation import compute_relocation

    trainings.check_relocation(compute_relocation, trainings.binomials().float().to(CUDA), CUDA)


def test_position_noise() -> None:
    trainings.check_position_noise(CUDA)
