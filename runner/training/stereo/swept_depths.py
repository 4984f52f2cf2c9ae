"""A soft pull of what is drawn to the depths of the plane sweep, where views are few.

Gaussians at wrong depths explain a picture as well as those on the surface, and of few views no other one contradicts
them; what lies between the views then falls apart. So the drawn depth is compared with the measured one where two other
images agree with that (plane_sweep.py). The weight falls by powers over the plan, as in the depth regularisation of
3DGS (Kerbl et al. 2024, "A Hierarchical 3D Gaussian Representation"): depths lead at the beginning, pictures at the
end. Measured in benchmarks/results/few_views.md.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.raster.port import Rasterizer
from runner.scene.gaussians import SH_C0
from runner.scene.views import TrainingScene
from runner.training.targets import TrainingImage

FEW_VIEWS = 30  # training views, at most, of a scene whose depths are held
EVERY = 2  # steps from one drawn depth to the next: it costs as much as a picture of its size ...
SHRINK = 2  # ... which is this much smaller than that of the step


class SweptDepths:
    """The measured depths of the training views, by view, and what they add to the loss of a step."""

    def __init__(self, scene: TrainingScene, depths: Mapping[int, NDArray[np.float32]], device: torch.device) -> None:
        """depths: by view, [h, w] along the optical axis, world units; 0 where none is known."""
        self._scene, self._device = scene, device
        self._depths = {view: depth for view, depth in depths.items() if depth.any()}
        self._ready: dict[tuple[int, int], tuple[Tensor, float]] = {}

    def pulls(self, view: int, step: int) -> bool:
        """Whether `loss` says anything of a view at a step."""
        return step % EVERY == 0 and view in self._depths

    def loss(
        self, params: Mapping[str, Tensor], rasterizer: Rasterizer, view: int, image: TrainingImage, pose: Tensor,
        divisor: int,
    ) -> Tensor:  # fmt: skip
        """Mean over the picture of |drawn - measured| / measured depth, times how much of the background is hidden.

        Pixels without a measured depth count as right. pose: [4, 4] world to camera, gets no gradient. divisor: that
        of the image.
        """
        width, height, K = max(1, image.width // SHRINK), max(1, image.height // SHRINK), image.K.clone()
        K[:2] /= SHRINK
        measured, typical = self._sampled(view, width, height, divisor * SHRINK)
        pose = pose.detach()
        ahead = (params["means"] @ pose[2, :3] + pose[2, 3]) / typical
        depth_as_colour = ((ahead[:, None].expand(-1, 3) - 0.5) / SH_C0)[:, None]
        drawn = rasterizer.render(
            {**params, "sh0": depth_as_colour, "shN": params["shN"].detach()}, pose, K, width, height,
            sh_degree=0, background=torch.zeros_like(pose[0, :3]), absgrad=False,
        )  # fmt: skip
        known = measured > 0
        apart = (drawn.image[..., 0] - drawn.alpha * measured).abs() / torch.where(known, measured, 1.0)
        return torch.where(known, apart, 0.0).mean()

    def _sampled(self, view: int, width: int, height: int, divisor: int) -> tuple[Tensor, float]:
        """[height, width] the nearest of the measured depths in units of a typical one, and that one, world units."""
        if (view, divisor) not in self._ready:
            depth, whole = self._depths[view], self._scene.views[view]
            typical = float(np.median(depth[depth > 0]))
            rows, columns = (
                np.minimum(((np.arange(count) + 0.5) * divisor * size / side).astype(int), size - 1)
                for count, side, size in zip((height, width), (whole.height, whole.width), depth.shape, strict=True)
            )
            sampled = torch.from_numpy(depth[rows[:, None], columns] / np.float32(typical))
            self._ready[view, divisor] = sampled.to(self._device), typical
        return self._ready[view, divisor]

    def state_dict(self) -> dict[str, Tensor]:
        return {f"{view:06d}": torch.from_numpy(depth) for view, depth in self._depths.items()}

    def load_state_dict(self, saved: Mapping[str, Tensor]) -> None:
        self._depths, self._ready = {int(view): depth.numpy() for view, depth in saved.items()}, {}
