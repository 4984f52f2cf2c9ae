"""What was measured, decided and learned of the exposures of a training, as the documents tell it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from runner.scene.views import TrainingScene
from runner.training.exposure.drift import ExposureDrift
from runner.training.exposure.evidence import NOT_DECIDED, Decision
from runner.training.exposure.model import Exposures

NEAREST_NAMED = 3  # pictures that are named as having the exposure of the scene


@dataclass(frozen=True)
class ExposureResult:
    """All natural logs are of values on the sRGB scale."""

    spread: float  # ExposureDrift.spread
    contradiction: float  # ExposureDrift.contradiction
    falloff: float  # ExposureDrift.falloff
    decision: Decision
    largest: float = 0.0  # of the learned log gains, by absolute value
    nearest: tuple[str, ...] = ()  # the training pictures that the scene is nearest to in exposure, nearest first

    @property
    def corrected(self) -> bool:
        return self.decision.corrected

    @property
    def tried(self) -> bool:
        return self.decision.one_exposure is not None

    def to_json(self) -> dict[str, Any]:
        """For metrics.json and manifest.json."""
        decided = self.decision.to_json()
        learned = {
            "largest_log_gain": self.largest,
            "nearest_pictures": list(self.nearest),
            "follows_place": self.decision.follows_place,
            "part_that_follows": self.decision.part,
        }
        return {
            "spread": self.spread,
            "contradiction": self.contradiction,
            "falloff": self.falloff,
            "compensated": self.corrected,
            "why": self.decision.why,
            "evidence": {name: decided[name] for name in ("one_exposure", "following")} if self.tried else None,
            "scene": learned if self.corrected else None,
            "correction": "a gain and a bias per channel, fitted to each scored picture itself",
        }


NOTHING_CORRECTED = ExposureResult(0.0, 0.0, 0.0, NOT_DECIDED)


def exposure_result(
    scene: TrainingScene, drift: ExposureDrift, decision: Decision, exposures: Exposures | None
) -> ExposureResult:
    """exposures: at the end of the training; None where nothing is corrected."""
    measured = ExposureResult(drift.spread, drift.contradiction, drift.falloff, decision)
    if exposures is None:
        return measured
    gains = exposures.log_gains()
    order = np.argsort(np.square(gains).mean(axis=1), kind="stable")[:NEAREST_NAMED]
    train = scene.subset("train")
    names = tuple(scene.views[train[index]].image for index in order)
    return ExposureResult(drift.spread, drift.contradiction, drift.falloff, decision, float(np.abs(gains).max()), names)
