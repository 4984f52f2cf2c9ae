"""Looks, while training, at what moves in the training views (moving.py), and leaves it out of the loss.

Each look tells it anew, so what was left out in error comes back. Where nothing moves nothing changes, to the last bit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from runner.raster.port import Rasterizer
from runner.scene.views import View
from runner.training import schedule
from runner.training.moving import Compared, moving_regions
from runner.training.start import Run
from runner.training.state import TrainingState
from runner.training.targets import TrainingImage
from scenejobs.filming import PAGE, Section

LOOKS = (0.15, 0.4)  # shares of the plan; four looks win 0.1 to 0.4 dB more, at twice the price
STEPS_PER_VIEW = 10  # of the plan at least: a look draws every training view twice, at half the size
COLUMNS = 48  # blocks along the long side of an image
MOSTLY = 0.5  # of a block that is not masked
OPAQUE = 0.6  # alpha of a block that shows a surface
SH0 = 0.28209479177387814  # spherical harmonic of degree 0


def is_due(run: Run, state: TrainingState, before: int) -> bool:
    """Whether a look lies between the step `before` and now, and the plan is long enough to pay for it."""
    if state.plan.steps < STEPS_PER_VIEW * len(run.train_views):
        return False
    return any(state.plan.share(before) < share <= state.plan.share(state.step) for share in LOOKS)


@torch.no_grad()
def look(run: Run, state: TrainingState) -> None:
    """Tells anew what moves in the training views, and leaves it out of the loss from here on."""
    share = state.plan.share(state.step)
    degree = schedule.active_sh_degree(share, run.recipe, run.settings.sh_degree)
    divisor = max(2, schedule.downscale(share, run.recipe))
    run.images.leave_out({})  # what was left out is looked at again
    compared = [_compared(run, state, index, run.images.get(index, divisor), degree) for index in run.train_views]
    found = zip(run.train_views, moving_regions(compared), strict=True)
    state.moving = {index: torch.from_numpy(regions) for index, regions in found if regions.any()}
    leave_out(run, state)


def leave_out(run: Run, state: TrainingState) -> None:
    """Gives the training images the masks of the state: after a look, a resume, a rollback."""
    run.images.leave_out(
        {index: used_pixels(regions.numpy(), run.scene.views[index]) for index, regions in state.moving.items()}
    )


def share(run: Run, state: TrainingState) -> float:
    """Of all training images, what is left out."""
    return float(sum(regions.float().mean() for regions in state.moving.values())) / len(run.train_views)


def warnings(share: float) -> tuple[str, ...]:
    """share: of all training images, what is left out."""
    if not share:
        return ()
    return (
        f"something moves while it is filmed (people, cars): {share:.0%} of the pictures is left out of training, and "
        f"what is behind it may be missing; wait until the place is empty ({PAGE}#{Section.STILL_THINGS})",
    )


def used_pixels(regions: NDArray[np.bool_], view: View) -> NDArray[np.bool_]:
    """[height, width] of the view, True where a pixel is used. regions [h, w]: blocks that move."""
    rows, columns = (
        np.arange(size) * count // size for size, count in zip((view.height, view.width), regions.shape, strict=True)
    )
    used: NDArray[np.bool_] = ~regions[rows][:, columns]
    return used


def _compared(run: Run, state: TrainingState, index: int, image: TrainingImage, degree: int) -> Compared:
    black, view = run.background, run.scene.views[index]
    pose = image.world_to_camera
    if state.cameras and state.cameras.moves(index):
        pose = state.cameras.pose(index).float()
        view = replace(view, world_to_camera=pose.double().cpu().numpy())
    camera = (pose, image.K, image.width, image.height)
    drawn = run.rasterizer.render(state.params, *camera, sh_degree=degree, background=black).image
    drawn = state.exposures.apply(drawn, index) if state.exposures else drawn
    z, alpha = _depth(state.params, run.rasterizer, camera, black)
    grid = grid_of(image.width, image.height)
    apart = _blocks(image.compared(drawn.clamp(0, 1)) - image.target.image, grid)
    compares = np.ones(grid, bool)  # blocks that are not masked: a masked one neither explains nor contradicts
    if image.used is not None:
        compares = _blocks(image.used.float(), grid)[..., 0] > MOSTLY
    if compares.any():
        apart -= np.median(apart[compares], axis=0)  # the exposure of the whole image
    opacity, summed = _blocks(alpha[..., None], grid)[..., 0], _blocks(z[..., None], grid)[..., 0]
    depth = np.where((opacity > OPAQUE) & compares, summed / np.maximum(opacity, 1e-6), 0).astype(np.float32)
    return Compared(view, np.abs(apart).max(axis=-1), depth)


def grid_of(width: int, height: int) -> tuple[int, int]:
    """Rows and columns of blocks."""
    block = max(width, height) / COLUMNS
    return max(1, round(height / block)), max(1, round(width / block))


def _depth(
    params: Mapping[str, Tensor], rasterizer: Rasterizer, camera: tuple[Tensor, Tensor, int, int], black: Tensor
) -> tuple[Tensor, Tensor]:
    """Depth times alpha, and alpha, each [H, W]: the depth is drawn as if it were a colour."""
    pose = camera[0]
    z = (params["means"] @ pose[2, :3] + pose[2, 3]).clamp_min(0)
    colours = ((z - 0.5) / SH0)[:, None, None].expand(-1, 1, 3).contiguous()
    drawn = rasterizer.render({**params, "sh0": colours}, *camera, sh_degree=0, background=black)
    return drawn.image[..., 0], drawn.alpha


def _blocks(image: Tensor, grid: tuple[int, int]) -> NDArray[np.float32]:
    """[h, w, C] means of blocks of an image [H, W, C]."""
    means: NDArray[np.float32] = adaptive_avg_pool2d(image.permute(2, 0, 1), grid).permute(1, 2, 0).cpu().numpy()
    return means
