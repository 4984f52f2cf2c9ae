"""Where views are few, what is drawn is pulled to the depths that the plane sweep measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from runner.raster import Rasterizer
from runner.raster.cpu import CpuRasterizer
from runner.raster.torch_reference import TorchRasterizer
from runner.scene.views import TrainingScene
from runner.training.stereo.swept_depths import SweptDepths
from runner.training.targets import TrainingImage, TrainingImages
from tests.true_scene import true_scene

MEASURED = 3.0  # depth of a wall, world units


@pytest.fixture(scope="module")
def scene() -> TrainingScene:
    return true_scene(size=(32, 24), per_clip=3, points=100, detail=0.2)


def wall(depth: float, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Gaussians that fill the picture of a camera that looks along z from the origin, at about that depth."""
    x, y = torch.meshgrid(torch.linspace(-1.5, 1.5, 7), torch.linspace(-1.2, 1.2, 6), indexing="xy")
    count = x.numel()
    generator = torch.Generator().manual_seed(1)
    z = depth + 0.1 * torch.rand(count, generator=generator)
    params = {
        "means": torch.stack([x.flatten(), y.flatten(), z], dim=1),
        "quats": torch.randn(count, 4, generator=generator),
        "scales": torch.full((count, 3), -1.2) + 0.1 * torch.randn(count, 3, generator=generator),
        "opacities": torch.randn(count, generator=generator),
        "sh0": torch.zeros(count, 1, 3),
        "shN": torch.zeros(count, 0, 3),
    }
    return {name: value.to(dtype).requires_grad_() for name, value in params.items()}


def held(scene: TrainingScene, depth: float = MEASURED) -> tuple[SweptDepths, TrainingImage, Tensor]:
    """Depths of view 0, known in the left half of its picture, with its image and the camera of `wall`."""
    measured = np.full((24, 32), depth, np.float32)
    measured[:, 16:] = 0.0
    image = TrainingImages(scene, torch.device("cpu")).get(0, 1)
    return SweptDepths(scene, {0: measured}, torch.device("cpu")), image, torch.eye(4)


def pull(params: Mapping[str, Tensor], backend: Rasterizer, scene: TrainingScene, dtype: torch.dtype) -> Tensor:
    depths, image, pose = held(scene)
    image = replace(image, K=torch.tensor([[30.0, 0, 16], [0, 30, 12], [0, 0, 1]], dtype=dtype))
    return depths.loss(params, backend, 0, image, pose.to(dtype), 1)


def test_the_loss_is_how_far_the_wall_is_from_its_measured_depth(scene: TrainingScene) -> None:
    """A wall 10 % behind, opaque, measured in half of the picture."""
    params = wall(1.1 * MEASURED)
    with torch.no_grad():
        params["means"][:, 2] = 1.1 * MEASURED
        params["opacities"].fill_(8.0)
    assert pull(params, CpuRasterizer(1), scene, torch.float32).item() == pytest.approx(0.05, rel=0.05)
    with torch.no_grad():
        params["means"][:, 2] = MEASURED
    assert pull(params, CpuRasterizer(1), scene, torch.float32).item() < 1e-4


def test_pixels_without_a_measured_depth_and_views_without_any_say_nothing(scene: TrainingScene) -> None:
    depths = SweptDepths(
        scene, {0: np.zeros((24, 32), np.float32), 1: np.ones((24, 32), np.float32)}, torch.device("cpu")
    )
    assert [depths.pulls(view, 0) for view in range(3)] == [False, True, False]
    assert [depths.pulls(1, step) for step in range(4)] == [True, False, True, False]
    params = wall(MEASURED)
    with torch.no_grad():
        right = params["means"][:, 0] > 1.2
        params["means"][right, 2] = 2 * MEASURED
    pull(params, CpuRasterizer(1), scene, torch.float32).backward()
    assert params["means"].grad is not None
    assert params["means"].grad[right].abs().max() == 0


def test_the_gradient_is_that_of_the_loss(scene: TrainingScene) -> None:
    """By finite differences in float64, of all that has one: places, shapes and opacities."""
    params = wall(1.1 * MEASURED, torch.float64)
    names = ("means", "quats", "scales", "opacities")

    def loss(*values: Tensor) -> Tensor:
        return pull({**params, **dict(zip(names, values, strict=True))}, TorchRasterizer(), scene, torch.float64)

    gradients = torch.autograd.grad(loss(*(params[name] for name in names)), [params[name] for name in names])
    generator = torch.Generator().manual_seed(3)
    for name, gradient in zip(names, gradients, strict=True):
        direction = torch.randn(gradient.shape, generator=generator, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = {**params, name: params[name].detach() + sign * 1e-6 * direction}
            ends.append(loss(*(moved[each] for each in names)).item())
        assert float((gradient * direction).sum()) == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-3), name
        assert gradient.abs().max() > 1e-6, name


def test_the_kernels_have_the_gradient_of_the_reference(scene: TrainingScene) -> None:
    found = []
    for backend in (CpuRasterizer(1), TorchRasterizer()):
        params = wall(1.1 * MEASURED)
        pull(params, backend, scene, torch.float32).backward()
        found.append({name: value.grad for name, value in params.items() if value.grad is not None})
        assert params["shN"].grad is None
    kernels, reference = found
    for name in ("means", "quats", "scales", "opacities"):
        assert torch.allclose(kernels[name], reference[name], atol=1e-5, rtol=1e-2), name
