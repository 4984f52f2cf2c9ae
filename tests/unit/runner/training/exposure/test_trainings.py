"""Exposure that drifts costs what it must and no more: decided, corrected, resumed, told, and scored apart."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
import torch

from runner.quality.evaluate import SplitScore, ViewScore, evaluate, exposure_corrected
from runner.quality.metrics import psnr
from runner.raster import rasterizer
from runner.scene.views import TrainingScene
from runner.training import loop
from runner.training.exposure.evidence import FOLDS, PARTS, ShortScores
from runner.training.loop import Trained
from runner.training.settings import TrainSettings
from runner.training.start import Run
from scenejobs.errors import Interrupted
from tests.drifting_scenes import drift_of_kind
from tests.trainings import fields_equal, run_training, saved_state, stopping_after

SETTINGS = TrainSettings(iterations=300, cap=2500, sh_degree=2, budget_s=1e6, evaluations=1)


@cache
def trained(scene: Identity, mode: str) -> Trained:
    return run_training(scene.value, replace(SETTINGS, exposure=mode), rasterizer("cpu"))


class Identity:
    """A value that is the same as itself only, as a key."""

    def __init__(self, value: TrainingScene) -> None:
        self.value = value


@pytest.fixture(scope="module")
def scenes(still: TrainingScene) -> dict[str, Identity]:
    return {"still": Identity(still), "jumps": Identity(drift_of_kind("jumps", still))}


def held_out(scene: Identity, mode: str) -> tuple[float, float]:
    """dB as they are, and with the exposure aside."""
    scores = evaluate(trained(scene, mode).gaussians, scene.value, rasterizer("cpu")).test
    assert scores.psnr is not None
    assert scores.psnr_corrected is not None
    return scores.psnr, scores.psnr_corrected


def test_jumps_are_found_corrected_and_told(scenes: dict[str, Identity]) -> None:
    jumps = scenes["jumps"]
    exposure = trained(jumps, "auto").exposure
    assert exposure.corrected, exposure.decision.why
    told = exposure.to_json()
    assert told["compensated"]
    assert any(way and way["helps"] for way in told["evidence"].values())
    assert "better with corrections" in told["why"]
    names = {view.image for view in jumps.value.views if view.split == "train"}
    assert set(told["scene"]["nearest_pictures"]) <= names
    assert told["scene"]["largest_log_gain"] > 0.1


def test_corrections_cost_nothing_of_the_pictures_as_they_are_and_win_with_the_exposure_aside(
    scenes: dict[str, Identity],
) -> None:
    (raw_off, aside_off), (raw, aside) = (held_out(scenes["jumps"], mode) for mode in ("off", "auto"))
    assert raw >= raw_off - 0.1
    assert aside > aside_off + 0.2


def test_trainings_that_their_time_cuts_short_decide_nothing(scenes: dict[str, Identity]) -> None:
    """Each found half-done is worth another number of decibels, whatever corrections do."""
    hurried = replace(SETTINGS, exposure="auto", budget_s=0.01)
    exposure = run_training(scenes["jumps"].value, hurried, rasterizer("cpu")).exposure
    assert not exposure.corrected
    assert "no time" in exposure.decision.why
    assert exposure.to_json()["evidence"] is None


def test_nothing_changes_where_nothing_drifts(scenes: dict[str, Identity]) -> None:
    """Not by a byte: nothing is corrected, and nothing tried."""
    auto, off = (trained(scenes["still"], mode) for mode in ("auto", "off"))
    assert not auto.exposure.corrected
    assert not auto.exposure.tried
    assert auto.exposure.to_json()["scene"] is None
    assert fields_equal(off.gaussians, auto.gaussians)


def test_learned_exposures_survive_a_stop(scenes: dict[str, Identity], tmp_path: Path) -> None:
    scene, settings = scenes["jumps"].value, replace(SETTINGS, iterations=80, exposure="on")
    whole = run_training(scene, settings, rasterizer("cpu"))
    with pytest.raises(Interrupted):
        run_training(scene, settings, rasterizer("cpu"), stopping_after(3), tmp_path)
    rest = run_training(scene, settings, rasterizer("cpu"), folder=tmp_path)
    assert rest.resumed_at == (40,)
    assert fields_equal(whole.gaussians, rest.gaussians)
    assert rest.exposure == whole.exposure


def test_a_training_that_is_resumed_decides_nothing_again(
    scenes: dict[str, Identity], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it has learned belongs to what was decided, and on a GPU two tries may differ."""
    tries: list[str] = []

    def tried(_: Run, __: TrainingScene, settings: TrainSettings) -> ShortScores:
        tries.append(settings.exposure)
        better = 1.0 * (settings.exposure == "on")
        views = (ViewScore(str(i), psnr=20 + better, ssim=0.9, psnr_corrected=21 + better) for i in range(3))
        return dict.fromkeys(PARTS, SplitScore(tuple(views)))

    monkeypatch.setattr(loop, "_short_training", tried)
    scene, settings = scenes["jumps"].value, replace(SETTINGS, iterations=40)
    scored = run_training(scene, settings, rasterizer("cpu"), folder=tmp_path)
    assert tries == ["off", "on"] * FOLDS
    assert scored.exposure.corrected
    assert saved_state(tmp_path).values["exposure"]["why"] == scored.exposure.decision.why
    again = run_training(scene, settings, rasterizer("cpu"), folder=tmp_path)
    assert tries == ["off", "on"] * FOLDS
    assert again.resumed_at == (40,)
    assert again.exposure == scored.exposure


def test_correction_removes_gain_and_bias_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(0)
    truth = torch.rand(16, 12, 3, generator=generator) * 0.5 + 0.2
    dimmed = truth * torch.tensor([0.7, 0.8, 0.9]) + 0.05
    assert psnr(dimmed, truth) < 25
    assert psnr(exposure_corrected(dimmed, truth), truth) > 100
    noisy = truth + 0.02 * torch.randn(truth.shape, generator=generator)
    assert psnr(exposure_corrected(noisy, truth), truth) == pytest.approx(psnr(noisy, truth), abs=0.3)
