"""What the run took against what was expected of it, and what that cost: rows for the report. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scenejobs.estimate.model import Range
from scenejobs.estimate.words import NAMES, time


@dataclass(frozen=True)
class Row:
    """One group of stages, or all of them."""

    name: str
    expected: str
    took_s: float
    cost: str  # "0.12 USD", "3.4 GPU minutes", "" where the machine is not billed


@dataclass(frozen=True)
class Costs:
    """For the template."""

    rows: Sequence[Row]
    note: str  # what the cost is reckoned by, or why there is none
    learned: str  # what the expectation was based on


def costs(estimate: Mapping[str, Any] | None) -> Costs | None:
    """estimate: of metrics.json; None where there is none, as of a mock."""
    if not estimate:
        return None
    took, billed = estimate["took_s"], estimate["billed"]
    rows = [
        Row(NAMES[stage], time(Range(**expected)), took.get(stage, 0.0), _cost(billed, stage, took.get(stage, 0.0)))
        for stage, expected in estimate["stages_s"].items()
    ]
    rows += [
        Row(NAMES[stage], "not expected", seconds, _cost(billed, stage, seconds))
        for stage, seconds in took.items()
        if stage not in estimate["stages_s"]
    ]
    whole = sum(took.values())
    rows.append(Row("all together", time(Range(**estimate["total_s"])), whole, _cost(billed, None, whole)))
    basis = "the headers of the films" if estimate["from"] == "headers" else "the sizes of the files"
    scenes = estimate["scenes_learned_from"]
    return Costs(
        rows, _note(billed), basis + (f" and {scenes} finished scene{'s' if scenes > 1 else ''}" if scenes else "")
    )


def _cost(billed: Mapping[str, Any] | None, stage: str | None, seconds: float) -> str:
    if billed is None:
        return ""
    if billed["usd"] is None:
        return f"{seconds / 60:.1f} {'GPU minutes' if billed['gpu'] else 'minutes'}"
    return f"{billed['usd'] if stage is None else billed['usd_by_stage'].get(stage, 0.0):.2f} USD"


def _note(billed: Mapping[str, Any] | None) -> str:
    if billed is None:
        return "Nobody bills this machine by the second (MACHINE_PROFILE is not set)."
    machine = f"{billed['profile']}: {billed['vcpu']:g} vCPU and {billed['gib']:g} GiB, billed for every second"
    if billed["usd"] is None:
        return f"{machine}. What a second costs is not known here (docs/cost.md)."
    return f"{machine}; start of the machine and pull of the image come on top."
