"""The gradient of the camera: of exp(xi) @ view at xi = 0, against an independent reference and against differences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch

from runner.raster import Rasterizer, rasterizer
from tests.raster_oracle import KEYS, Shot, cloud, dense, leaves, relative_error, weights

EXACT = 1e-4  # relative L2; float32 rounding gives about 2e-6
Draw = Callable[[dict[str, torch.Tensor], Shot], tuple[torch.Tensor, torch.Tensor]]


def draws(backend: Rasterizer) -> Draw:
    def draw(params: dict[str, torch.Tensor], shot: Shot) -> tuple[torch.Tensor, torch.Tensor]:
        drawn = backend.render(
            params, shot.view, shot.K, shot.width, shot.height,
            sh_degree=shot.sh_degree, background=shot.background, antialiased=shot.antialiased,
        )  # fmt: skip
        return drawn.image, drawn.alpha

    return draw


def exactly(params: dict[str, torch.Tensor], shot: Shot) -> tuple[torch.Tensor, torch.Tensor]:
    return dense(params, shot)[:2]


def moved(view: torch.Tensor, xi: torch.Tensor) -> torch.Tensor:
    """exp(xi) @ view, xi [6] (rotation, translation), by the matrix exponential."""
    (a, b, c), zero = xi[:3], torch.zeros((), dtype=xi.dtype)
    skew = torch.stack([zero, -c, b, c, zero, -a, -b, a, zero]).reshape(3, 3)
    top = torch.cat([skew, xi[3:, None]], 1)
    return torch.linalg.matrix_exp(torch.cat([top, torch.zeros(1, 4, dtype=xi.dtype)])) @ view.to(xi.dtype)


def gradient(draw: Draw, shot: Shot, dtype: torch.dtype, count: int = 400) -> torch.Tensor:
    """[6] of a weighted sum of the image and alpha."""
    by_image, by_alpha = weights(shot)
    xi = torch.zeros(6, dtype=dtype, requires_grad=True)
    image, alpha = draw(leaves(cloud(count), dtype), replace(shot, view=moved(shot.view, xi)))
    ((image * by_image).sum() + (alpha * by_alpha).sum()).backward()
    assert xi.grad is not None
    return xi.grad


@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_it_agrees_with_gsplats_reference(degree, antialiased):
    """Whatever the SH degree and mode: colours change with the place that they are seen from."""
    shot = Shot(sh_degree=degree, antialiased=antialiased)
    truth = gradient(exactly, shot, torch.float64)
    assert relative_error(gradient(draws(rasterizer("cpu")), shot, torch.float32), truth) <= EXACT
    # The torch backend cuts splats off where alpha falls below 1/255 of a box; the reference has no boxes.
    assert relative_error(gradient(draws(rasterizer("torch")), shot, torch.float64), truth) <= 1e-6


def test_it_agrees_with_central_differences():
    """Numbers that no autograd had a hand in."""
    shot = Shot(width=48, height=40, antialiased=True)
    by_image, by_alpha = weights(shot)
    params, step = {key: value.double() for key, value in cloud(80).items()}, 1e-6

    def objective(xi: torch.Tensor) -> float:
        image, alpha = exactly(params, replace(shot, view=moved(shot.view, xi)))
        return float((image * by_image).sum() + (alpha * by_alpha).sum())

    ours = gradient(draws(rasterizer("cpu")), shot, torch.float32, count=80)
    for axis, step_along in enumerate(step * torch.eye(6, dtype=torch.float64)):
        measured = (objective(step_along) - objective(-step_along)) / (2 * step)
        assert abs(measured - ours[axis].item()) <= 1e-3 * float(ours.abs().max()), axis


def test_it_is_the_same_to_the_last_bit_for_any_number_of_threads():
    found = [gradient(draws(rasterizer("cpu", threads)), Shot(), torch.float32, count=3000) for threads in (1, 0, 1)]
    rasterizer("cpu")
    assert all(torch.equal(found[0], other) for other in found)


def test_a_camera_that_asks_for_none_gets_none_and_the_others_stay_the_same():
    shot, found = Shot(width=53, height=37), []
    for asked in (False, True):
        params, view = leaves(cloud(200)), shot.view.clone().requires_grad_(asked)
        image, _ = draws(rasterizer("cpu"))(params, replace(shot, view=view))
        image.square().sum().backward()
        assert (view.grad is not None) == asked
        found.append([params[key].grad for key in KEYS])
    assert all(torch.equal(one, other) for one, other in zip(*found, strict=True))
