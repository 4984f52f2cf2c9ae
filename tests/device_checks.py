"""What must hold on every device: unit tests run these checks on the CPU, tests/gpu on a GPU with gsplat's kernels.

Each check is held against something that the device has no part in: the float64 rasteriser of tests/raster_oracle.py,
torch in float64, or a definition. Tolerances are those of float32 on a GPU, where sums have no fixed order; the CPU's
own tests are far stricter.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from runner.job.child import unexpected
from runner.postprocess.floaters import coverage
from runner.quality.evaluate import evaluate, exposure_corrected, mean_psnr
from runner.quality.metrics import psnr, ssim
from runner.raster import Rasterizer, Rendering, parameters
from runner.scene.gaussians import Gaussians
from runner.scene.progress import SILENT, Progress
from runner.training import optimiser
from runner.training.densify import DefaultDensifier
from runner.training.exposure import ExposureDrift, Exposures
from runner.training.initialise import initial_gaussians
from runner.training.loss import Target, photometric_loss, torch_loss
from runner.training.mcmc import McmcDensifier, add_position_noise
from runner.training.schedule import MCMC, Plan, Recipe
from runner.training.settings import TrainSettings
from runner.training.targets import TrainingImages, reduced
from scenejobs.errors import Code, Interrupted
from tests.raster_oracle import KEYS, Shot, cloud, dense, leaves, relative_error, weights
from tests.tiny_scene import ground_truth, tiny_scene
from tests.trainings import SETTINGS, Spoiled, run_training, step_of, stopping_after

CPU = torch.device("cpu")
COLOR = 1e-3  # a pixel differs by more than this only where a contribution of 1/255 is cut on one side
CUT_SHARE = 0.01  # of the pixels may
GRADIENT = 1e-2  # relative L2
BUFFER = 1 << 60  # bytes: more than any machine has


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
    ours, truth = image.to(device).requires_grad_(), image.double().requires_grad_()
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
    """A gain and a bias of one image are learned; those of the other stay."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(8, 8, 3, generator=generator).to(device)
    target = image * 1.1 + 0.02
    exposures = Exposures(ExposureDrift(np.zeros((2, 3), np.float32), 0.0, 0.0), device)
    for _ in range(150):
        (exposures.apply(image, 1) - target).abs().mean().backward()
        exposures.step(0.0)
    assert float((exposures.apply(image, 1) - target).abs().mean()) < 0.01
    assert torch.equal(exposures.apply(image, 0), image)


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


# ---- adding and removing Gaussians -----------------------------------------------------------------------------------


def small_gaussians(count: int) -> Gaussians:
    rng = np.random.default_rng(0)
    return Gaussians(
        means=rng.standard_normal((count, 3)).astype(np.float32),
        quats=rng.standard_normal((count, 4)).astype(np.float32),
        log_scales=np.full((count, 3), -5.0, np.float32),
        opacity_logits=rng.standard_normal(count).astype(np.float32),
        sh0=rng.standard_normal((count, 3)).astype(np.float32),
        sh_rest=np.zeros((count, 3, 3), np.float32),
    )


def after_one_step(count: int, device: torch.device) -> tuple[parameters.Parameters, optimiser.Optimizers]:
    """Parameters whose optimisers have moments."""
    params = parameters.parameters(small_gaussians(count), device)
    optimizers = optimiser.optimizers(params)
    for value in params.values():
        value.grad = torch.ones_like(value)
    optimiser.step(optimizers)
    return params, optimizers


def check_consistent(params: parameters.Parameters, optimizers: optimiser.Optimizers, count: int) -> None:
    """Every optimiser holds the parameter itself, with moments of its shape."""
    for name, optimizer in optimizers.items():
        (parameter,) = optimizer.param_groups[0]["params"]
        assert parameter is params[name]
        assert len(parameter) == count
        for moment in ("exp_avg", "exp_avg_sq"):
            assert optimizer.state[parameter][moment].shape == parameter.shape


class Screen:
    """Stands for means2d after backward: Gaussian i has a gradient of i."""

    def __init__(self, count: int, device: torch.device) -> None:
        ramp = torch.arange(count, dtype=torch.float32, device=device)
        self.grad = self.absgrad = torch.stack([ramp, torch.zeros_like(ramp)], dim=-1)[None]

    def retain_grad(self) -> None:
        """As CpuRasterizer's."""


def screen_info(count: int, device: torch.device) -> dict[str, Any]:
    return {
        "means2d": Screen(count, device), "radii": torch.ones(1, count, 2, dtype=torch.int32, device=device),
        "width": 2, "height": 2, "n_cameras": 1, "gaussian_ids": None,
    }  # fmt: skip


REFINED = Plan(600)  # is refined every 20 steps


def refine(densifier: DefaultDensifier | McmcDensifier, count: int, device: torch.device) -> None:
    """Through the first refinement of the plan."""
    step = next(step for step in range(1, 600) if densifier.refines_at(step))
    info = screen_info(count, device)
    densifier.before_backward(step, info)
    densifier.after_step(step, info, 0.0)


def check_default_growth(device: torch.device) -> None:
    """Small Gaussians of the largest gradients are cloned, up to the cap; their optimisers follow."""
    params, optimizers = after_one_step(10, device)
    before = params["means"].detach().clone()
    recipe = Recipe(grow_gradient=0.5, prune_opacity=0.0)
    densifier = DefaultDensifier(params, optimizers, REFINED, recipe, cap=13, extent=1.0)
    refine(densifier, 10, device)
    check_consistent(params, optimizers, 13)
    assert torch.equal(params["means"][10:], before[7:])


def check_default_pruning(device: torch.device) -> None:
    """Transparent Gaussians go."""
    params, optimizers = after_one_step(10, device)
    with torch.no_grad():
        params["opacities"][:4] = -20.0
        params["opacities"][4:] = 1.0
    kept = params["means"].detach()[4:].clone()
    densifier = DefaultDensifier(params, optimizers, REFINED, Recipe(grow_gradient=1e9), cap=13, extent=1.0)
    refine(densifier, 10, device)
    check_consistent(params, optimizers, 6)
    assert torch.equal(params["means"], kept)


def check_mcmc_refinement(device: torch.device) -> None:
    """The dead move onto the living, and the count grows by 5 % up to the cap."""
    torch.manual_seed(0)
    params, optimizers = after_one_step(100, device)
    with torch.no_grad():
        params["opacities"][:20] = -20.0
    places = {tuple(mean) for mean in params["means"].detach()[20:].tolist()}
    densifier = McmcDensifier(params, optimizers, REFINED, replace(MCMC, noise_lr=0.0), cap=103)
    refine(densifier, 100, device)
    check_consistent(params, optimizers, 103)
    assert {tuple(mean) for mean in params["means"].tolist()} == places
    assert float(torch.sigmoid(params["opacities"].detach()).min()) >= MCMC.prune_opacity * 0.999


def binomials() -> Tensor:
    """[51, 51] n choose k, as the MCMC strategies keep it."""
    return torch.tensor([[math.comb(n, k) for k in range(51)] for n in range(51)], dtype=torch.float64)


def check_relocation(
    relocate: Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]], table: Tensor, device: torch.device
) -> None:
    """The definition behind equation 9 of the MCMC paper: N blended copies have the line integral of the original.

    relocate: from opacities [M], scales [M, 3], copies [M] and `table`, the binomials [n, n] in the type that it wants.
    """
    opacity, scale, x = 0.7, 0.3, np.linspace(-10, 10, 200_001)
    copies = torch.tensor([1, 2, 5, 20], device=device)
    opacities, scales = relocate(
        torch.full((4,), opacity, device=device), torch.full((4, 3), scale, device=device), copies.clone(), table
    )
    before = opacity * np.exp(-(x**2) / (2 * scale**2))
    for number, new_opacity, new_scale in zip(copies.tolist(), opacities.tolist(), scales[:, 0].tolist(), strict=True):
        after = 1 - (1 - new_opacity * np.exp(-(x**2) / (2 * new_scale**2))) ** number
        assert np.trapezoid(after, x) == pytest.approx(np.trapezoid(before, x), rel=1e-3)
        assert after.max() == pytest.approx(opacity, rel=1e-4)


def check_position_noise(device: torch.device) -> None:
    """Only transparent Gaussians move, along their own shape."""
    torch.manual_seed(0)
    params = parameters.parameters(small_gaussians(2000), device)
    with torch.no_grad():
        params["means"].zero_()
        params["quats"][:] = torch.tensor([1.0, 0.0, 0.0, 0.0], device=device)
        params["scales"][:] = torch.log(torch.tensor([1.0, 0.1, 0.1], device=device))
        params["opacities"][:1000] = 5.0
        params["opacities"][1000:] = -12.0
    add_position_noise(params, scale=1.0)
    moved = params["means"].detach().cpu()
    assert float(moved[:1000].abs().max()) < 1e-6
    deviation = moved[1000:].std(dim=0) / torch.sigmoid(torch.tensor(100 * 0.005))  # the weight at opacity 0
    assert deviation.tolist() == pytest.approx([1.0, 0.01, 0.01], rel=0.1)


# ---- trainings -------------------------------------------------------------------------------------------------------


def check_training(backend: Rasterizer, settings: TrainSettings = SETTINGS) -> None:
    """A whole training: held-out views gain more than half the error, the cap holds, every value is finite."""
    scene = tiny_scene(backend)
    first = initial_gaussians(scene, cap=settings.cap, sh_degree=settings.sh_degree, opacity=0.1, scale=1.0, seed=7)
    before = mean_psnr(parameters.parameters(first, backend.device), scene, backend, "test", settings.sh_degree)
    result = run_training(scene, settings, backend)
    after = evaluate(result.gaussians, scene, backend).test.psnr
    assert before is not None
    assert after is not None
    assert after > before + 6
    assert (result.stopped, result.steps, result.rollbacks) == ("plan", settings.iterations, 0)
    assert result.history[-1].psnr_heldout == pytest.approx(after, abs=0.01)
    assert 150 < result.gaussians.count <= settings.cap
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())


def check_roll_back(backend: Rasterizer) -> None:
    """One image of NaN is left behind."""
    settings = replace(SETTINGS, iterations=60)
    result = run_training(tiny_scene(backend), settings, Spoiled(backend, lambda call: call == 30))
    assert (result.rollbacks, result.steps) == (1, 60)
    assert all(np.isfinite(array).all() for array in vars(result.gaussians).values())


def check_resumed_elsewhere(first: Rasterizer, second: Rasterizer, folder: Path, settings: TrainSettings) -> None:
    """A training that was stopped on one device goes on on the other, and ends as good as one that was not stopped."""
    scene = tiny_scene(first)
    whole = run_training(scene, settings, first)
    with pytest.raises(Interrupted):
        run_training(scene, settings, first, stopping_after(settings.iterations // 20 - 1), folder)
    steps: list[int] = []
    resumed = run_training(scene, settings, second, Progress(lambda report: steps.append(step_of(report))), folder)
    assert resumed.resumed_at == (steps[0],)
    assert steps[0] == settings.iterations // 2
    assert (resumed.stopped, resumed.steps) == ("plan", settings.iterations)
    assert [line.step for line in resumed.history] == [line.step for line in whole.history]
    scores = [evaluate(result.gaussians, scene, first).test.psnr for result in (whole, resumed)]
    assert scores[0] is not None
    assert scores[1] == pytest.approx(scores[0], abs=1.0)


def too_much(device: torch.device) -> object:
    """Asks for more memory than there is, as torch does on a GPU and numpy on the CPU."""
    if device.type == "cuda":
        return torch.empty(BUFFER, dtype=torch.uint8, device=device)
    return np.empty(BUFFER, np.uint8)


def check_out_of_memory(backend: Rasterizer, folder: Path) -> None:
    """A failed allocation in a step is our OUT_OF_MEMORY, and the same process can train with less afterwards."""
    scene, settings = tiny_scene(backend), replace(SETTINGS, iterations=30)
    full = Spoiled(backend, lambda call: call == 15, lambda: too_much(backend.device))
    with pytest.raises((MemoryError, torch.OutOfMemoryError)) as caught:
        run_training(scene, settings, full, folder=folder)
    error = unexpected(caught.value, caught.value.__traceback__, folder, "training")
    assert (error.code, error.stage) == (Code.OUT_OF_MEMORY, "training")
    assert error.advice
    smaller = run_training(scene, replace(settings, cap=settings.cap // 2), backend)
    assert smaller.steps == 30
