"""Is a reconstruction with an unusual lens repeatable? The same images, begun from other random seeds.

Where things repeat (tiles, bricks, windows), structure-from-motion finds a room that is wrong by half its size and
passes every gate: all images registered, 0.8 px. It seldom finds it twice: runs of a room of tiles differed by 17 to
76 % of its size, or registered no camera, and once two of them agreed; runs of a right room differed by 0.3 to 2 %. A
further run costs as much as the first, so they are made only where the focal length is one that a filming phone seldom
has and that no metadata states; the wrong rooms had 1.4 to 2.6 of the long side.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from runner.poses.gates import Verdict
from runner.scene.geometry import residuals, similarity
from runner.scene.pose_report import Health
from scenejobs.errors import Code
from scenejobs.filming import UNIQUE

USUAL_FOCAL = (0.5, 1.25)  # focal length / long side: main lenses of phones while filming 0.65 to 0.85, wide ones 0.5
AGREEMENT = 0.1  # median distance between the two runs' cameras / mean distance of the cameras from their centre
FURTHER_RUNS = 2  # each from a seed of its own; the first that differs decides
LEAST_COMMON = 4  # cameras that both runs registered; fewer fit each other always

Centers = Mapping[str, Sequence[float]]  # camera positions by image


def is_odd(health: Health, lens_stated: bool) -> bool:
    """Is the lens one that filming phones seldom have? lens_stated: the metadata has a focal length."""
    shortest, longest = USUAL_FOCAL
    return not lens_stated and not shortest <= health.focal_ratio <= longest


def disagreement(one: Centers, other: Centers) -> float | None:
    """Median distance of the cameras of two runs after the best similarity (Umeyama 1991), relative to the mean
    distance of the cameras from their centre. None: too few are in both to compare."""
    names = sorted(one.keys() & other.keys())
    if len(names) < LEAST_COMMON:
        return None
    a, b = (np.array([run[name] for name in names], np.float64) for run in (other, one))
    return float(np.median(residuals(a, b, similarity(a, b))))


def judged(verdict: Verdict, differs: float | None) -> Verdict:
    """The verdict on a model that passed, after a further run. differs: None when that one has nothing to compare."""
    if differs is not None and differs <= AGREEMENT:
        return verdict
    elsewhere = "finds no cameras" if differs is None else f"puts the cameras {differs:.0%} of their path elsewhere"
    reason = f"a second run from another start {elsewhere}: the pictures do not tell where they were taken"
    return Verdict(False, Code.POSES_UNRELIABLE, (reason,), UNIQUE)
