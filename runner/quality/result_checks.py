"""A look at the Gaussians themselves before they are called a result: numbers, size, opacity, what the cameras see.

The limits are far beyond anything that a right scene has; what they find is a training that went wrong.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from runner.scene.gaussians import Gaussians
from runner.scene.geometry import camera_positions, centred
from runner.scene.views import View, evenly
from scenejobs.errors import Code, RunnerError

SAMPLE = 20_000  # Gaussians looked at, evenly chosen
MOST_VIEWS = 50
FAR, NEAR = 1000.0, 0.01  # median distance from the cameras' centre / size of the path; right scenes: 1.6 to 7.5
VISIBLE = 0.05  # opacity below which a Gaussian is hardly there
VISIBLE_MIN = 0.1  # share of the Gaussians that are more; right scenes: more than 0.7
SEEN_MIN = 0.5  # share that lies in the picture of any view; right scenes: 0.99


def check_result(gaussians: Gaussians, views: Sequence[View], stage: str) -> tuple[str, ...]:
    """Sentences that say what is strange about a result. Raises RunnerError(TRAINING_DIVERGED) for an empty one."""
    arrays = [values.reshape(gaussians.count, -1) for values in vars(gaussians).values()]
    finite = np.all([np.isfinite(values).all(axis=1) for values in arrays], axis=0)
    opacity = expit(gaussians.opacity_logits.astype(np.float64))
    drawn = finite & (np.nan_to_num(opacity) > 1 / 255)
    if not drawn.any():
        raise RunnerError(
            f"nothing of the {gaussians.count:,} trained Gaussians can be seen",
            code=Code.TRAINING_DIVERGED, stage=stage, advice="run it again; if it stays so, report it with the log",
        )  # fmt: skip
    found = []
    if not finite.all():
        found.append(f"{int((~finite).sum()):,} of {gaussians.count:,} Gaussians have numbers that are not finite")
    solid = float((opacity[drawn] >= VISIBLE).mean())
    if solid < VISIBLE_MIN:
        found.append(f"only {solid:.0%} of the Gaussians are more than {VISIBLE:.0%} opaque: the scene is transparent")
    return (*found, *_places(gaussians.means[drawn].astype(np.float64), views))


def _places(means: NDArray[np.float64], views: Sequence[View]) -> list[str]:
    """What is strange about where the Gaussians [N, 3] are."""
    centres = camera_positions(views)
    path = float(np.linalg.norm(centred(centres), axis=1).mean())
    sample = means[np.array(evenly(range(len(means)), SAMPLE))]
    distance = float(np.median(np.linalg.norm(sample - centres.mean(axis=0), axis=1)))
    found = []
    if not NEAR * path <= distance <= FAR * path:
        found.append(f"half of the scene is {distance / max(path, 1e-12):.3g} times as far away as the path is large")
    seen = np.zeros(len(sample), bool)
    for view in (views[index] for index in evenly(range(len(views)), MOST_VIEWS)):
        x, y, z = view.K @ (view.world_to_camera[:3, :3] @ sample.T + view.world_to_camera[:3, 3:])
        seen |= (z > 0) & (x >= 0) & (y >= 0) & (x < view.width * z) & (y < view.height * z)
    if (share := float(seen.mean())) < SEEN_MIN:
        found.append(f"the cameras see only {share:.0%} of the Gaussians")
    return found
