"""The training cameras, moved while the Gaussians are trained, by the pictures and by what structure-from-motion saw.

Each camera has six numbers in pixels (runner/scene/camera_motion.py) and an Adam of its own, as BARF (Lin et al. 2021)
refines poses. The pictures' loss alone drifts: a blurred scene and moved cameras explain each other. So the sparse
points that a camera saw pull on it with a small robust weight (tracks.py), and where both agree it moves.

The gauge. A motion or a scale of all cameras together changes nothing but the place of the scene in the world, which
the held-out cameras know. So after every step the seven directions of similarities are taken out of the motions, to
first order, which is exact for motions of pixels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from runner.scene.camera_motion import Seen, exponential, seen_by
from runner.scene.geometry import camera_positions
from runner.scene.views import TrainingScene
from runner.training.cameras.tracks import Tracks

BEGIN = 0.15  # share of the plan: the coarse pictures are done, and what they show has formed
RATE_PX = 0.2  # Adam, per visit of a camera
RATE_FINAL = 0.1  # of it, reached exponentially at the end
TRACK_WEIGHT = 0.1  # of the mean robust reprojection error in pixels, beside the loss of the picture
BETA1, BETA2, EPS = 0.9, 0.99, 1e-12
Array = NDArray[np.float64]


class RefinedCameras:
    """The motions of all training cameras that enough sparse points hold; the others stay where they are."""

    def __init__(self, scene: TrainingScene, device: torch.device) -> None:
        found = {index: seen for index in scene.subset("train") if (seen := seen_by(scene, index)) is not None}
        self._images = [scene.views[index].image for index in found]
        self._row = {index: row for row, index in enumerate(found)}

        def tensor(values: NDArray[Any]) -> Tensor:
            return torch.tensor(values, dtype=torch.float64, device=device)

        poses = [scene.views[index].world_to_camera for index in found]
        self._poses = tensor(np.array(poses).reshape(-1, 4, 4))
        self._motions = tensor(np.array([seen.motions for seen in found.values()]).reshape(-1, 6, 6))
        self._gauge = tensor(_gauge(scene, found))
        self._tracks = Tracks(found, device)
        count = len(found)
        self.values = {
            "pixels": tensor(np.zeros((count, 6))),
            "first": tensor(np.zeros((count, 6))),  # moments of Adam
            "second": tensor(np.zeros((count, 6))),
            "visits": tensor(np.zeros(count)),
            "points": tensor(scene.points),
        }
        self._leaf: Tensor | None = None
        self._view = -1

    def moves(self, view: int, share: float = 1.0) -> bool:
        """Whether a view's camera is refined, `share` of the plan done; without it: whether it is at any time."""
        return share >= BEGIN and view in self._row

    def pose(self, view: int) -> Tensor:
        """[4, 4] float64 world to camera, with a gradient for `step`, which goes to this view."""
        row = self._row[view]
        self._view, self._leaf = view, self.values["pixels"][row].clone().requires_grad_()
        return exponential(self._motions[row] @ self._leaf) @ self._poses[row]

    def track_loss(self, view: int, pose: Tensor) -> Tensor:
        """What is added to the loss of a picture, for the pose of its camera."""
        return TRACK_WEIGHT * self._tracks.loss(self._row[view], pose, self.values["points"])

    @torch.no_grad()
    def step(self, share: float, factor: float = 1.0) -> None:
        """One Adam step of the camera that `pose` was asked for last. share: of the plan; factor: of the rate."""
        if self._leaf is None or self._leaf.grad is None:
            raise ValueError("there is no gradient: call pose(), then backward()")
        grad, row = self._leaf.grad, self._row[self._view]
        self._leaf = None
        values = self.values
        values["visits"][row] += 1
        visits = values["visits"][row]
        mean = values["first"][row].lerp_(grad, 1 - BETA1) / (1 - BETA1**visits)
        square = values["second"][row].lerp_(grad * grad, 1 - BETA2) / (1 - BETA2**visits)
        values["pixels"][row] -= factor * RATE_PX * RATE_FINAL**share * mean / (square.sqrt() + EPS)
        flat = values["pixels"].view(-1)
        flat -= self._gauge @ (self._gauge.T @ flat)
        if row == 0:  # once an epoch
            self._tracks.move_points(values["points"], self._moved_poses())

    @torch.no_grad()
    def poses(self) -> dict[str, Array]:
        """World to camera [4, 4] by image, where the cameras are now."""
        return dict(zip(self._images, self._moved_poses().cpu().numpy(), strict=True))

    def state_dict(self) -> dict[str, Tensor]:
        return dict(self.values)

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        for name, own in self.values.items():
            own.copy_(state[name])

    def _moved_poses(self) -> Tensor:
        """[T, 4, 4] where the cameras are now."""
        xi = (self._motions @ self.values["pixels"][..., None])[..., 0]
        return exponential(xi) @ self._poses


def _gauge(scene: TrainingScene, found: Mapping[int, Seen]) -> Array:
    """[6 T, 7] orthonormal: what a motion of the world, and its growth about the cameras' middle, are in pixels of each
    camera. A camera exp(xi) W with xi = Ad(W) eta sees a world that was moved by eta the same."""
    if not found:
        return np.zeros((0, 7))
    middle = camera_positions([scene.views[index] for index in found]).mean(axis=0)
    directions = []
    for index, seen in found.items():
        pose = scene.views[index].world_to_camera
        rotation, centre = pose[:3, :3], -pose[:3, :3].T @ pose[:3, 3] - middle
        skew = np.array([[0, -centre[2], centre[1]], [centre[2], 0, -centre[0]], [-centre[1], centre[0], 0]])
        xi = np.zeros((6, 7))
        xi[:3, :3] = rotation  # turns of the world about the middle: the axes turn ...
        xi[3:, :3] = -rotation @ skew  # ... and the centre goes around: x + axis x (centre - middle)
        xi[3:, 3:6] = rotation
        xi[3:, 6] = rotation @ centre
        directions.append(np.linalg.solve(seen.motions, xi))
    basis: Array = np.linalg.qr(np.concatenate(directions))[0]
    return basis
