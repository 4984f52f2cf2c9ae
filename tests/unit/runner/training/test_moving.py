"""What moves through the pictures is told by what other views contradict, and training leaves it out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.quality.evaluate import render_view
from runner.raster import Rasterizer, parameters
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene, View
from runner.training import moving_masks
from runner.training.moving import Compared, moving_regions
from runner.training.settings import TrainSettings
from scenejobs.errors import Interrupted
from tests.moving_scenes import Filmed, filmed, training_scene
from tests.trainings import fields_equal, run_training, stopping_after

SETTINGS = TrainSettings(iterations=400, cap=3000, long_side=160, evaluations=1, budget_s=3600.0, threads=1)
GRID = (12, 16)


@pytest.fixture(scope="module")
def seen() -> Filmed:
    return filmed("people-25", (160, 120), detail=0.15)


@pytest.fixture(scope="module")
def crowd(seen: Filmed) -> TrainingScene:
    return training_scene(seen)


def sideways(number: int, difference: NDArray[np.float32]) -> Compared:
    """A view of a wall 4 m away, a step beside the one before."""
    K, pose = np.array([[160.0, 0, 80], [0, 160, 60], [0, 0, 1]]), np.eye(4)
    pose[0, 3] = -0.1 * number
    view = View(f"a/{number:06d}.png", "a.mp4", float(number), 160, 120, K, pose, "train")
    return Compared(view, difference, np.full(GRID, 4.0, np.float32))


def walls(count: int = 6) -> list[NDArray[np.float32]]:
    """Differences that are small everywhere."""
    return [np.full(GRID, 0.01, np.float32) for _ in range(count)]


def test_what_one_view_shows_and_the_others_contradict_moves() -> None:
    differences = walls()
    differences[2][3:9, 5:8] = 0.4
    found = moving_regions([sideways(number, each) for number, each in enumerate(differences)])
    assert found[2][3:9, 5:8].all()
    assert found[2].sum() <= 8 * 5  # and one block around it
    assert not any(regions.any() for number, regions in enumerate(found) if number != 2)


def test_what_no_view_explains_is_not_left_out() -> None:
    """Water, or a part of the place that is not trained yet: a hole would be worse than a blur."""
    differences = walls()
    for each in differences:
        each[8:] = 0.4
    assert not any(regions.any() for regions in moving_regions([sideways(*each) for each in enumerate(differences)]))


def test_what_no_other_view_sees_is_not_left_out() -> None:
    differences = walls(2)
    differences[0][3:9, 5:8] = 0.4
    assert not any(regions.any() for regions in moving_regions([sideways(*each) for each in enumerate(differences)]))


def behind(gaussians: Gaussians, scene: TrainingScene, seen: Filmed, backend: Rasterizer) -> float:
    """dB of the training views where people walked, against the place without them."""
    params = parameters.parameters(gaussians, backend.device)
    errors = [
        np.square(render_view(params, scene.views[index], backend).numpy() - seen.clean[index] / 255)[mask]
        for index in scene.subset("train")
        if (mask := seen.moving[index]).any()
    ]
    return -10 * float(np.log10(np.concatenate(errors).mean()))


def test_people_who_walk_by_leave_fewer_ghosts(crowd: TrainingScene, seen: Filmed, backend: Rasterizer) -> None:
    with patch.object(moving_masks, "LOOKS", ()):
        before = run_training(crowd, SETTINGS, backend)
    now = run_training(crowd, SETTINGS, backend)
    assert behind(now.gaussians, crowd, seen, backend) > behind(before.gaussians, crowd, seen, backend) + 0.2


def test_where_nothing_moves_not_a_bit_changes(seen: Filmed, backend: Rasterizer) -> None:
    clean = training_scene(seen, clean=True)
    with patch.object(moving_masks, "LOOKS", ()):
        before = run_training(clean, SETTINGS, backend)
    assert fields_equal(before.gaussians, run_training(clean, SETTINGS, backend).gaussians)


def test_a_masked_place_explains_nothing(crowd: TrainingScene, backend: Rasterizer) -> None:
    """There a view equals its rendering whatever it shows, so it must not speak against others that see the surface."""
    used = np.ones((120, 160), bool)
    used[:, :80] = False
    looked: list[Compared] = []

    def spy(compared: list[Compared]) -> list[NDArray[np.bool_]]:
        looked.extend(compared)
        return moving_regions(compared)

    with patch.object(moving_masks, "moving_regions", spy):
        run_training(replace(crowd, masks=(used,) * len(crowd.views)), SETTINGS, backend)
    half = looked[0].depth.shape[1] // 2
    assert looked
    assert not any(each.depth[:, :half].any() for each in looked)
    assert all(each.depth[:, half:].any() for each in looked)


def test_a_stopped_training_goes_on_with_its_masks(crowd: TrainingScene, backend: Rasterizer, tmp_path: Path) -> None:
    whole = run_training(crowd, SETTINGS, backend)
    with pytest.raises(Interrupted):
        run_training(crowd, SETTINGS, backend, stopping_after(10), folder=tmp_path)
    resumed = run_training(crowd, SETTINGS, backend, folder=tmp_path)
    assert resumed.resumed_at
    assert 400 * moving_masks.LOOKS[0] < resumed.resumed_at[0] < 400
    assert fields_equal(whole.gaussians, resumed.gaussians)
