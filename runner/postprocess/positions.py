"""Which way is up, and which cameras are right, by where the pictures say they were taken: of drones.

The right axes and upper sides of cameras that look down say nothing of up, and little else does. But a flight is large
against what its positions are off by, so these and the cameras' own differ by a similarity (Umeyama 1991) whose up is
sure. Heights of one flight are right against each other, whatever they are measured from; of somebody who walks they
are mostly error, and so is up: then nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from runner.postprocess.place import metres
from runner.postprocess.upright import TOLD, Witness
from runner.scene.geometry import Similarity, camera_positions, centred, residuals, similarity
from runner.scene.views import View

FEWEST = 8  # pictures that agree
MIN_SHARE = 0.75  # of those that tell where they were taken
WIDE_M = 10.0  # rms in the second direction; of a flight along a line nobody knows which side is up
FAR = 3.0  # times the usual residual: such a position is left out
FITS = 0.1  # residual, relative to the mean distance from the middle
MOST_ERROR_DEG = 3.0  # of up, one standard deviation
RIGHT = 0.02  # rms residual, of the same: by so little differ cameras that two methods find alike (another_way.py)
ROUNDS = 5


@dataclass(frozen=True)
class Fitting:
    """Cameras and the positions of their pictures, brought together."""

    fit: Similarity  # from the cameras to metres east, north and up
    images: tuple[str, ...]  # that agree
    seen: int  # pictures that have a position
    left_m: float  # rms residual of those that agree
    left: float  # the same, relative to their mean distance from the middle
    error_deg: float  # of up, one standard deviation

    @property
    def up(self) -> Witness:
        """In the world of the cameras."""
        up = self.fit.rotation[2]  # what becomes the third axis, the heights
        detail = (
            f"{len(self.images)} of {self.seen} pictures fit within {self.left_m:.1f} m rms, so up is off by "
            f"{self.error_deg:.1f} degrees"
        )
        return Witness(TOLD, (float(up[0]), float(up[1]), float(up[2])), detail)

    @property
    def right(self) -> frozenset[str]:
        """Images whose cameras are where they say. Cameras that are bent, mirrored or joined at the wrong place are
        not, and what the pictures show has no say in it."""
        return frozenset(self.images if self.left <= RIGHT else ())


def by_positions(
    views: Sequence[View], positions: Mapping[str, tuple[float, float]], altitudes: Mapping[str, float]
) -> Fitting | None:
    """None where the positions do not tell. positions: degrees, latitude and longitude, by image. altitudes: metres."""
    seen = [view for view in views if view.image in positions and view.image in altitudes]
    if len(seen) < FEWEST:
        return None
    degrees = np.array([positions[view.image] for view in seen])
    heights = np.array([altitudes[view.image] for view in seen])
    there = np.column_stack([metres(degrees, degrees.mean(axis=0)), heights])
    here = camera_positions(seen)
    kept = np.ones(len(seen), bool)
    for _ in range(ROUNDS):
        fit = similarity(here[kept], there[kept])
        left = np.linalg.norm(fit.scale * (here @ fit.rotation.T) + fit.translation - there, axis=1)
        kept = left <= FAR * float(np.median(left[kept]))
        if kept.sum() < max(FEWEST, MIN_SHARE * len(seen)):
            return None
    wide_m = np.linalg.svd(centred(there[kept]), compute_uv=False) / np.sqrt(kept.sum())  # rms along its directions
    fit = similarity(here[kept], there[kept])
    apart = residuals(here[kept], there[kept], fit)
    left_m = float(np.sqrt(((apart * np.linalg.norm(centred(there[kept]), axis=1).mean()) ** 2).mean()))
    error_deg = float(np.degrees(left_m / (wide_m[1] * np.sqrt(kept.sum())))) if wide_m[1] > 0 else np.inf
    if wide_m[1] < WIDE_M or float(np.median(apart)) > FITS or error_deg > MOST_ERROR_DEG:
        return None
    images = tuple(view.image for view, good in zip(seen, kept, strict=True) if good)
    return Fitting(fit, images, len(seen), left_m, float(np.sqrt((apart**2).mean())), error_deg)
