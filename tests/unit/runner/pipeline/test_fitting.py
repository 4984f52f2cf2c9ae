"""A job that would not end in time is made smaller before it begins, and refused where even that is too much."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.pipeline.fitting import LEAST_FRAMES, fitted, told_of
from runner.pipeline.presets import preset
from runner.scene.stages import MADE_AGAIN
from scenejobs.errors import Code, InputError
from scenejobs.estimate.footage import File, Footage
from scenejobs.estimate.learned import Finished

HIGH = preset("laptop-high")
FOOTAGE = Footage((File("a.mp4", 50_000_000, 60.0, 1800, 1920, 1080),))


def test_what_fits_is_done_as_it_is() -> None:
    for left_s in (None, 100_000.0):
        found = fitted(HIGH, FOOTAGE, "cpu", (), left_s=left_s)
        assert (found.preset, found.told) == (HIGH, ())


def test_what_does_not_fit_has_fewer_frames_and_less_training_and_says_so() -> None:
    whole = fitted(HIGH, FOOTAGE, "cpu", ())
    found = fitted(HIGH, FOOTAGE, "cpu", (), left_s=0.6 * whole.expected.total_s.middle)
    assert LEAST_FRAMES <= found.preset.frames.budget < HIGH.frames.budget
    assert found.preset.train.budget_s < HIGH.train.budget_s
    assert found.expected.total_s.middle < 0.6 * whole.expected.total_s.middle
    assert "JOB_TIMEOUT_SECS" in found.told[0]


def test_what_cannot_fit_is_refused_with_the_numbers() -> None:
    with pytest.raises(InputError, match="s are allowed") as caught:
        fitted(HIGH, FOOTAGE, "cpu", (), left_s=60.0)
    assert caught.value.code == Code.DOES_NOT_FIT
    assert "REPLICA_TIMEOUT_SECS" in caught.value.advice


def test_scenes_that_took_less_let_more_through() -> None:
    """The limit is held against what scenes take here, not against a guess."""
    guess = fitted(HIGH, FOOTAGE, "cpu", ())
    left_s = 0.5 * guess.expected.total_s.middle
    assert fitted(HIGH, FOOTAGE, "cpu", (), left_s=left_s).told
    prior = {stage: seconds for stage, seconds in guess.expected.prior_s.items()}
    fast = tuple(
        Finished(f"r{i}", "cpu", HIGH.name, 2.0, 100, prior, {stage: 0.3 * s for stage, s in prior.items()}, 1.0, 2.0)
        for i in range(20)
    )
    assert not fitted(HIGH, FOOTAGE, "cpu", fast, left_s=left_s).told


def test_the_report_has_both_times_and_no_price_that_is_not_known() -> None:
    found = fitted(HIGH, FOOTAGE, "cpu", ())
    told = told_of(found, "cpu", "Consumption-GPU-NC8as-T4", {"training": 100.0, "clean_up": 5.0, "ply_export": 1.0})
    assert told["took_s"] == {"training": 100.0, "finish": 6.0}
    assert told["billed"]["usd"] is None
    assert told["billed"]["gpu"]
    assert told_of(found, "cpu", "", {})["billed"] is None
    assert told_of(replace(found), "cpu", "D4", {})["billed"] is None


def test_a_scene_that_was_made_again_does_not_say_that_every_finish_takes_as_long() -> None:
    """The second way counted as clean-up: after one such scene the next had minutes less for its training."""
    guess = fitted(HIGH, FOOTAGE, "cpu", ())
    took = {"training": 100.0, "clean_up": 29.4, MADE_AGAIN: 600.0}
    told = told_of(guess, "cpu", "D4", took)
    assert told["took_s"] == {"training": 100.0, "finish": 29.4, "again": 600.0}
    one = Finished("r", "cpu", HIGH.name, 2.0, 100, guess.expected.prior_s, told["took_s"], 1.0, 2.0)
    assert one.total_s == sum(took.values())
    after = fitted(HIGH, FOOTAGE, "cpu", (one,)).expected.stages_s
    assert after["finish"].high <= 1.01 * guess.expected.stages_s["finish"].high
    assert set(after) == set(guess.expected.stages_s)
