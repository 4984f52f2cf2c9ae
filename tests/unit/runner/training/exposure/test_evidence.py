"""Corrections are kept where pictures that were left out are better for them, and held-out views have no say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from runner.quality.evaluate import SplitScore, ViewScore
from runner.scene.views import TrainingScene
from runner.training.exposure.drift import ExposureDrift
from runner.training.exposure.evidence import (
    CONTRADICTION_CLEAR,
    CONTRADICTION_MIN,
    FEW,
    LONG_SIDE,
    MIN_PAIRS_PER_VIEW,
    PARTS,
    VIEWS_MIN,
    Decision,
    Evidence,
    ShortScores,
    compared,
    decide,
    folds_of,
    inner_scene,
    short_settings,
)
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, RunnerError
from tests.tiny_scene import blank_scene


def drift(contradiction: float = 0.04, pairs: float = 1000.0) -> ExposureDrift:
    return ExposureDrift(np.zeros((1, 3), np.float32), 0.1, pairs, contradiction)


def scores(raw: list[float], aside: list[float]) -> SplitScore:
    pairs = enumerate(zip(raw, aside, strict=True))
    return SplitScore(tuple(view(index, *each) for index, each in pairs))


def view(index: int, raw: float, aside: float) -> ViewScore:
    return ViewScore(str(index), psnr=raw, ssim=0.9, psnr_corrected=aside)


class Trainings:
    """Short trainings that give these scores, by mode; remembers what was trained."""

    def __init__(self, off: SplitScore, on: SplitScore, following: Mapping[float, SplitScore] | None = None) -> None:
        self._scores = {"off": {0.0: off}, "on": {**dict.fromkeys(PARTS, on), **(following or {})}}
        self.asked: list[tuple[TrainingScene, TrainSettings]] = []

    def __call__(self, scene: TrainingScene, settings: TrainSettings) -> ShortScores:
        self.asked.append((scene, settings))
        return self._scores[settings.exposure]


def test_corrections_that_help_left_out_pictures_are_kept() -> None:
    trainings = Trainings(scores([20, 22], [21, 23]), scores([20.2, 22.1], [21.5, 23.6]))
    decision = decide(blank_scene(FEW), TrainSettings(exposure="auto"), drift(), trainings)
    assert decision.corrected
    assert decision.one_exposure == Evidence(2, pytest.approx(0.15), pytest.approx(0.55), pytest.approx(0.05))
    assert not decision.follows_place, "one exposure is preferred"
    assert [settings.exposure for _, settings in trainings.asked] == ["off", "on"]


@pytest.mark.parametrize(
    ("raw", "aside", "why"),
    [
        ([20.0, 20.0], [20.0, 20.0], "nothing is won"),
        ([20.0, 20.0], [20.02, 20.02], "too little is won"),
        ([19.5, 19.9], [20.5, 20.5], "the pictures as they are lose"),
        ([20.5, 20.0], [20.6, 19.4], "one picture wins, the other loses as much"),
    ],
)
def test_corrections_that_do_not_are_not(raw: list[float], aside: list[float], why: str) -> None:
    trainings = Trainings(scores([20, 20], [20, 20]), scores(raw, aside))
    assert not decide(blank_scene(FEW), TrainSettings(exposure="auto"), drift(), trainings).corrected, why


def test_where_one_exposure_costs_the_pictures_as_they_are_the_scene_follows_the_place() -> None:
    """By the part that loses least of both: as they are against no corrections, aside against one exposure."""
    raw = {0.0: 18.8, 0.25: 19.3, 0.5: 19.7, 0.75: 20.0, 1.0: 20.2}
    aside = {0.0: 20.6, 0.25: 20.58, 0.5: 20.5, 0.75: 20.4, 1.0: 20.2}
    following = {part: scores([raw[part], raw[part] + 0.1], [aside[part], aside[part] + 0.1]) for part in PARTS}
    trainings = Trainings(scores([20, 20], [20, 20]), following[0.0], following)
    decision = decide(blank_scene(FEW), TrainSettings(exposure="auto"), drift(), trainings)
    assert (decision.corrected, decision.part) == (True, 0.75)
    assert "+0.05 dB, exposure aside +0.45 dB" in decision.why


def test_a_scene_that_follows_by_all_may_be_the_only_one_that_loses_nothing() -> None:
    """A camera that meters what it sees: half of it cost 0.4 dB of the pictures as they are."""
    raw = {0.0: 18.8, 0.25: 19.3, 0.5: 19.6, 0.75: 19.8, 1.0: 20.0}
    following = {part: scores([raw[part], raw[part]], [20.1, 20.1]) for part in PARTS}
    trainings = Trainings(scores([20, 20], [20, 20]), following[0.0], following)
    decision = decide(blank_scene(FEW), TrainSettings(exposure="auto"), drift(), trainings)
    assert (decision.corrected, decision.part) == (True, 1.0)


@pytest.mark.parametrize(("aside", "kept"), [([20.4, 19.5], True), ([19.9, 19.7], False)])
def test_where_exposures_differ_clearly_the_harm_has_to_be_shown(aside: list[float], kept: bool) -> None:
    """Left-out pictures of few are chance; a loss that all of them share is none."""
    trainings = Trainings(scores([20, 20], [20, 20]), scores([20, 20], aside))
    clearly = drift(contradiction=CONTRADICTION_CLEAR)
    assert decide(blank_scene(FEW), TrainSettings(exposure="auto"), clearly, trainings).corrected is kept
    assert not decide(blank_scene(FEW), TrainSettings(exposure="auto"), drift(), trainings).corrected


def test_each_of_few_pictures_is_left_out_once() -> None:
    """What three of them say of corrections is chance; of many, a quarter is enough, and costs a third."""
    few = folds_of(blank_scene(FEW - 1))
    left_out = [fold.views[index].image for fold in few for index in fold.subset("test")]
    assert sorted(left_out) == sorted(view.image for view in blank_scene(FEW - 1).views)
    assert len(folds_of(blank_scene(FEW))) == 1


class Hurried(Trainings):
    """Some of the trainings, by number, have no time to end."""

    def __init__(self, cut: set[int]) -> None:
        super().__init__(scores([20, 22], [21, 23]), scores([20.2, 22.1], [21.5, 23.6]))
        self._cut = cut

    def __call__(self, scene: TrainingScene, settings: TrainSettings) -> ShortScores:
        found = super().__call__(scene, settings)
        return {} if len(self.asked) in self._cut else found


@pytest.mark.parametrize(("cut", "asked", "kept"), [
    ({1}, ["off", "off", "on"], True), ({2}, ["off", "on", "on"], True), ({1, 2}, ["off", "off"], False),
    ({2, 3}, ["off", "on", "on"], False),
])  # fmt: skip
def test_a_training_that_its_time_cut_short_is_done_once_more_and_is_no_evidence(
    cut: set[int], asked: list[str], kept: bool
) -> None:
    """Kernels are compiled in the first one: corrections "won" 11.65 dB against a training that had hardly begun."""
    trainings = Hurried(cut)
    decision = decide(blank_scene(FEW), TrainSettings(exposure="auto"), drift(CONTRADICTION_CLEAR), trainings)
    assert [settings.exposure for _, settings in trainings.asked] == asked
    assert decision.corrected is kept
    assert ("no time" in decision.why) is not kept


@pytest.mark.parametrize(("each_s", "folds"), [(1.0, 3), (15.0, 3), (16.0, 2), (23.0, 1), (44.0, 1)])
def test_no_fold_is_begun_that_would_take_more_than_its_share_of_the_time(each_s: float, folds: int) -> None:
    now, trainings = [0.0], Trainings(scores([20, 22], [21, 23]), scores([20.2, 22.1], [21.5, 23.6]))

    def train(scene: TrainingScene, settings: TrainSettings) -> ShortScores:
        now[0] += each_s
        return trainings(scene, settings)

    settings = TrainSettings(exposure="auto", budget_s=300.0)
    assert decide(blank_scene(9), settings, drift(), train, lambda: now[0]).corrected
    assert len(trainings.asked) == 2 * folds


def test_all_folds_have_a_say() -> None:
    by_fold = iter([([20.0], [20.6]), ([20.0], [20.1]), ([20.0], [20.2])])

    def train(_: TrainingScene, settings: TrainSettings) -> ShortScores:
        off = {0.0: scores([20.0], [20.0])}
        return off if settings.exposure == "off" else dict.fromkeys(PARTS, scores(*next(by_fold)))

    decision = decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), train)
    assert decision.one_exposure is not None
    assert (decision.one_exposure.views, decision.one_exposure.aside_db) == (3, pytest.approx(0.3))


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
    held_out = {view.image for view in still.views if view.split == "test"}
    for inner in folds_of(still):
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
    inner = inner_scene(large, ())
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
    settings = TrainSettings(iterations=30_000, cap=2_000_000, strategy="mcmc", budget_s=1000)
    short = short_settings(settings, folds=1)
    assert (short.iterations, short.cap, short.strategy) == (400, 4000, "default")
    assert short.budget_s == pytest.approx(150)
    of_a_fold = short_settings(replace(settings, iterations=3000), folds=3)
    assert (of_a_fold.iterations, of_a_fold.budget_s) == (150, pytest.approx(150))


@pytest.mark.parametrize("mode", ["off", "on"])
def test_a_short_training_that_diverges_is_no_evidence_and_ends_nothing(mode: str) -> None:
    def train(_: TrainingScene, settings: TrainSettings) -> ShortScores:
        if settings.exposure == mode:
            raise RunnerError("values became NaN", code=Code.TRAINING_DIVERGED, stage="training", advice="")
        return dict.fromkeys(PARTS, scores([20, 22], [21, 23]))

    decision = decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), train)
    assert not decision.corrected
    assert "came to no numbers" in decision.why


def test_a_short_training_without_memory_is_no_matter_of_evidence() -> None:
    def train(*_: object) -> ShortScores:
        raise RunnerError("out of memory", code=Code.OUT_OF_MEMORY, stage="training", advice="")

    with pytest.raises(RunnerError, match="out of memory"):
        decide(blank_scene(9), TrainSettings(exposure="auto"), drift(), train)


def test_one_left_out_picture_is_no_evidence() -> None:
    assert not compared([(scores([20], [20]), scores([22], [22]))]).helps


def test_a_decision_comes_back_from_json() -> None:
    for decision in (
        Decision(False, "none"),
        Decision(True, "some", 0.5, Evidence(3, 0.5, 0.25, 0.125, True), Evidence(3, 1, 2, 3)),
    ):
        assert Decision.from_json(decision.to_json()) == decision
