"""The estimate of a job before it begins, and a smaller job where the whole one would not fit into its time."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from runner.pipeline.presets import Preset
from scenejobs.errors import Code, InputError
from scenejobs.estimate import learned
from scenejobs.estimate.footage import Footage
from scenejobs.estimate.learned import Finished
from scenejobs.estimate.model import STAGE_OF, STAGES, Estimate, estimate
from scenejobs.estimate.plans import Plan
from scenejobs.estimate.prices import MACHINES, read_prices
from scenejobs.estimate.words import document, time

SHARES = (0.75, 0.5, 0.35, 0.25)  # of frames and training time that are tried, where all of it does not fit
LEAST_FRAMES = 24
OF_JOB = "JOB_TIMEOUT_SECS, REPLICA_TIMEOUT_SECS"
KEPT_S = 30.0  # of the time that is left: what ends in the last second is ended by its parent


@dataclass(frozen=True)
class Fitted:
    """What is done, and what it will take."""

    preset: Preset
    expected: Estimate
    prior_cores: float
    told: tuple[str, ...] = ()  # what was made smaller, for the reports


def plan_of(chosen: Preset, backend: str) -> Plan:
    """A preset as far as it costs."""
    frames, poses, train = chosen.frames, chosen.poses, chosen.train
    return Plan(
        chosen.name, backend == "gsplat", frames.budget, poses.features, frames.long_side, train.iterations, train.cap,
        train.long_side, train.budget_s, poses.features_of_few,
    )  # fmt: skip


def cores_of(threads: int) -> float:
    """threads: of the settings; 0: all that there are."""
    there = len(os.sched_getaffinity(0))
    return float(min(threads or there, there))


def fitted(
    chosen: Preset, footage: Footage, backend: str, finished: tuple[Finished, ...], *, threads: int = 0,
    left_s: float | None = None, held_by: str = "",
) -> Fitted:  # fmt: skip
    """The preset, or one with fewer frames and a shorter training where it would probably not end in time.

    left_s: until the run has to be over; None: no end is known. held_by: the setting that asks for that end; "": the
    limits of the job, whose parent ends it then. finished: scenes to learn from, oldest first.
    Raises InputError DOES_NOT_FIT where the smallest would surely not end in time.
    """
    cores, ratios = cores_of(threads), learned.ratios(finished, backend, STAGES)
    rate = chosen.frames.rate_fps or 0.0

    def of(preset: Preset) -> Estimate:
        return estimate(footage, plan_of(preset, backend), cores, ratios, rate)

    whole = of(chosen)
    limit_s = None if left_s is None else left_s if held_by else left_s - KEPT_S
    held_by = held_by or OF_JOB
    if limit_s is None or whole.total_s.middle <= limit_s:
        return Fitted(chosen, whole, cores)
    for share in SHARES:
        less = _smaller(chosen, share)
        expected = of(less)
        if expected.total_s.middle <= limit_s:
            break
    if expected.total_s.low > limit_s:
        raise InputError(
            f"the scene takes {time(expected.total_s)} even with {less.frames.budget} frames, and "
            f"{limit_s:.0f} s are allowed",
            code=Code.DOES_NOT_FIT, stage="validation",
            advice=f"use a smaller preset or shorter clips, or raise what allows no more: {held_by}",
        )  # fmt: skip
    told = (
        f"made with at most {less.frames.budget} frames and {less.train.budget_s:.0f} s of training instead of "
        f"{chosen.frames.budget} and {chosen.train.budget_s:.0f} s: all of it takes {time(whole.total_s)}, and "
        f"{limit_s:.0f} s are allowed ({held_by})"
    )
    return Fitted(less, expected, cores, (told,))


def _smaller(chosen: Preset, share: float) -> Preset:
    frames = min(chosen.frames.budget, max(LEAST_FRAMES, round(share * chosen.frames.budget)))
    train = replace(chosen.train, budget_s=round(share * chosen.train.budget_s, 3))
    return replace(chosen, frames=replace(chosen.frames, budget=frames), train=train)


def told_of(fit: Fitted, backend: str, machine: str, stage_seconds: Mapping[str, float]) -> dict[str, Any]:
    """Estimate and actual time for metrics.json: by the stages of an estimate, and what it cost where that is known.

    machine: profile that the execution is billed as; "": it is not billed.
    """
    prices, took = read_prices(), learned.by_stage(stage_seconds, STAGE_OF)
    billed = MACHINES.get(machine)
    rate = billed.per_second(prices) if billed else None
    return {
        **document(fit.expected, prices),
        "machines": None,
        "backend": backend,
        "cores": fit.prior_cores,
        "prior_s": fit.expected.prior_s,
        "took_s": took,
        "billed": billed
        and {
            "profile": billed.profile,
            "vcpu": billed.vcpu,
            "gib": billed.gib,
            "gpu": billed.gpu,
            "usd": None if rate is None else rate * sum(took.values()),
            "usd_by_stage": None if rate is None else {stage: rate * seconds for stage, seconds in took.items()},
        },
    }
