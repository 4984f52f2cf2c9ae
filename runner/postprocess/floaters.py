"""Floaters removed in steps, each kept only if the images stay as good.

What a step would remove follows from numbers that have no unit of length (angles, shares, pixels), so they mean the
same in every scene. A step begins with its strictest limit and goes to milder ones; the first that costs nothing is
kept, and when none does, the step removes nothing. "Costs nothing" is measured: all steps together may cost 0.05 dB on
the held-out views, as much on a sample of the training views, and no single view may pay for the others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from scipy.special import expit

from runner.quality.evaluate import render_view, used_pixels
from runner.quality.metrics import psnr
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.geometry import camera_positions
from runner.scene.progress import Progress
from runner.scene.views import TrainingScene, View, evenly

STAGE = "clean_up"
MAX_LOSS_DB = 0.05  # of the mean, all steps together
MAX_VIEW_LOSS_DB = 0.5  # of any single view
TRAIN_SAMPLE = 10  # training views measured beside the held-out ones: what only they see is guarded, too
NEIGHBOURS = 4
HIDDEN_LOGIT = -1e4  # an opacity of exactly 0: no rasteriser draws such a Gaussian, nor counts it
GAUSSIANS_AT_ONCE = 1 << 16  # whose distances to a camera are computed together: they stay in a cache
NEAR_PERCENTILE = 2.0  # of the depths of the sparse points a camera sees: where its scene begins

# Limits from strict to mild. Opacity 1/255 and no pixel are exact: such Gaussians are not drawn anywhere.
LIMITS = {
    "transparent": (0.05, 0.02, 1 / 255),  # opacity, below
    "huge": (0.5, 1.0, 2.0),  # largest standard deviation / distance of the nearest camera, above
    "isolated": (0.15, 0.3, 0.6),  # distance of the 4th neighbour / distance of the nearest camera, above
    "near a camera": (0.5, 0.25, 0.1),  # distance of a camera / depth where its scene begins, below
    "unseen": (1.0, 0.1, 1e-6),  # pixels covered in all training views together, occlusion counted, below
}


@dataclass(frozen=True)
class Features:
    """What a floater is recognised by, per Gaussian; all [N]."""

    opacity: NDArray[np.float64]  # 0..1
    size: NDArray[np.float64]  # largest standard deviation / distance of the nearest camera
    gap: NDArray[np.float64]  # distance of the 4th neighbour / distance of the nearest camera
    nearness: NDArray[np.float64]  # smallest distance of a camera / depth where the scene of that camera begins
    covered_px: NDArray[np.float64]  # pixels it fills in all training views together, as blended


@dataclass(frozen=True)
class Quality:
    """PSNR of the measured views."""

    heldout: tuple[float, ...]  # dB per held-out view
    train: tuple[float, ...]  # dB per view of the sample of training views


@dataclass(frozen=True)
class Step:
    """What became of one step."""

    name: str  # a key of LIMITS
    removed: int  # Gaussians; 0: nothing to remove, or every limit cost too much
    limit: float | None  # the one that was kept
    db: float | None  # change of the mean PSNR by this step; None: nothing was tried
    refused: int  # limits that cost too much


@dataclass(frozen=True)
class CleanReport:
    """What cleaning did, for metrics and report."""

    before: int  # Gaussians
    after: int
    measured_on: str  # "held-out" | "training": whose mean `db` of the steps is
    psnr_before: float | None
    psnr_after: float | None
    steps: tuple[Step, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


Measure = Callable[[NDArray[np.bool_]], Quality]


def clean(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, progress: Progress
) -> tuple[Gaussians, CleanReport]:
    """The scene without its floaters. Deterministic. Raises Interrupted."""
    features = measure_features(gaussians, scene, rasterizer, progress)
    chosen = [*scene.subset("test"), *evenly(scene.subset("train"), TRAIN_SAMPLE)]

    device = rasterizer.device
    params: Mapping[str, torch.Tensor] = parameters.parameters(gaussians, device)
    truths = {index: torch.from_numpy(scene.pixels[index]).to(device) for index in chosen}

    def measure(keep: NDArray[np.bool_]) -> Quality:
        kept = torch.from_numpy(keep).to(device)
        shown = {**params, "opacities": torch.where(kept, params["opacities"].detach(), HIDDEN_LOGIT)}
        values: dict[str, list[float]] = {"test": [], "train": []}
        for index in chosen:
            progress.check(STAGE)
            truth = truths[index].float() / 255
            image = render_view(shown, scene.views[index], rasterizer)
            used = used_pixels(scene, index, device)
            values[scene.views[index].split].append(psnr(image, truth, used))
        return Quality(tuple(values["test"]), tuple(values["train"]))

    keep, report = remove_in_steps(features, measure)
    return gaussians.subset(keep), report


def remove_in_steps(features: Features, measure: Measure) -> tuple[NDArray[np.bool_], CleanReport]:
    """The loop itself: which Gaussians stay [N]. `measure` draws what a mask keeps and compares with the images."""
    keep = np.ones(len(features.opacity), bool)
    before = last = measure(keep)
    steps = []
    for name, limits in LIMITS.items():
        step = Step(name, 0, None, None, 0)
        for limit in limits:
            left = keep & ~suspects(features, name, limit)
            removed = int(keep.sum() - left.sum())
            if removed == 0 or not left.any():
                continue
            now = measure(left)
            if acceptable(before, now):
                step = replace(step, removed=removed, limit=limit, db=_mean(now) - _mean(last))
                keep, last = left, now
                break
            step = replace(step, refused=step.refused + 1)
        steps.append(step)
    on = "held-out" if before.heldout else "training"
    count = len(keep)
    measured = bool(before.heldout or before.train)
    report = CleanReport(
        count, int(keep.sum()), on, _mean(before) if measured else None, _mean(last) if measured else None, tuple(steps)
    )
    return keep, report


def suspects(features: Features, name: str, limit: float) -> NDArray[np.bool_]:
    """Pure: [N] what a step would remove at this limit."""
    match name:
        case "transparent":
            return features.opacity < limit
        case "huge":
            return features.size > limit
        case "isolated":
            return features.gap > limit
        case "near a camera":
            return features.nearness < limit
        case "unseen":
            return features.covered_px < limit
    raise ValueError(f"no step is called {name!r}")


def acceptable(before: Quality, now: Quality) -> bool:
    """Pure: may a step be kept? Compared with the scene before all steps. Nothing measured is nothing allowed."""
    groups = [(before.heldout, now.heldout), (before.train, now.train)]
    losses = [np.subtract(old, new) for old, new in groups if old]
    if not losses:
        return False
    return all(loss.mean() <= MAX_LOSS_DB and loss.max() <= MAX_VIEW_LOSS_DB for loss in losses)


def measure_features(
    gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer, progress: Progress
) -> Features:
    """Neighbours and cameras by search trees, coverage by drawing every training view once."""
    train = scene.subset("train")
    views = [scene.views[index] for index in train]
    centers = camera_positions(views)
    means = gaussians.means.astype(np.float64)
    distance = cKDTree(centers).query(means, workers=-1)[0] if len(centers) else np.full(len(means), np.inf)
    distance = np.maximum(distance, 1e-9)
    count = min(NEIGHBOURS + 1, len(means))
    neighbours = cKDTree(means).query(means, k=[count], workers=-1)[0][:, 0]  # the first neighbour is itself
    begins = [scene_begins(view, scene.points) for view in views]
    told = [number for number, each in enumerate(begins) if each is not None]
    depths = np.array([begins[number] for number in told], float)
    return Features(
        opacity=expit(gaussians.opacity_logits.astype(np.float64)),
        size=np.exp(gaussians.log_scales.max(axis=1).astype(np.float64)) / distance,
        gap=neighbours / distance,
        nearness=nearness(means, centers[told], depths, rasterizer.device),
        covered_px=coverage(gaussians, views, rasterizer, progress, [scene.mask(index) for index in train]),
    )


def nearness(
    means: NDArray[np.float64], centers: NDArray[np.float64], begins: NDArray[np.float64], device: torch.device
) -> NDArray[np.float64]:
    """[N] the smallest distance of a camera / depth where the scene of that camera begins; infinite without cameras.

    means [N, 3], centers [V, 3], begins [V], world units. On the device, in float64.
    """
    squares = []
    places = [(*center, 1.0 / depth**2) for center, depth in zip(centers.tolist(), begins.tolist(), strict=True)]
    for part in torch.from_numpy(means).to(device).split(GAUSSIANS_AT_ONCE):
        x, y, z = part.T.contiguous()
        least = torch.full_like(x, torch.inf)
        for cx, cy, cz, scale in places:
            square = (x - cx).square_()
            square.add_((y - cy).square_()).add_((z - cz).square_()).mul_(scale)
            torch.minimum(least, square, out=least)
        squares.append(least)
    return torch.cat(squares).sqrt_().cpu().numpy() if squares else np.full(len(means), np.inf)


def scene_begins(view: View, points: NDArray[np.float32]) -> float | None:
    """The depth before which (almost) nothing of the sparse model lies in the view; None when it sees too little."""
    x, y, z = view.world_to_camera[:3, :3] @ points.T + view.world_to_camera[:3, 3:]
    ahead = z > 1e-6
    u, v = (view.K[:2] @ np.stack([x[ahead], y[ahead], z[ahead]])) / z[ahead]
    inside = (u >= 0) & (v >= 0) & (u < view.width) & (v < view.height)
    return float(np.percentile(z[ahead][inside], NEAR_PERCENTILE)) if inside.sum() >= 20 else None


def coverage(
    gaussians: Gaussians, views: Sequence[View], rasterizer: Rasterizer, progress: Progress,
    masks: Sequence[NDArray[np.bool_] | None] = (),
) -> NDArray[np.float64]:  # fmt: skip
    """[N] pixels each fills in all views together: the sum of its blending weights, which is what the sum of an image
    changes by per unit of its colour. So the gradient of any rasteriser holds it, occlusion included.

    masks: of each view, see TrainingScene.masks: what is seen in ignored pixels only counts as unseen.
    """
    grey = replace(
        gaussians,
        sh0=np.zeros_like(gaussians.sh0),  # half grey: no colour is clamped, so every gradient passes
        sh_rest=np.zeros((gaussians.count, 0, 3), np.float32),
    )
    params = parameters.parameters(grey, rasterizer.device)
    black = torch.zeros(3, device=rasterizer.device)
    for view, mask in zip(views, masks or [None] * len(views), strict=True):
        progress.check(STAGE)
        pose = torch.tensor(view.world_to_camera, dtype=torch.float32, device=rasterizer.device)
        K = torch.tensor(view.K, dtype=torch.float32, device=rasterizer.device)
        drawn = rasterizer.render(
            params, pose, K, view.width, view.height, sh_degree=0, background=black, absgrad=False
        )
        grey_levels = drawn.image[..., 0]
        if mask is not None:
            grey_levels = grey_levels[torch.from_numpy(mask).to(rasterizer.device)]
        grey_levels.sum().backward()  # adds to the gradients of the views before
    gradient = params["sh0"].grad
    if gradient is None:
        return np.zeros(gaussians.count)
    return gradient[:, 0, 0].detach().cpu().numpy().astype(np.float64) / SH_C0


def _mean(quality: Quality) -> float:
    return float(np.mean(quality.heldout or quality.train or [np.nan]))
