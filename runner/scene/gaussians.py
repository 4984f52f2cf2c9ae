"""Gaussians as arrays."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

SH_C0 = 0.28209479177387814  # Y_0^0 = 1 / (2 sqrt(pi)): colour = 0.5 + SH_C0 * sh0


@dataclass(frozen=True)
class Gaussians:
    """A trained scene, as stored: raw values before their activations. Same conventions as the INRIA PLY layout."""

    means: NDArray[np.float32]  # [N, 3] world
    quats: NDArray[np.float32]  # [N, 4] wxyz, not normalised
    log_scales: NDArray[np.float32]  # [N, 3] natural log of the standard deviation, world units
    opacity_logits: NDArray[np.float32]  # [N]
    sh0: NDArray[np.float32]  # [N, 3] DC coefficient per channel; colour = 0.5 + 0.28209479 * sh0
    sh_rest: NDArray[np.float32]  # [N, K, 3], K = (degree + 1)^2 - 1

    @property
    def count(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        return round(math.sqrt(self.sh_rest.shape[1] + 1)) - 1

    def subset(self, rows: NDArray[np.bool_] | NDArray[np.intp]) -> Self:
        """Those of a mask [N], or of numbers in their order."""
        return type(self)(**{name: values[rows] for name, values in vars(self).items()})
