"""How good trained Gaussians are on views they were, or were not, trained on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from runner.quality.lpips import Lpips
from runner.quality.metrics import psnr, ssim
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene, View


@dataclass(frozen=True)
class ViewScore:
    """How one rendered view compares with its image."""

    image: str  # View.image
    psnr: float  # dB, of values clamped to 0..1
    ssim: float
    psnr_corrected: float  # dB, after `exposure_corrected`: the exposure is taken from the image itself
    lpips: float | None = None  # 0: equal; None without weights, and for images too small for it


@dataclass(frozen=True)
class SplitScore:
    """Scores of one split. Means are over views (dB averaged as dB, the usual way in the literature)."""

    views: tuple[ViewScore, ...]

    @property
    def psnr(self) -> float | None:
        """Mean, dB; None without views."""
        return _mean([view.psnr for view in self.views])

    @property
    def psnr_corrected(self) -> float | None:
        """Mean, dB, of every view after a gain and a bias fitted to its own image. Never to be mixed with `psnr`."""
        return _mean([view.psnr_corrected for view in self.views])

    @property
    def ssim(self) -> float | None:
        return _mean([view.ssim for view in self.views])

    @property
    def lpips(self) -> float | None:
        """Mean; None unless every view has one: a mean of other views than PSNR's would not stand beside it."""
        values = [view.lpips for view in self.views if view.lpips is not None]
        return _mean(values) if len(values) == len(self.views) else None

    def worst(self, count: int = 3) -> tuple[ViewScore, ...]:
        """The views of lowest PSNR, worst first."""
        return tuple(sorted(self.views, key=lambda view: view.psnr)[:count])

    def best(self) -> ViewScore | None:
        """The view of highest PSNR."""
        return max(self.views, key=lambda view: view.psnr, default=None)

    def median(self) -> ViewScore | None:
        """The view in the middle by PSNR (the lower one of two)."""
        ranked = sorted(self.views, key=lambda view: view.psnr)
        return ranked[(len(ranked) - 1) // 2] if ranked else None


@dataclass(frozen=True)
class Evaluation:
    """Scores of both splits."""

    train: SplitScore
    test: SplitScore

    @property
    def gap_db(self) -> float | None:
        """Train PSNR minus test PSNR: large values mean overfitting, or test views that nothing else sees."""
        if self.train.psnr is None or self.test.psnr is None:
            return None
        return self.train.psnr - self.test.psnr


def evaluate(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, lpips: Lpips | None = None
) -> Evaluation:
    """Score all views of both splits, at the size of the scene's images. lpips: on the rasteriser's device.

    Rendered as the exported PLY will be seen by viewers: black background, full SH degree, not antialiased.
    """
    params = parameters.parameters(gaussians, rasterizer.device)
    return Evaluation(*(score_split(params, scene, rasterizer, split, lpips=lpips) for split in ("train", "test")))


def score_split(
    params: Mapping[str, Tensor],
    scene: TrainingScene,
    rasterizer: Rasterizer,
    split: str,
    sh_degree: int | None = None,
    lpips: Lpips | None = None,
) -> SplitScore:
    """Scores of the views of one split ("train" | "test")."""
    scores = []
    for index in scene.subset(split):
        truth = _truth(scene, index, rasterizer.device)
        image = render_view(params, scene.views[index], rasterizer, sh_degree)
        used = used_pixels(scene, index, rasterizer.device)
        corrected = psnr(exposure_corrected(image, truth, used), truth, used)
        apart = masked_lpips(lpips, image, truth, used) if lpips else None
        scores.append(
            ViewScore(
                scene.views[index].image, psnr(image, truth, used), ssim(image, truth, used), corrected, apart
            )
        )  # fmt: skip
    return SplitScore(tuple(scores))


def used_pixels(scene: TrainingScene, index: int, device: torch.device) -> Tensor | None:
    """[H, W] bool: which pixels of a view count; None: all of them."""
    mask = scene.mask(index)
    return None if mask is None else torch.from_numpy(mask).to(device)


def masked_lpips(lpips: Lpips, image: Tensor, truth: Tensor, used: Tensor | None) -> float | None:
    """LPIPS over the pixels that count: the others are made equal, and the mean is taken over the rest."""
    if used is None:
        return lpips(image, truth)
    share = float(used.double().mean())
    apart = lpips(torch.where(used[..., None], image, truth), truth)
    return None if apart is None or not share else apart / share


def exposure_corrected(image: Tensor, truth: Tensor, used: Tensor | None = None) -> Tensor:
    """The rendering with the gain and bias per channel that bring it nearest to its image; [H, W, 3] 0..1.

    Six numbers fitted to the image that is scored: what is left is not a matter of exposure or white balance.
    used: [H, W] bool, the pixels that they are fitted to; None: all of them.
    """
    whole, dims = image.double(), (0, 1) if used is None else (0,)
    x, y = (whole, truth.double()) if used is None else (whole[used], truth.double()[used])
    mean_x, mean_y = x.mean(dim=dims), y.mean(dim=dims)
    variance = (x - mean_x).square().mean(dim=dims)
    gain = ((x - mean_x) * (y - mean_y)).mean(dim=dims) / variance.clamp_min(1e-12)
    return (gain * (whole - mean_x) + mean_y).clamp(0.0, 1.0)


def mean_psnr(
    params: Mapping[str, Tensor], scene: TrainingScene, rasterizer: Rasterizer, split: str, sh_degree: int
) -> float | None:
    """Mean PSNR in dB of one split, without the cost of SSIM; None when the split has no views."""
    device = rasterizer.device
    values = [
        psnr(render_view(params, scene.views[i], rasterizer, sh_degree), _truth(scene, i, device),
             used_pixels(scene, i, device))
        for i in scene.subset(split)
    ]  # fmt: skip
    return float(np.mean(values)) if values else None


@torch.no_grad()
def render_view(
    params: Mapping[str, Tensor], view: View, rasterizer: Rasterizer, sh_degree: int | None = None
) -> Tensor:
    """[H, W, 3] 0..1 on a black background. `sh_degree`: None for all the parameters have."""
    device = rasterizer.device
    most = round((params["shN"].shape[1] + 1) ** 0.5) - 1
    rendering = rasterizer.render(
        params,
        torch.tensor(view.world_to_camera, dtype=torch.float32, device=device),
        torch.tensor(view.K, dtype=torch.float32, device=device),
        view.width,
        view.height,
        sh_degree=most if sh_degree is None else sh_degree,
        background=torch.zeros(3, device=device),
    )
    return rendering.image.clamp(0.0, 1.0)


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _truth(scene: TrainingScene, index: int, device: torch.device) -> Tensor:
    """[H, W, 3] float 0..1."""
    return torch.from_numpy(scene.pixels[index]).to(device).float() / 255
