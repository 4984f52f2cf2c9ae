"""An extra score: held-out pictures as their cameras see them after each was moved to fit its own picture.

It says how good the scene is where the held-out camera is wrong by a pixel. It is no held-out score any more: the
picture that is scored had a say in where it is looked at from (six numbers), as is usual where poses are refined (BARF,
Lin et al. 2021). So it stands beside the honest score, and never in its place.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from runner.quality.evaluate import SplitScore, score_split, used_pixels
from runner.raster import parameters
from runner.raster.port import Rasterizer
from runner.scene.camera_motion import exponential, seen_by
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene, View

STEPS = 40  # of Adam, for each held-out picture
RATE_PX, RATE_FINAL = 0.15, 0.1  # the first one; the last one / the first one


def score_refined(gaussians: Gaussians, scene: TrainingScene, rasterizer: Rasterizer) -> SplitScore:
    """Scores of the held-out views with their cameras refined; those that too few points hold stay where they are."""
    params = {name: value.detach() for name, value in parameters.parameters(gaussians, rasterizer.device).items()}
    views = list(scene.views)
    for index in scene.subset("test"):
        views[index] = _refined(params, scene, index, rasterizer)
    return score_split(params, replace(scene, views=tuple(views)), rasterizer, "test")


def _refined(params: dict[str, torch.Tensor], scene: TrainingScene, index: int, rasterizer: Rasterizer) -> View:
    """The view whose camera makes the mean absolute difference to its picture smallest, nearby."""
    view, seen, device = scene.views[index], seen_by(scene, index), rasterizer.device
    if seen is None:
        return view
    truth = torch.from_numpy(scene.pixels[index]).to(device).float() / 255
    used = used_pixels(scene, index, device)
    degree = round((params["shN"].shape[1] + 1) ** 0.5) - 1
    K, black = torch.tensor(view.K, dtype=torch.float32, device=device), torch.zeros(3, device=device)
    motions, pose = (torch.tensor(each, device=device) for each in (seen.motions, view.world_to_camera))
    pixels = torch.zeros(6, dtype=torch.float64, device=device, requires_grad=True)
    adam = torch.optim.Adam([pixels], lr=RATE_PX, betas=(0.9, 0.99))
    rate = torch.optim.lr_scheduler.ExponentialLR(adam, RATE_FINAL ** (1 / STEPS))
    for _ in range(STEPS):
        moved = (exponential(motions @ pixels) @ pose).float()
        image = rasterizer.render(
            params, moved, K, view.width, view.height, sh_degree=degree, background=black, absgrad=False
        ).image.clamp(0.0, 1.0)
        apart = (image - truth).abs() if used is None else (image - truth).abs()[used]
        adam.zero_grad()
        apart.mean().backward()
        adam.step()
        rate.step()
    motion = exponential(motions @ pixels.detach()).cpu().numpy()
    return replace(view, world_to_camera=motion @ view.world_to_camera)
