"""What finished scenes took, in times of what the formula said: the model refits from the last of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Annotated

import msgspec
from msgspec import Meta

KEPT = 100  # finished scenes that are remembered
ASKED = 20  # the last of one kind that a new estimate goes by
LEAST_S = 1.0  # a stage that was shorter says nothing of its formula

Seconds = Annotated[float, Meta(ge=0, le=1e7)]
Name = Annotated[str, Meta(max_length=64)]


class Finished(msgspec.Struct, frozen=True):
    """One scene that was finished by a run of its own, from the first stage to the last."""

    run: Name
    backend: Name  # "cpu" | "gsplat"
    preset: Name
    cores: Annotated[float, Meta(gt=0, le=4096)]
    frames: Annotated[int, Meta(ge=0, le=1_000_000)]
    prior_s: dict[Name, Seconds]  # by stage, what the formula said
    took_s: dict[Name, Seconds]  # by stage
    low_s: Seconds  # of the whole, as it was estimated
    high_s: Seconds
    whole: bool = True  # False: it took over what an earlier attempt or run had found

    @property
    def total_s(self) -> float:
        return sum(self.took_s.values())


@dataclass(frozen=True)
class Ratios:
    """Of one stage: took / prior, the last scenes of one kind."""

    values: tuple[float, ...]

    @property
    def count(self) -> int:
        return len(self.values)

    def spread(self, low: float, high: float) -> tuple[float, float]:
        """The factors by which a next scene may differ from its formula. low, high: those without any scene.

        About the middle of what was seen; as wide as what was seen, and as the guess where little was.
        """
        centre, width = median(self.values), self.count**-0.5
        middle = (low * high) ** 0.5
        narrow, wide = (low / middle) ** width, (high / middle) ** width
        ordered = sorted(self.values)
        cut = self.count // 10
        return min(ordered[cut], centre * narrow), max(ordered[-1 - cut], centre * wide)


def ratios(finished: Iterable[Finished], backend: str, stages: Sequence[str]) -> dict[str, Ratios]:
    """By stage, for those of one backend. finished: oldest first."""
    last = [each for each in finished if each.backend == backend and each.whole][-ASKED:]
    found = {}
    for stage in stages:
        values = [
            each.took_s[stage] / each.prior_s[stage]
            for each in last
            if each.took_s.get(stage, 0.0) >= LEAST_S and each.prior_s.get(stage, 0.0) >= LEAST_S
        ]
        if values:
            found[stage] = Ratios(tuple(values))
    return found


def with_one_more(finished: Sequence[Finished], one: Finished) -> tuple[Finished, ...]:
    """A run is counted once, however often it is told."""
    return (*(each for each in finished if each.run != one.run), one)[-KEPT:]


def by_stage(stage_seconds: Mapping[str, float], names: Mapping[str, str]) -> dict[str, float]:
    """Seconds of a run's stages, summed into those of an estimate."""
    summed: dict[str, float] = {}
    for stage, seconds in stage_seconds.items():
        if stage in names:
            summed[names[stage]] = round(summed.get(names[stage], 0.0) + seconds, 3)
    return summed
