"""Corrections are kept where pictures that were left out are better for them, and held-out views have no say."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from runner.quality.evaluate import SplitScore, ViewScore
from runner.scene.views import TrainingScene
from runner.training.exposure.drift import ExposureDrift
from runner.training.exposure.evidence import (
    CONTRADICTION_MIN,
    LONG_SIDE,
    MIN_PAIRS_PER_VIEW,
    VIEWS_MIN,
    Decision,
    Evidence,
    ShortScores,
    compared,
    decide,
    inner_scene,
    short_settings,
)
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, RunnerError
from tests.tiny_scene import blank_scene


def drift(contradiction: float = 0.1, pairs: float = 1000.0) -> ExposureDrift:
    return ExposureDrift(np.zeros((1, 3), np.float32), 0.1, pairs, contradiction)


def scores(raw: list[float], aside: list[float]) -> SplitScore:
    pairs = enumerate(zip(raw, aside, strict=True))
    return SplitScore(tuple(view(index, *each) for index, each in pairs))


def view(index: int, raw: float, aside: float) -> ViewScore:
    return ViewScore(str(index), psnr=raw, ssim=0.9, psnr_corrected=aside)


class Trainings:
    """Short trainings that give these scores, by mode; remembers what was trained."""

    def __init__(self, off: SplitScore, on: SplitScore, following: SplitScore | None = None) -> None:
        self._scores = {"off": ShortScores(off), "on": ShortScores(on, following or on)}
        self.asked: list[tuple[TrainingScene, TrainSettings]] = []

    def __call__(self, scene: TrainingScene, settings: TrainSettings) -> ShortScores:
        self.asked.append((scene, settings))
        return self._scores[settings.exposure]


def test_corrections_that_help_left_out_pictures_are_kept() -> None:
    trainings = Trainings(scores([20, 22], [21, 23]), scores([20.2, 22.1], [21.5, 23.6]))
    decision = decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), trainings)
    assert decision.corrected
    assert decision.one_exposure == Evidence(2, pytest.approx(0.15), pytest.approx(0.55), pytest.approx(0.05))
    assert not decision.follows_place, "one exposure is preferred"
    assert [settings.exposure for _, settings in trainings.asked] == ["off", "on"]


@pytest.mark.parametrize(
    ("raw", "aside", "why"),
    [
        ([20.0, 20.0], [20.0, 20.0], "nothing is won"),
        ([20.0, 20.0], [20.04, 20.04], "too little is won"),
        ([19.5, 19.9], [20.5, 20.5], "the pictures as they are lose"),
        ([20.5, 20.0], [21.2, 19.4], "one picture wins and the other loses"),
    ],
)
def test_corrections_that_do_not_are_not(raw: list[float], aside: list[float], why: str) -> None:
    trainings = Trainings(scores([20, 20], [20, 20]), scores(raw, aside))
    assert not decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), trainings).corrected, why


def test_where_one_exposure_costs_the_pictures_as_they_are_the_scene_follows_the_place() -> None:
    one, following = scores([19.5, 19.6], [20.5, 20.6]), scores([20.0, 20.1], [20.3, 20.4])
    decision = decide(
        blank_scene(9), TrainSettings(exposure="auto"), drift(), Trainings(scores([20, 20], [20, 20]), one, following)
    )
    assert (decision.corrected, decision.follows_place) == (True, True)
    assert "+0.05 dB, exposure aside +0.35 dB" in decision.why


@pytest.mark.parametrize(
    ("found", "views"),
    [
        (drift(contradiction=CONTRADICTION_MIN * 0.99), 9),
        (drift(pairs=MIN_PAIRS_PER_VIEW - 1), 9),
        (drift(), VIEWS_MIN - 1),
    ],
)
def test_where_there_is_nothing_to_find_nothing_is_trained(found: ExposureDrift, views: int) -> None:
    trainings = Trainings(scores([], []), scores([], []))
    decision = decide(blank_scene(views), TrainSettings(exposure="auto"), found, trainings)
    assert (decision.corrected, decision.one_exposure, trainings.asked) == (False, None, [])
    assert decision.why


@pytest.mark.parametrize("mode", ["on", "off"])
def test_what_was_asked_for_is_not_tried(mode: str) -> None:
    trainings = Trainings(scores([], []), scores([], []))
    assert decide(blank_scene(9), TrainSettings(exposure=mode), drift(), trainings).corrected is (mode == "on")
    assert trainings.asked == []


def test_the_held_out_views_of_the_scene_take_no_part(still: TrainingScene) -> None:
    inner = inner_scene(still)
    held_out = {view.image for view in still.views if view.split == "test"}
    assert {view.image for view in inner.views} == {view.image for view in still.views} - held_out
    left_out = inner.subset("test")
    assert len(left_out) >= len(inner.views) // 5
    assert {inner.views[index].video for index in left_out} == {view.video for view in still.views}


def test_the_small_scene_shows_the_same(still: TrainingScene) -> None:
    """Sightings name the same pictures; cameras fit the size; a mask goes along."""
    large = replace(
        still,
        pixels=tuple(image.repeat(3, axis=0).repeat(3, axis=1) for image in still.pixels),
        views=tuple(
            replace(view, width=3 * view.width, height=3 * view.height, K=view.K * [[3], [3], [1]])
            for view in still.views
        ),
        masks=tuple(np.ones((3 * view.height, 3 * view.width), bool) for view in still.views),
    )
    inner = inner_scene(large)
    train = still.subset("train")
    for number, index in enumerate(train):
        small = inner.views[number]
        assert max(small.width, small.height) <= LONG_SIDE
        assert np.array_equal(inner.pixels[number], still.pixels[index])
        np.testing.assert_allclose(small.K, still.views[index].K)
        mask = inner.mask(number)
        assert mask is not None
        assert mask.shape == inner.pixels[number].shape[:2]
        seen = still.sightings[still.sightings[:, 0] == index, 1]
        mine = inner.sightings[:, 0] == number
        assert np.array_equal(inner.sightings[mine, 1], seen)
        assert np.array_equal(inner.seen_at[mine], still.seen_at[still.sightings[:, 0] == index])


def test_a_try_costs_a_part_of_the_training() -> None:
    short = short_settings(TrainSettings(iterations=30_000, cap=2_000_000, strategy="mcmc", budget_s=1000))
    assert (short.iterations, short.cap, short.strategy) == (400, 4000, "default")
    assert short.budget_s == pytest.approx(150)


@pytest.mark.parametrize("mode", ["off", "on"])
def test_a_short_training_that_diverges_is_no_evidence_and_ends_nothing(mode: str) -> None:
    def train(_: TrainingScene, settings: TrainSettings) -> ShortScores:
        if settings.exposure == mode:
            raise RunnerError("values became NaN", code=Code.TRAINING_DIVERGED, stage="training", advice="")
        return ShortScores(scores([20, 22], [21, 23]))

    decision = decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), train)
    assert not decision.corrected
    assert "came to no numbers" in decision.why


def test_a_short_training_without_memory_is_no_matter_of_evidence() -> None:
    def train(*_: object) -> ShortScores:
        raise RunnerError("out of memory", code=Code.OUT_OF_MEMORY, stage="training", advice="")

    with pytest.raises(RunnerError, match="out of memory"):
        decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), train)


def test_one_left_out_picture_is_no_evidence() -> None:
    assert not compared(scores([20], [20]), scores([22], [22])).helps


def test_a_decision_comes_back_from_json() -> None:
    for decision in (
        Decision(False, "none"),
        Decision(True, "some", True, Evidence(3, 0.5, 0.25, 0.125), Evidence(3, 1, 2, 3)),
    ):
        assert Decision.from_json(decision.to_json()) == decision
