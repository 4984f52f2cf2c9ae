"""On a GPU, gsplat and our CPU rasteriser draw the same image to the last pixel, of a scene where no cut is close."""

from __future__ import annotations

import torch

from runner.raster import rasterizer

WIDTH, HEIGHT = 96, 64


def parameters(device: torch.device) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator)

    values = {
        "means": normal(500, 3) * 0.5 + torch.tensor([0.0, 0.0, 3.0]),
        "quats": normal(500, 4),
        "scales": normal(500, 3) * 0.3 - 3.0,
        "opacities": normal(500),
        "sh0": normal(500, 1, 3) * 0.5,
        "shN": normal(500, 15, 3) * 0.1,
    }
    return {name: value.to(device).requires_grad_() for name, value in values.items()}


def drawn(name: str) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """The picture [H, W, 3] and the gradients of a fixed weighting of it."""
    backend = rasterizer(name)
    device = torch.device(backend.device)
    params = parameters(device)
    K = torch.tensor([[80.0, 0, WIDTH / 2], [0, 80.0, HEIGHT / 2], [0, 0, 1]], device=device)
    rendering = backend.render(
        params, torch.eye(4, device=device), K, WIDTH, HEIGHT, sh_degree=3, background=torch.zeros(3, device=device)
    )
    weights = torch.randn(HEIGHT, WIDTH, 3, generator=torch.Generator().manual_seed(1)).to(device)
    (rendering.image * weights).sum().backward()
    return rendering.image.detach().cpu(), {name: value.grad.cpu() for name, value in params.items()}


def test_both_rasterisers_draw_the_same_picture() -> None:
    assert (drawn("cpu")[0] - drawn("gsplat")[0]).abs().max() < 1e-3


def test_both_rasterisers_give_the_same_gradients() -> None:
    cpu, gpu = drawn("cpu")[1], drawn("gsplat")[1]
    for name in cpu:
        assert (cpu[name] - gpu[name]).norm() < 1e-2 * cpu[name].norm(), name
