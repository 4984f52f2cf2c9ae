"""Settings of the training."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TrainSettings:
    """Training of the Gaussians. Every schedule is a share of `iterations`, so short runs have short schedules."""

    iterations: int = 3000
    cap: int = 40_000  # most Gaussians
    strategy: str = "default"  # "default" (clone, split, prune) | "mcmc" (relocation under a hard cap)
    long_side: int = 480  # pixels of the training images
    sh_degree: int = 3
    budget_s: float = 600.0  # wall clock for training; the plan is shortened to fit into it
    ssim_weight: float = 0.2  # loss = (1 - w) L1 + w (1 - SSIM)
    exposure: str = "auto"  # a gain and a bias per training image: "auto" (when exposure drifts) | "on" | "off"
    evaluations: int = 4  # how often the held-out views are measured during training
    seed: int = 0
    threads: int = 0  # 0: all cores
