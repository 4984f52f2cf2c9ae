"""Can a rasteriser draw here? A small image with its gradients; on a GPU, compared with the CPU's."""

from __future__ import annotations

import os

import torch
from torch import Tensor

from runner.process import gpu_driver
from runner.raster import rasterizer, why_no_gpu
from runner.raster.port import Rasterizer
from scenejobs.errors import Code, ConfigurationError, RunnerError

SIZE = 48  # pixels of the image
GAUSSIANS = 64
AGREE = 1e-3  # colour, 0..1: as much as two rasterisers may differ


def self_test(backend: str, threads: int = 0) -> str:
    """What was found, in words. backend: "auto", "cpu" or "gsplat".

    Raises ConfigurationError DRIVER_TOO_OLD, NO_GPU when a GPU is there or requested and gsplat cannot use it,
    RunnerError when what it draws is wrong.
    """
    if backend == "cpu":
        draw(rasterizer("cpu", threads))
        return f"cpu, {os.cpu_count()} cores: an image was drawn"
    reason = why_no_gpu()
    if reason:
        gpu_driver.require()
    if torch.cuda.is_available() and reason:  # a GPU is paid for, and training would do without it or fail
        raise ConfigurationError(
            f"there is a GPU, but {reason}", code=Code.NO_GPU, advice="use the GPU image (docs/images.md)"
        )
    if reason and backend == "auto":
        draw(rasterizer("cpu", threads))
        return f"cpu ({reason}), {os.cpu_count()} cores: an image was drawn"
    try:
        on_gpu = draw(rasterizer("gsplat"))
    except RuntimeError as exc:  # torch's for everything CUDA says: no kernel image, driver too old, out of memory
        raise ConfigurationError(
            f"gsplat cannot draw on {_gpu()}: {str(exc).splitlines()[0]}", code=Code.NO_GPU,
            advice="build the kernels for this GPU (TORCH_CUDA_ARCH_LIST, docs/images.md), or update its driver",
        ) from exc  # fmt: skip
    difference = float((on_gpu - draw(rasterizer("cpu", threads))).abs().max())
    if not difference < AGREE:  # NaN is not
        raise RunnerError(
            f"{_gpu()} draws another image than the CPU: {difference:.3g} apart", advice="replace the GPU"
        )
    return f"gsplat on {_gpu()}: an image was drawn and agrees with the CPU's"


def draw(backend: Rasterizer) -> Tensor:
    """[SIZE, SIZE, 3] on the CPU, after its gradients were computed. Raises RunnerError when these are not finite."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator)

    values = {
        "means": normal(GAUSSIANS, 3) * 0.5 + torch.tensor([0.0, 0.0, 3.0]),
        "quats": normal(GAUSSIANS, 4),
        "scales": normal(GAUSSIANS, 3) * 0.3 - 2.0,
        "opacities": normal(GAUSSIANS),
        "sh0": normal(GAUSSIANS, 1, 3) * 0.5,
        "shN": normal(GAUSSIANS, 15, 3) * 0.1,
    }
    device = backend.device
    params = {name: value.to(device).requires_grad_() for name, value in values.items()}
    K = torch.tensor([[SIZE, 0, SIZE / 2], [0, SIZE, SIZE / 2], [0, 0, 1.0]], device=device)
    eye, black = torch.eye(4, device=device), torch.zeros(3, device=device)
    image = backend.render(params, eye, K, SIZE, SIZE, sh_degree=3, background=black).image
    image.sum().backward()
    if not all(value.grad is not None and bool(torch.isfinite(value.grad).all()) for value in params.values()):
        raise RunnerError(f"backend {backend.name} gives gradients that are no numbers", advice="rebuild the image")
    return image.detach().cpu()


def _gpu() -> str:
    found = torch.cuda.get_device_properties(0)
    return f"{found.name} (compute {found.major}.{found.minor}, {found.total_memory / 2**30:.0f} GiB)"
