"""A GPU for the tests of this folder, which say so where there is none."""

from __future__ import annotations

import pytest
import torch

from runner.raster import Rasterizer, rasterizer


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks the tests of this folder; without a CUDA device each is skipped, visibly."""
    here = [item for item in items if item.path.is_relative_to(__file__.rpartition("/")[0])]
    for item in here:
        item.add_marker(pytest.mark.gpu)
        if not torch.cuda.is_available():
            item.add_marker(pytest.mark.skip(reason="no CUDA device: gsplat cannot run here"))


@pytest.fixture(scope="session")
def gpu() -> Rasterizer:
    """gsplat on CUDA. Where there is a device but no extension, this fails: that machine was meant to have it."""
    return rasterizer("gsplat")


@pytest.fixture(scope="session")
def cpu() -> Rasterizer:
    return rasterizer("cpu")
