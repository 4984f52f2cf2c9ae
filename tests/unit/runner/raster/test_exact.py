"""Pictures and gradients of the CPU rasterisers against an independent float64 reference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from runner.raster import Rasterizer, Rendering, rasterizer
from tests.raster_oracle import KEYS, Shot, cloud, dense, leaves, relative_error, weights

EXACT = 1e-4  # relative L2 of gradients; float32 rounding gives about 2e-6


def draw(backend: Rasterizer, params: dict[str, torch.Tensor], shot: Shot, absgrad: bool = True) -> Rendering:
    return backend.render(
        params, shot.view, shot.K, shot.width, shot.height,
        sh_degree=shot.sh_degree, background=shot.background, antialiased=shot.antialiased, absgrad=absgrad,
    )  # fmt: skip


def largest(difference: torch.Tensor) -> float:
    return float(difference.detach().abs().max())


@pytest.fixture(scope="module")
def cpu() -> Rasterizer:
    return rasterizer("cpu")


@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
@pytest.mark.parametrize("degree", [0, 1, 2, 3])
def test_picture_and_all_six_gradients_agree_with_gsplats_reference(cpu, degree, antialiased):
    """Whatever the SH degree and mode, with gradients on colours and alpha, off-centre K and a background."""
    shot = Shot(sh_degree=degree, antialiased=antialiased)
    by_image, by_alpha = weights(shot)
    truth, ours = leaves(cloud(400), torch.float64), leaves(cloud(400))
    image, alpha, positions = dense(truth, shot)
    ((image * by_image).sum() + (alpha * by_alpha).sum()).backward()
    drawn = draw(cpu, ours, shot)
    ((drawn.image * by_image).sum() + (drawn.alpha * by_alpha).sum()).backward()
    assert largest(drawn.image - image) <= 1e-5
    assert largest(drawn.alpha - alpha) <= 1e-5
    for key in KEYS:
        assert relative_error(ours[key].grad, truth[key].grad) <= EXACT, key
    assert relative_error(drawn.info["means2d"].grad[0], positions.grad) <= EXACT


def test_gradients_agree_with_central_differences(cpu):
    """Numbers that no autograd had a hand in, the view dependence of colour by position included."""
    shot = Shot(width=48, height=40, antialiased=True)
    by_image, by_alpha = weights(shot)
    ours = leaves(cloud(80))
    drawn = draw(cpu, ours, shot)
    ((drawn.image * by_image).sum() + (drawn.alpha * by_alpha).sum()).backward()

    exact = {key: value.double() for key, value in cloud(80).items()}

    def objective() -> float:
        image, alpha, _ = dense(exact, shot)
        return float((image * by_image).sum() + (alpha * by_alpha).sum())

    rng = np.random.default_rng(0)
    step = 1e-6
    for key in KEYS:
        gradient, values = ours[key].grad.flatten(), exact[key].view(-1)
        steepest = torch.argsort(gradient.abs(), descending=True)[:60].numpy()
        errors = []
        for index in rng.choice(steepest, 10, replace=False):
            original = values[index].item()
            values[index] = original + step
            above = objective()
            values[index] = original - step
            below = objective()
            values[index] = original
            measured = (above - below) / (2 * step)
            errors.append(abs(measured - gradient[index].item()) / abs(measured))
        assert max(errors) <= 1e-3, key


def test_absolute_position_gradients_are_summed_pixel_by_pixel(cpu):
    """absgrad is the sum over pixels of |gradient through that pixel| (AbsGS), taken here one pixel at a time."""
    shot = Shot(width=13, height=11, focal=(14.0, 14.0))
    by_image, by_alpha = weights(shot)
    params = cloud(6, seed=5)
    image, alpha, positions = dense(leaves(params, torch.float64), shot)
    per_pixel = ((image * by_image).sum(-1) + alpha * by_alpha).flatten()
    expected = sum(torch.autograd.grad(value, positions, retain_graph=True)[0].abs() for value in per_pixel)
    drawn = draw(cpu, leaves(params), shot)
    ((drawn.image * by_image).sum() + (drawn.alpha * by_alpha).sum()).backward()
    assert relative_error(drawn.info["means2d"].absgrad[0], expected) <= EXACT


def test_without_absolute_gradients_all_others_are_the_same(cpu):
    shot = Shot(width=53, height=37)
    found = []
    for absgrad in (True, False):
        params = leaves(cloud(200))
        drawn = draw(cpu, params, shot, absgrad=absgrad)
        drawn.image.square().sum().backward()
        found.append([params[key].grad for key in KEYS] + [drawn.info["means2d"].grad])
        assert (drawn.info["means2d"].absgrad is not None) == absgrad
    for with_them, without in zip(*found, strict=True):
        assert relative_error(without, with_them) <= 1e-6


@pytest.mark.parametrize(
    "shot",
    [
        Shot(width=53, height=37),
        Shot(width=1, height=1),
        Shot(width=17, height=16, focal=(15.0, 15.0)),
        Shot(centre_offset=(-55.0, 40.0)),
        Shot(width=200, height=9),
    ],
    ids=["53x37", "1x1", "17x16", "principal point outside", "flat"],
)
def test_any_size_and_any_principal_point(cpu, shot):
    """Tiles that the picture does not fill, and cameras cut from the side of a larger picture, are exact too."""
    by_image, _ = weights(shot)
    truth, ours = leaves(cloud(200), torch.float64), leaves(cloud(200))
    image, _, _ = dense(truth, shot)
    (image * by_image).sum().backward()
    drawn = draw(cpu, ours, shot)
    (drawn.image * by_image).sum().backward()
    assert largest(drawn.image - image) <= 1e-5
    for key in KEYS:
        assert relative_error(ours[key].grad, truth[key].grad) <= EXACT, key


def test_needles_and_discs_are_drawn_whole(cpu):
    """Row spans come from the exact ellipse: thin slanted Gaussians over many tiles lose no pixel."""
    params = cloud(60, seed=7)
    params["scales"] = torch.log(torch.tensor([1.0, 0.004, 0.004])).repeat(60, 1)
    params["scales"][30:] = torch.log(torch.tensor([0.7, 0.7, 0.001]))
    shot = Shot(width=150, height=130, focal=(150.0, 150.0))
    image, _, _ = dense({key: value.double() for key, value in params.items()}, shot)
    # A conic this thin is only known to 1e-5 in float32, and a pixel at the 1/255 cut may fall on either side of it.
    difference = (draw(cpu, params, shot).image - image).abs().amax(-1)
    assert float(difference.mean()) <= 1e-5
    assert float((difference > 1e-4).float().mean()) <= 1e-3


def test_opaque_tiles_stop_early_within_the_stated_bound(cpu):
    """A tile is left when at most 1e-4 of the light passes; so no colour is off by more than 1e-4 of the brightest."""
    params = cloud(600, seed=2)
    params["opacities"] = torch.full((600,), 4.0)
    params["scales"] += 0.7
    shot = Shot()
    image, alpha, _ = dense({key: value.double() for key, value in params.items()}, shot)
    assert float(alpha[24:40, 32:48].min()) > 0.9999  # the scene really has opaque tiles
    drawn = draw(cpu, params, shot)
    brightest = float((params["sh0"].abs().max() * 0.29 + 0.5) + params["shN"].abs().sum((1, 2)).max())
    assert largest(drawn.image - image) <= 1e-4 * brightest


@pytest.mark.parametrize("antialiased", [False, True], ids=["classic", "antialiased"])
def test_the_plain_torch_backend_draws_the_same_picture_with_the_same_gradients(antialiased):
    """In float64 it is the reference to rounding; so it can be an oracle at sizes the dense one cannot hold."""
    shot = Shot(antialiased=antialiased)
    by_image, by_alpha = weights(shot)
    truth, ours = leaves(cloud(300), torch.float64), leaves(cloud(300), torch.float64)
    image, alpha, positions = dense(truth, shot)
    ((image * by_image).sum() + (alpha * by_alpha).sum()).backward()
    drawn = draw(rasterizer("torch"), ours, shot)
    drawn.info["means2d"].retain_grad()
    ((drawn.image * by_image).sum() + (drawn.alpha * by_alpha).sum()).backward()
    assert largest(drawn.image - image) <= 1e-7
    for key in KEYS:
        assert relative_error(ours[key].grad, truth[key].grad) <= 1e-6, key
    assert relative_error(drawn.info["means2d"].grad[0], positions.grad) <= 1e-6


def test_coefficients_above_the_degree_in_use_get_zero_gradients(cpu):
    """The degree rises during training; until then the higher coefficients must stay where they are."""
    shot = replace(Shot(), sh_degree=1)
    ours = leaves(cloud(50))
    draw(cpu, ours, shot).image.sum().backward()
    assert torch.count_nonzero(ours["shN"].grad[:, :3]) > 0
    assert torch.count_nonzero(ours["shN"].grad[:, 3:]) == 0
