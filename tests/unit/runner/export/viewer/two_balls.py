"""Two small solid Gaussians a known way apart, beside the point that all cameras look at."""

from __future__ import annotations

import numpy as np

from runner.scene.gaussians import Gaussians

APART = 1.25  # units


def two_balls() -> Gaussians:
    return Gaussians(
        means=np.array([[0, 0, 0.5], [0, 0, 0.5 - APART]], np.float32),
        quats=np.array([[1, 0, 0, 0]] * 2, np.float32),
        log_scales=np.full((2, 3), np.log(0.05), np.float32),
        opacity_logits=np.full(2, 6, np.float32),
        sh0=np.full((2, 3), 1.5, np.float32),
        sh_rest=np.zeros((2, 0, 3), np.float32),
    )
