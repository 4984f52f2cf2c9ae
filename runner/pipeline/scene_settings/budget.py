"""The most time or money of a run, by its operator and by the uploader's scene.yaml: the smallest of them holds."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner.pipeline.scene_settings.scene_file import Asked, as_settings, refused
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, ConfigurationError
from scenejobs.estimate.prices import MACHINES, Price, read_prices
from scenejobs.names import SCENE_FILE
from scenejobs.settings.knobs import Knobs

LEAST_TRAINING_S = 10.0  # what a training gets where finding the poses took all the time
SECONDS, USD = "SCENE_BUDGET_SECS", "SCENE_BUDGET_USD"


@dataclass(frozen=True)
class SceneBudget:
    """What a run may take."""

    seconds: float | None = None  # wall clock; None: nothing is said
    named: str = ""  # what says it, for messages
    told: tuple[str, ...] = ()  # what could not be held, for the reports

    def beside(self, ends_at: float | None, begun: float) -> tuple[SceneBudget, float | None]:
        """With the end that others set: the budget, none where that end comes first, and the earlier end.

        ends_at, begun, result: on one clock; None: no end.
        """
        if self.seconds is None:
            return self, ends_at
        own = begun + self.seconds
        return (self, own) if ends_at is None or own < ends_at else (SceneBudget(told=self.told), ends_at)


NO_BUDGET = SceneBudget()


def scene_budget(
    operator: Knobs, asked: Asked | None, machine: str, prices: Mapping[str, Price] | None = None
) -> SceneBudget:
    """machine: profile that the run is billed as; "": it is not billed. prices: None for those of prices.tsv.

    Where the price is not known a limit of money could not be kept. Raises ConfigurationError for one of the operator,
    InputError BAD_SETTINGS for one of scene.yaml.
    """
    wishes: Mapping[str, Any] = as_settings(asked) if asked else {}
    who = ((operator.scene_budget_s, operator.scene_budget_usd, ""),
           (wishes.get("scene_budget_s", 0.0), wishes.get("scene_budget_usd", 0.0), f" of {SCENE_FILE}"))  # fmt: skip
    limits: list[tuple[float, str]] = []
    told: list[str] = []
    for seconds, usd, whose in who:
        if seconds:
            limits.append((seconds, _named(SECONDS, whose)))
        if usd and not machine:
            told.append(f"{_named(USD, whose)} limits nothing: this run is not billed (MACHINE_PROFILE)")
        elif usd:
            limits.append((usd / _rate(machine, prices, whose), _named(USD, whose)))
    if not limits:
        return SceneBudget(told=tuple(told))
    least = min(limits)
    told += [
        f"{name} asks for {seconds:.0f} s: {least[0]:.0f} s are the most here ({least[1]})"
        for seconds, name in limits if name.endswith(SCENE_FILE) and not least[1].endswith(SCENE_FILE)
    ]  # fmt: skip
    return SceneBudget(*least, told=tuple(told))


def _named(variable: str, whose: str) -> str:
    return f"{variable.lower()}{whose}" if whose else variable


def _rate(machine: str, prices: Mapping[str, Price] | None, whose: str) -> float:
    """USD a second."""
    billed = MACHINES.get(machine)
    rate = billed.per_second(read_prices() if prices is None else prices) if billed else None
    if rate:
        return rate
    why = f"{_named(USD, whose)} cannot be kept: no price of {machine} is known"
    if whose:
        raise refused(f"{why}; use {SECONDS.lower()}")
    advice = f"fill in scenejobs/estimate/prices.tsv, or use {SECONDS}"
    raise ConfigurationError(why, code=Code.INVALID_SETTING, advice=advice, stage="configuration")


def training_within(
    planned: TrainSettings, budget: SceneBudget, ends_at: float | None, finish_s: float, now: float | None = None
) -> TrainSettings:
    """A training that leaves `finish_s` seconds of the scene's budget for what follows it.

    ends_at, now: on one clock; now: None for this moment.
    """
    if budget.seconds is None or ends_at is None:
        return planned
    left_s = ends_at - (time.monotonic() if now is None else now) - finish_s
    return replace(planned, budget_s=round(min(planned.budget_s, max(LEAST_TRAINING_S, left_s)), 3))
