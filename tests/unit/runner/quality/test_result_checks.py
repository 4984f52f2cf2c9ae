"""A result is looked at before it is called one: numbers, opacity, size, what the cameras see."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.quality.result_checks import check_result
from runner.scene.gaussians import Gaussians
from runner.scene.views import View
from scenejobs.errors import Code, RunnerError
from tests.synthetic import walk

COUNT = 500


def views() -> list[View]:
    K = np.array([[150.0, 0, 80], [0, 150.0, 60], [0, 0, 1]])
    found = []
    for index, (position, rotation) in enumerate(walk(5)):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ position
        found.append(View(f"a/{index}.png", "a.mp4", index, 160, 120, K, pose, "train"))
    return found


def gaussians() -> Gaussians:
    rng = np.random.default_rng(0)
    means = np.array([-0.3, 0.2, 6.0]) + rng.normal(0, 0.5, (COUNT, 3))
    return Gaussians(
        means=means.astype(np.float32), quats=np.tile(np.array([1, 0, 0, 0], np.float32), (COUNT, 1)),
        log_scales=np.full((COUNT, 3), -3, np.float32), opacity_logits=np.zeros(COUNT, np.float32),
        sh0=np.zeros((COUNT, 3), np.float32), sh_rest=np.zeros((COUNT, 3, 3), np.float32),
    )  # fmt: skip


def test_an_ordinary_result_has_nothing_strange() -> None:
    assert check_result(gaussians(), views(), "clean_up") == ()


def broken(kind: str) -> Gaussians:
    right = gaussians()
    match kind:
        case "not finite":
            right.means[:5, 0] = np.nan
            return right
        case "transparent":
            return replace(right, opacity_logits=np.full(COUNT, -4.5, np.float32))
        case "as far away":
            return replace(right, means=right.means * np.float32(1e5))
        case _:
            return replace(right, means=right.means - np.array([0, 0, 60], np.float32))


@pytest.mark.parametrize("kind", ["not finite", "transparent", "as far away", "the cameras see only 0%"])
def test_what_is_strange_is_said(kind: str) -> None:
    found = check_result(broken(kind), views(), "clean_up")
    assert any(kind in sentence for sentence in found), found


@pytest.mark.parametrize("logit", [-20.0, np.nan])
def test_a_result_of_which_nothing_can_be_seen_is_a_failure(logit: float) -> None:
    nothing = replace(gaussians(), opacity_logits=np.full(COUNT, logit, np.float32))
    with pytest.raises(RunnerError) as caught:
        check_result(nothing, views(), "clean_up")
    assert caught.value.code == Code.TRAINING_DIVERGED
