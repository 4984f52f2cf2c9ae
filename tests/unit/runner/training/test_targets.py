"""Training images: what a GPU prepares is what the CPU prepares, and cameras follow the size."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from runner.scene.views import TrainingScene, View
from runner.training.targets import TrainingImages, cache_bytes, reduced, reduced_on_device


@pytest.mark.parametrize("divisor", [1, 2, 4])
def test_both_ways_to_reduce_a_picture_agree(divisor: int) -> None:
    """Sides that no divisor divides; one rounding of a float apart at most."""
    pixels = np.random.default_rng(0).integers(0, 256, (37, 51, 3), dtype=np.uint8)
    there = reduced_on_device(torch.from_numpy(pixels), divisor)
    assert there.shape == (37 // divisor, 51 // divisor, 3)
    assert np.abs(there.numpy() - reduced(pixels, divisor)).max() < 1e-6


def test_the_camera_fits_the_reduced_picture() -> None:
    K = np.array([[50.0, 0, 24.0], [0, 52.0, 18.0], [0, 0, 1]])
    pose = np.diag([1.0, -1.0, -1.0, 1.0])
    scene = TrainingScene(
        (View("a/0.png", "a.mp4", 0.0, 48, 36, K, pose, "train"),),
        (np.full((36, 48, 3), 51, np.uint8),),
        points=np.zeros((0, 3), np.float32),
        colors=np.zeros((0, 3), np.uint8),
        point_errors=np.zeros(0, np.float32),
        track_lengths=np.zeros(0, np.int32),
    )
    images = TrainingImages(scene, torch.device("cpu"))
    for divisor in (4, 2, 1):
        image = images.get(0, divisor)
        assert (image.width, image.height) == (48 // divisor, 36 // divisor)
        assert image.K.tolist() == [[50 / divisor, 0, 24 / divisor], [0, 52 / divisor, 18 / divisor], [0, 0, 1]]
        assert torch.equal(image.world_to_camera, torch.tensor(pose, dtype=torch.float32))
        assert torch.allclose(image.target.image, torch.tensor(0.2))


def test_a_gpu_keeps_as_many_targets_as_its_memory_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    """A share of what is left, of the device and of what this process may take; never less than the CPU."""
    limits = {"mem_get_info": (70 << 30, 80 << 30), "get_per_process_memory_fraction": 1.0, "memory_reserved": 0}

    def cached_gib() -> float:
        for name, value in limits.items():
            monkeypatch.setattr(torch.cuda, name, lambda _, value=value: value)
        return cache_bytes(torch.device("cuda")) / 2**30

    assert cached_gib() == pytest.approx(14.0)
    limits["get_per_process_memory_fraction"] = 0.2  # as a T4
    assert cached_gib() == pytest.approx(3.2)
    limits["memory_reserved"] = 15 << 30
    assert cached_gib() == cache_bytes(torch.device("cpu")) / 2**30
