"""Settings of the training."""

from __future__ import annotations

from dataclasses import dataclass

WINDOWS = {"default": (0.03, 0.60), "mcmc": (0.017, 0.83)}
"""Of each strategy: the shares of the plan between which Gaussians are added; mcmc as gsplat's example trainer."""


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
    exposure: str = "auto"  # corrections of exposures: "auto" (where left-out pictures gain) | "on" | "off"
    pose_refinement: str = "off"  # cameras moved with the Gaussians: "off" | "on"
    rate_factor: float = 1.0  # LEARNING_RATE_FACTOR, of every learning rate
    densify_from: float = 0.0  # DENSIFY_FROM, share of the plan; 0: as the strategy does, here and below
    densify_until: float = 0.0  # DENSIFY_UNTIL, share of the plan
    densify_gradient: float = 0.0  # DENSIFY_GRADIENT, in half pictures; strategy "default"
    prune_opacity: float = 0.0  # PRUNE_OPACITY
    evaluations: int = 4  # how often the held-out views are measured during training
    seed: int = 0
    threads: int = 0  # 0: all cores

    @property
    def window(self) -> tuple[float, float]:
        """The shares of the plan between which Gaussians are added."""
        begin, end = WINDOWS[self.strategy]
        return self.densify_from or begin, self.densify_until or end
