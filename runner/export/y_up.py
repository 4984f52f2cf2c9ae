"""The axes of the formats whose y is up and that look along -z (.spz, .glb); ours have y down and z ahead, as PLY."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from runner.export.validity import require_some
from runner.scene.gaussians import Gaussians
from runner.scene.rotate import rotate_gaussians

HALF_TURN = np.diag([1.0, -1.0, -1.0])  # around x; back again as well


def kept_with_y_up(gaussians: Gaussians, keep: NDArray[np.bool_], name: str) -> Gaussians:
    """Those that are kept, in the axes of such a file. Raises RunnerError where that is none."""
    require_some(int(keep.sum()), gaussians.count, name)
    return rotate_gaussians(gaussians.subset(keep), HALF_TURN)
