"""Which Gaussians a file can hold, and what an export reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from runner.scene.gaussians import Gaussians
from scenejobs.errors import Code, InputError, RunnerError


@dataclass(frozen=True)
class ExportReport:
    """What one export wrote."""

    count: int  # Gaussians in the file
    dropped: int  # Gaussians left out because a value was not finite or the quaternion was zero
    size_bytes: int
    sha256: str


def drawable(gaussians: Gaussians) -> NDArray[np.bool_]:
    """[N] True where every value is finite and the quaternion has a direction: a bad value spoils only its Gaussian."""
    keep: NDArray[np.bool_] = np.isfinite(gaussians.opacity_logits)
    for values in (gaussians.means, gaussians.quats, gaussians.log_scales, gaussians.sh0):
        keep &= np.isfinite(values).all(axis=1)
    keep &= np.isfinite(gaussians.sh_rest).all(axis=(1, 2))
    keep &= (gaussians.quats != 0).any(axis=1)
    return keep


def require_some(kept: int, total: int, name: str) -> None:
    """Raises RunnerError when nothing is left to write: an empty file would look like a result."""
    if kept == 0:
        raise RunnerError(
            f"{name}: none of {total:,} Gaussians has finite values",
            code=Code.TRAINING_DIVERGED,
            advice="run the job again; if it stays so, lower the learning rate or report the scene",
        )


def bad_file(name: str, problem: str) -> InputError:
    return InputError(
        f"{name} {problem}", code=Code.BAD_SCENE_FILE, advice="export it again as a binary little-endian 3DGS file"
    )
