"""The running mean of the Gaussians over the last steps of a training: what it gives.

A step fits one view. At rates that take a short plan far the parameters never settle, but wander around what fits all
views; their mean lies nearer to it, so that the rates may be high up to the end (Polyak and Juditsky, "Acceleration of
stochastic approximation by averaging", 1992). Measured in benchmarks/results/training.md.
"""

from __future__ import annotations

import torch

from runner.raster.parameters import Parameters

EVERY = 4  # steps from one sample to the next
WEIGHT = 0.12  # of the newest sample, so the mean is over about 33 steps


@torch.no_grad()
def add(average: Parameters, params: Parameters) -> None:
    """Takes the parameters into the mean of their like, in place. A mean of other Gaussians begins anew."""
    for name, value in params.items():
        if name in average and average[name].shape == value.shape:
            average[name].lerp_(value, WEIGHT)
        else:
            average[name] = torch.nn.Parameter(value.detach().clone(), requires_grad=False)
