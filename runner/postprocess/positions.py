"""Which way is up, by where the pictures say they were taken: of drones, whose cameras look down and turn around.

Their right axes and their upper sides say nothing, and so little else does. But a flight is large against what its
positions are off by, so these and the cameras' own differ by a similarity (Umeyama 1991) whose up is sure. Heights of
one flight are right against each other, whatever they are measured from; of somebody who walks they are mostly error,
and so is up: then nothing is told.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runner.postprocess.place import metres
from runner.postprocess.upright import TOLD, Witness
from runner.scene.geometry import camera_positions, centred, residuals, similarity
from runner.scene.views import View

FEWEST = 8  # pictures that agree
MIN_SHARE = 0.75  # of those that tell where they were taken
WIDE_M = 10.0  # rms in the second direction; of a flight along a line nobody knows which side is up
FAR = 3.0  # times the usual residual: such a position is left out
FITS = 0.1  # residual, relative to the mean distance from the middle
MOST_ERROR_DEG = 3.0  # of up, one standard deviation
ROUNDS = 5


def up_by_positions(
    views: Sequence[View], positions: Mapping[str, tuple[float, float]], altitudes: Mapping[str, float]
) -> Witness | None:
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
    up = fit.rotation[2]  # what becomes the third axis, the heights
    detail = (
        f"{kept.sum()} of {len(seen)} pictures fit within {left_m:.1f} m rms, so up is off by {error_deg:.1f} degrees"
    )
    return Witness(TOLD, (float(up[0]), float(up[1]), float(up[2])), detail)
