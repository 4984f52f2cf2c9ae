"""How a stage reports its progress, and how it learns that it has to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

from runner.scene.stages import SHARES
from scenejobs.errors import Interrupted

OnProgress = Callable[[float, str], None]
"""Called with the share of a piece of work that is done, 0..1, and what is being done; may raise Interrupted."""


@dataclass(frozen=True)
class Report:
    """One step of progress."""

    stage: str  # a value of Stage
    fraction: float  # of this stage, 0..1
    detail: str = ""  # "step 1200/5000, 23.4 dB, 18,211 Gaussians"
    eta_s: float | None = None  # until this stage ends, when known
    expected_s: tuple[float, float] | None = None  # of the whole run, at least and at most, as it was estimated

    @property
    def total_fraction(self) -> float:
        """Of the whole run, 0..1."""
        before = 0.0
        for stage, share in SHARES.items():
            if stage == self.stage:
                return min(1.0, before + share * min(1.0, max(0.0, self.fraction)))
            before += share
        return before

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "total_fraction": round(self.total_fraction, 4)}


@dataclass(frozen=True)
class Progress:
    """Handed to every stage. `report` is cheap and may be called often; `check` raises when a stop was requested."""

    emit: Callable[[Report], None]
    stop_requested: Callable[[], bool] = lambda: False

    def report(self, stage: str, fraction: float, detail: str = "", eta_s: float | None = None) -> None:
        self.emit(Report(stage, fraction, detail, eta_s))

    def check(self, stage: str) -> None:
        """Raises Interrupted when a stop was requested. Call it at every point where stopping is cheap."""
        if self.stop_requested():
            raise Interrupted(f"stopped during {stage}", stage=stage)


def never_back(emit: Callable[[Report], None]) -> Callable[[Report], None]:
    """Hands reports on, with the largest fraction of their stage so far: a second way, a plan that is cut anew or steps
    that are taken back are told in the words of a report, and not by a percentage that falls."""
    reached: dict[str, float] = {}

    def told(report: Report) -> None:
        reached[report.stage] = max(reached.get(report.stage, 0.0), report.fraction)
        emit(replace(report, fraction=reached[report.stage]))

    return told


SILENT = Progress(emit=lambda _: None)
