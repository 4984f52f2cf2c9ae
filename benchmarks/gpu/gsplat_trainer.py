"""gsplat's own trainer, as far as its package goes: its strategies and kernels with the defaults of its example.

The example trainer (examples/simple_trainer.py, v1.5.3) is in no wheel, and needs packages that are in no registry.
This is its training loop written again from what it does, on our views: Gaussians on every sparse point, batch 1, L1
and SSIM with the weight 0.2 over windows inside the image, Adam per parameter (not fused), one SH degree each 1,000
steps, all of the learning rates and both strategies as they come; held line by line against the source of that tag in
November 2026. Not from it: the world is scaled as we scale it (the learning rate and the strategy are given the extent
of the cameras), images lie ready on the device, and SSIM is a convolution, as the fused kernel is in no package; both
of the latter are told in the table, since they cost and save time.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy.spatial import cKDTree

from runner.quality.metrics import blur, ssim_map
from runner.raster import Rasterizer, parameters
from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.views import TrainingScene
from runner.training.initialise import scene_extent
from runner.training.mcmc import TorchMcmcStrategy

WHOLE = 30_000  # steps of the example's schedules; 7,000 are the beginning of them
SH_EVERY = 1_000
DRY_REFINE = 25  # steps between refinements at least: each may double the Gaussians
SSIM_WEIGHT = 0.2
SEED = 42
RATES = {"scales": 5e-3, "opacities": 5e-2, "quats": 1e-3, "sh0": 2.5e-3, "shN": 2.5e-3 / 20}
RATE_MEANS, RATE_MEANS_FINAL = 1.6e-4, 0.01  # times the extent of the cameras; the share that is left at the end


@dataclass(frozen=True)
class Result:
    """What the trainer left, and how long it took."""

    gaussians: Gaussians
    wall_s: float
    psnr_by_step: tuple[tuple[int, float, float], ...]  # step, seconds, dB of the held-out views


def train(
    scene: TrainingScene, backend: Rasterizer, strategy_name: str, steps: int, *, whole: int = WHOLE, looks: int = 5
) -> Result:
    """strategy_name: "default" | "mcmc". whole: steps of the schedules (fewer for a dry run). Seconds without looks."""
    from runner.quality.evaluate import mean_psnr

    torch.manual_seed(SEED)
    train_views, device = scene.subset("train"), backend.device
    extent = scene_extent([scene.views[index] for index in train_views])
    mcmc = strategy_name == "mcmc"
    rng = np.random.default_rng(SEED)
    first = first_gaussians(scene, opacity=0.5 if mcmc else 0.1, scale=0.1 if mcmc else 1.0, rng=rng)
    params: Any = parameters.parameters(first, device)
    rates = {"means": RATE_MEANS * extent, **RATES}
    optimizers = {name: torch.optim.Adam([params[name]], lr=rates[name], eps=1e-15) for name in params}
    strategy, state = strategy_of(mcmc, extent, whole / WHOLE, device)
    background = torch.zeros(3, device=device)
    images = [torch.from_numpy(pixels).to(device) for pixels in scene.pixels]
    cameras = [
        tuple(torch.tensor(matrix, dtype=torch.float32, device=device) for matrix in (view.world_to_camera, view.K))
        for view in scene.views
    ]
    order: list[int] = []
    curve, spent_s, begun_s = [], 0.0, time.monotonic()
    for step in range(steps):
        order = order or rng.permutation(train_views).tolist()
        index = order.pop()
        view = scene.views[index]
        drawn = backend.render(
            params, *cameras[index], view.width, view.height,
            sh_degree=min(3, step * WHOLE // (SH_EVERY * whole)), background=background, absgrad=False,
        )  # fmt: skip
        if not mcmc:
            strategy.step_pre_backward(params, optimizers, state, step, drawn.info)
        loss = photometric(drawn.image, images[index].float() / 255)
        if mcmc:
            sizes = torch.exp(params["scales"]).mean() / extent  # the example's world is scaled to an extent of 1
            loss = loss + 0.01 * torch.sigmoid(params["opacities"]).mean() + 0.01 * sizes
        loss.backward()
        for optimizer in optimizers.values():
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        rate = rates["means"] * RATE_MEANS_FINAL ** (step / whole)
        optimizers["means"].param_groups[0]["lr"] = rate
        extra = {"lr": rate} if mcmc else {"packed": False}
        strategy.step_post_backward(params, optimizers, state, step, drawn.info, **extra)
        if (step + 1) % max(1, steps // looks) == 0:
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            spent_s += time.monotonic() - begun_s
            curve.append((step + 1, spent_s, mean_psnr(params, scene, backend, "test", 3) or 0.0))
            begun_s = time.monotonic()
    return Result(parameters.to_gaussians(params), spent_s, tuple(curve))


def first_gaussians(scene: TrainingScene, *, opacity: float, scale: float, rng: np.random.Generator) -> Gaussians:
    """One on every sparse point, as wide as the root mean square distance to the three nearest others times `scale`."""
    means = scene.points.astype(np.float32)
    distances, _ = cKDTree(means).query(means, 4)
    spacing = np.sqrt((distances[:, 1:] ** 2).mean(axis=1))
    log_scales = np.log(np.maximum(spacing * scale, 1e-12))  # two points in one place: the example's has no end there
    count = len(means)
    return Gaussians(
        means=means,
        quats=rng.random((count, 4), np.float32),
        log_scales=np.repeat(log_scales[:, None], 3, axis=1).astype(np.float32),
        opacity_logits=np.full(count, np.log(opacity / (1 - opacity)), np.float32),
        sh0=((scene.colors.astype(np.float32) / 255 - 0.5) / SH_C0),
        sh_rest=np.zeros((count, 15, 3), np.float32),
    )


def strategy_of(mcmc: bool, extent: float, factor: float, device: torch.device) -> tuple[Any, dict[str, Any]]:
    """A strategy of gsplat with its defaults and its state. factor: of its schedule's steps, 1 but in a dry run."""
    from gsplat.strategy import DefaultStrategy, MCMCStrategy

    if mcmc:
        strategy: Any = (MCMCStrategy if device.type == "cuda" else TorchMcmcStrategy)()
    else:
        strategy = DefaultStrategy()
        strategy.reset_every = max(1, round(strategy.reset_every * factor))
    for name, least in (("refine_start_iter", 1), ("refine_stop_iter", 1), ("refine_every", DRY_REFINE)):
        setattr(strategy, name, max(least, round(getattr(strategy, name) * factor)))
    return strategy, strategy.initialize_state() if mcmc else strategy.initialize_state(scene_scale=extent)


def photometric(image: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """0.8 L1 + 0.2 (1 - SSIM), the example's, with the moments of the target computed each time, as there."""
    x, y = image.permute(2, 0, 1), target.permute(2, 0, 1)
    padding = 0 if min(image.shape[:2]) > 10 else 5
    similarity = ssim_map(*blur(torch.stack([x, x * x, x * y, y, y * y]), padding=padding)).mean()
    return (1 - SSIM_WEIGHT) * (image - target).abs().mean() + SSIM_WEIGHT * (1 - similarity)
