"""The most time or money of one scene: the smaller of operator's and uploader's holds, before anything costly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from runner.pipeline import settings as pipeline_settings
from runner.pipeline.fitting import fitted
from runner.pipeline.presets import preset
from runner.pipeline.scene_settings.budget import (
    LEAST_TRAINING_S,
    NO_BUDGET,
    SceneBudget,
    scene_budget,
    training_within,
)
from runner.pipeline.scene_settings.scene_file import Asked, read
from scenejobs.errors import Code, ConfigurationError, InputError
from scenejobs.estimate.footage import File, Footage
from scenejobs.estimate.prices import Price
from scenejobs.settings.knobs import Knobs
from scenejobs.settings.pipeline import PipelineSettings

T4 = "Consumption-GPU-NC8as-T4"  # 8 vCPU, 56 GiB
PRICES = {name: Price(usd, "second", "here", "a page", "2026-01-01")
          for name, usd in (("vcpu", 0.001), ("gib", 0.0005), ("gpu-t4", 0.014))}  # fmt: skip
UNKNOWN = {name: replace(price, usd=None) for name, price in PRICES.items()}
A_SECOND = 8 * 0.001 + 56 * 0.0005 + 0.014


def asked(text: str) -> Asked:
    return read(text.encode())


@pytest.mark.parametrize(
    ("operator", "scene_file", "seconds", "named"),
    [
        ({}, "", None, ""),
        ({"scene_budget_s": 900.0}, "", 900.0, "SCENE_BUDGET_SECS"),
        ({}, "scene_budget_secs: 600", 600.0, "scene_budget_secs of scene.yaml"),
        ({"scene_budget_s": 900.0}, "scene_budget_secs: 600", 600.0, "scene_budget_secs of scene.yaml"),
        ({"scene_budget_s": 900.0}, "scene_budget_secs: 1200", 900.0, "SCENE_BUDGET_SECS"),
        ({"scene_budget_s": 900.0}, "scene_budget_usd: 5", 5 / A_SECOND, "scene_budget_usd of scene.yaml"),
        ({"scene_budget_usd": 1.0}, "scene_budget_secs: 600", 1 / A_SECOND, "SCENE_BUDGET_USD"),
    ],
)
def test_the_smallest_of_what_is_said_holds(
    operator: dict[str, Any], scene_file: str, seconds: float | None, named: str
) -> None:
    found = scene_budget(Knobs(**operator), asked(scene_file), T4, PRICES)
    assert found.seconds == (None if seconds is None else pytest.approx(seconds))
    assert found.named == named
    assert bool(found.told) == (bool(scene_file) and named.isupper()), "who asked for more than there is, is told"


def test_money_without_a_price_is_refused_before_it_is_spent() -> None:
    with pytest.raises(ConfigurationError, match=r"SCENE_BUDGET_USD cannot be kept: no price of Consumption-GPU"):
        scene_budget(Knobs(scene_budget_usd=1.0), None, T4, UNKNOWN)
    with pytest.raises(InputError, match="use scene_budget_secs") as caught:
        scene_budget(Knobs(), asked("scene_budget_usd: 0.5"), T4, UNKNOWN)
    assert caught.value.code == Code.BAD_SETTINGS


def test_money_on_a_machine_that_nobody_bills_limits_nothing_and_that_is_told() -> None:
    found = scene_budget(Knobs(), asked("scene_budget_usd: 0.5"), "", UNKNOWN)
    assert found.seconds is None
    assert "not billed" in found.told[0]


def test_the_end_of_the_job_counts_where_it_comes_first() -> None:
    budget = SceneBudget(100.0, "SCENE_BUDGET_SECS")
    assert budget.beside(None, 1000.0) == (budget, 1100.0)
    assert budget.beside(2000.0, 1000.0) == (budget, 1100.0)
    assert budget.beside(1050.0, 1000.0) == (NO_BUDGET, 1050.0)
    assert NO_BUDGET.beside(1050.0, 1000.0) == (NO_BUDGET, 1050.0)


def test_a_scene_is_made_smaller_for_its_budget_and_the_words_name_it() -> None:
    high = preset("laptop-high")
    footage = Footage((File("a.mp4", 50_000_000, 60.0, 1800, 1920, 1080),))
    whole = fitted(high, footage, "cpu", ()).expected.total_s
    named = "scene_budget_secs of scene.yaml"
    found = fitted(high, footage, "cpu", (), left_s=0.6 * whole.middle, held_by=named)
    assert found.expected.total_s.middle <= 0.6 * whole.middle
    assert named in found.told[0]
    assert "JOB_TIMEOUT_SECS" not in found.told[0]
    with pytest.raises(InputError, match=r"s are allowed") as caught:
        fitted(high, footage, "cpu", (), left_s=5.0, held_by=named)
    assert named in caught.value.advice


def test_a_training_that_begins_late_gets_what_is_left_and_never_more_than_planned() -> None:
    planned, budget = preset("laptop").train, SceneBudget(1000.0, "SCENE_BUDGET_SECS")

    def seconds(now: float) -> float:
        return training_within(planned, budget, 1000.0, 50.0, now).budget_s

    assert seconds(1000.0 - 50.0 - 120.0) == 120.0
    assert seconds(0.0) == planned.budget_s
    assert seconds(990.0) == LEAST_TRAINING_S
    assert training_within(planned, NO_BUDGET, 1000.0, 50.0, 990.0) == planned, "another attempt goes on with it"


def test_a_job_gets_its_budget_and_no_second_attempt_of_twice_the_time() -> None:
    settings = PipelineSettings(preset="laptop", force_cpu=True)
    again = pipeline_settings.MoreTime(most_s=10_000, again=True)
    free = pipeline_settings.resolve(settings, "id", more_time=again)
    held = pipeline_settings.resolve(settings, "id", more_time=again, asked=asked("scene_budget_secs: 200"))
    assert (free.ends_at, free.train_again) == (None, True)
    assert held.ends_at is not None
    assert not held.train_again, "twice the time is what nobody wants to pay for"
    assert held.preset.poses.budget_s <= 200
