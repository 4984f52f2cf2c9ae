"""A training step leaves the device alone: on a GPU, each number that is read makes Python wait for all that is queued.

Counted on the CPU, where the same code runs: reading a tensor's value is one operation to torch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from runner.raster import rasterizer
from runner.training.settings import TrainSettings
from tests.trainings import run_training
from tests.true_scene import true_scene

READS = ("aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select")
COUNTERS_OF_ADAM = 6  # one per parameter; they live on the CPU on every machine
SETTINGS = TrainSettings(cap=200, sh_degree=1, budget_s=1e6, evaluations=1)


class Reads(TorchDispatchMode):
    """Counts the operations whose result Python has to wait for."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.count += func.name().split(".")[0] in READS
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(("exposure", "refinement"), [("off", "off"), ("on", "off"), ("off", "on")])
@pytest.mark.parametrize("strategy", ["default", "mcmc"])
def test_a_step_reads_nothing_back(strategy: str, exposure: str, refinement: str) -> None:
    """Forty steps more cost fewer reads than one per step, all of them of the few looks and refinements."""
    scene = true_scene(size=(64, 48), per_clip=4, points=200, detail=0.2)
    counts = []
    for iterations in (40, 80):
        with Reads() as reads:
            settings = replace(
                SETTINGS, strategy=strategy, exposure=exposure, pose_refinement=refinement, iterations=iterations
            )
            run_training(scene, settings, rasterizer("cpu"))
        counts.append(reads.count - COUNTERS_OF_ADAM * iterations)
    assert counts[0] > 0
    assert counts[1] - counts[0] < 40, counts


def test_reads_are_counted() -> None:
    with Reads() as reads:
        float(torch.ones(()))
        torch.nonzero(torch.ones(3))
    assert reads.count == 2
