"""Exposure that drifts costs what it must and no more: measured, decided, compensated, and scored apart."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch

from runner.quality.evaluate import evaluate, exposure_corrected
from runner.quality.metrics import psnr
from runner.raster import rasterizer
from runner.scene.views import TrainingScene
from runner.training.exposure import (
    CONTRADICTION_MIN,
    MIN_PAIRS_PER_VIEW,
    ExposureDrift,
    Exposures,
    measure_drift,
    should_compensate,
)
from runner.training.loop import Trained
from runner.training.settings import TrainSettings
from scenejobs.errors import Interrupted
from tests.trainings import fields_equal, run_training, stopping_after
from tests.true_scene import DRIFT, drifting, true_scene

SETTINGS = TrainSettings(iterations=400, cap=4000, sh_degree=1, budget_s=1e6, evaluations=1)
STRONG = {0: (1.0, 0.5), 1: (1.8, 1.0), 2: (0.55, 1.2)}  # jumps of a stop and more


@pytest.fixture(scope="module")
def still() -> TrainingScene:
    """The courtyard filmed with one exposure: 36 small pictures in three clips."""
    return true_scene(size=(160, 96), per_clip=12, points=3000, detail=0.4)


@cache
def trained(scene: Identity, mode: str) -> Trained:
    return run_training(scene.value, replace(SETTINGS, exposure=mode), rasterizer("cpu"))


class Identity:
    """A value that is the same as itself only, as a key."""

    def __init__(self, value: TrainingScene) -> None:
        self.value = value


@pytest.fixture(scope="module")
def scenes(still: TrainingScene) -> dict[str, Identity]:
    return {"still": Identity(still), "drift": Identity(drifting(still, STRONG))}


def psnr_on(filmed: Identity, scene: Identity, mode: str) -> float:
    """Held-out dB, as they are, on the pictures of `filmed`, of what was trained on `scene`."""
    psnr = evaluate(trained(scene, mode).gaussians, filmed.value, rasterizer("cpu")).test.psnr
    assert psnr is not None
    return psnr


def test_the_sparse_points_tell_each_pictures_gain_to_two_hundredths(still: TrainingScene) -> None:
    """On the scale of the pictures a gain of the light by g is g^(1/2.2)."""
    drift = measure_drift(drifting(still))
    train_views = still.subset("train")
    clips = sorted(DRIFT)
    true = []
    for index, view in enumerate(still.views):
        times = [other.timestamp_s for other in still.views if other.video == view.video]
        true.append(np.interp(view.timestamp_s, (min(times), max(times)), DRIFT[clips[index // 12]]))
    logs = np.log(np.array(true)[train_views]) / 2.2
    assert drift.log_gains[train_views].mean(axis=1) == pytest.approx(logs - logs.mean(), abs=0.02)
    assert drift.spread == pytest.approx(logs.std(), abs=0.005)


def test_one_exposure_measures_as_none(still: TrainingScene) -> None:
    assert measure_drift(still).spread < CONTRADICTION_MIN / 2


def test_held_out_pictures_are_not_looked_at(still: TrainingScene) -> None:
    """A measurement that had seen them would be training on them."""
    blinded = tuple(
        np.zeros_like(picture) if view.split == "test" else picture
        for view, picture in zip(still.views, still.pixels, strict=True)
    )
    drift = measure_drift(replace(still, pixels=blinded))
    assert np.array_equal(drift.log_gains, measure_drift(still).log_gains)
    assert not drift.log_gains[still.subset("test")].any()


def test_a_scene_without_sightings_has_no_drift(still: TrainingScene) -> None:
    drift = measure_drift(replace(still, sightings=np.zeros((0, 2), np.int32)))
    assert (drift.spread, drift.pairs_per_view) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("mode", "contradiction", "pairs", "expected"),
    [
        ("auto", CONTRADICTION_MIN, MIN_PAIRS_PER_VIEW, True),
        ("auto", CONTRADICTION_MIN * 0.99, MIN_PAIRS_PER_VIEW, False),
        ("auto", 10.0, MIN_PAIRS_PER_VIEW - 1, False),  # noise
        ("on", 0.0, 0, True),
        ("off", 10.0, 1000, False),
    ],
)
def test_exposures_that_contradict_each_other_decide(
    mode: str, contradiction: float, pairs: float, expected: bool
) -> None:
    assert should_compensate(mode, ExposureDrift(np.zeros((1, 3), np.float32), 0.2, pairs, contradiction)) is expected


def test_an_exposure_that_follows_the_place_is_left_to_view_dependent_colour(still: TrainingScene) -> None:
    """One slow drift over the way of the camera contradicts nothing; a jump between clips of one place does."""
    places = np.array([np.linalg.inv(view.world_to_camera)[:3, 3] for view in still.views])
    offsets = places - places.mean(axis=0)
    along = offsets @ np.linalg.svd(offsets)[2][0]
    gains = np.exp(0.1 * along / along.std())
    pixels = (np.clip(picture * gain * 0.8, 0, 255) for picture, gain in zip(still.pixels, gains, strict=True))
    follows = measure_drift(replace(still, pixels=tuple(picture.astype(np.uint8) for picture in pixels)))
    assert follows.spread > 1.5 * CONTRADICTION_MIN
    assert not should_compensate("auto", follows)
    assert should_compensate("auto", measure_drift(drifting(still, STRONG)))


def test_drift_costs_a_decibel_and_compensation_brings_most_of_it_back(scenes: dict[str, Identity]) -> None:
    """Scored on held-out pictures of the same places filmed with one exposure."""
    still, drift = scenes["still"], scenes["drift"]
    best = psnr_on(still, still, "off")
    lost, left = best - psnr_on(still, drift, "off"), best - psnr_on(still, drift, "auto")
    assert trained(drift, "auto").exposure_compensated
    assert trained(drift, "auto").exposure_contradiction >= CONTRADICTION_MIN
    assert lost > 0.8
    assert left < 0.4 * lost


def test_nothing_changes_where_nothing_drifts(scenes: dict[str, Identity]) -> None:
    """Not by a byte: compensation is off."""
    auto, off = (trained(scenes["still"], mode) for mode in ("auto", "off"))
    assert not auto.exposure_compensated
    assert auto.exposure_contradiction < CONTRADICTION_MIN
    assert fields_equal(off.gaussians, auto.gaussians)


def test_learned_exposures_survive_a_stop(scenes: dict[str, Identity], tmp_path: Path) -> None:
    scene, settings = scenes["drift"].value, replace(SETTINGS, iterations=80, exposure="on")
    whole = run_training(scene, settings, rasterizer("cpu"))
    with pytest.raises(Interrupted):
        run_training(scene, settings, rasterizer("cpu"), stopping_after(3), tmp_path)
    rest = run_training(scene, settings, rasterizer("cpu"), folder=tmp_path)
    assert rest.resumed_at == (40,)
    assert fields_equal(whole.gaussians, rest.gaussians)


def test_exposures_learn_a_gain_and_a_bias() -> None:
    """From a rendering that never changes; only the picture that is shown moves."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(8, 8, 3, generator=generator)
    target = image * 1.1 + 0.02
    exposures = Exposures(ExposureDrift(np.zeros((2, 3), np.float32), 0.0, 0.0), torch.device("cpu"))
    for _ in range(150):
        (exposures.apply(image, 1) - target).abs().mean().backward()
        exposures.step(0.0)
    assert (exposures.apply(image, 1) - target).abs().mean() < 0.01
    assert torch.equal(exposures.apply(image, 0), image)
    with pytest.raises(ValueError, match="no gradient"):
        exposures.step(0.0)


def test_correction_removes_gain_and_bias_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(16, 12, 3, generator=generator) * 0.5 + 0.2
    dimmed = truth * torch.tensor([0.7, 0.8, 0.9]) + 0.05
    assert psnr(dimmed, truth) < 25
    assert psnr(exposure_corrected(dimmed, truth), truth) > 100
    noisy = truth + 0.02 * torch.randn(truth.shape, generator=generator)
    assert psnr(exposure_corrected(noisy, truth), truth) == pytest.approx(psnr(noisy, truth), abs=0.3)
