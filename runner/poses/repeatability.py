"""Is a reconstruction with an unusual lens repeatable? The same images, begun from other random seeds.

Where things repeat (tiles, bricks, windows), structure-from-motion finds a room that is wrong by half its size and
passes every gate: all images registered, 0.8 px. It seldom finds it twice: runs of a room of tiles differed by 17 to
76 % of its size, or registered no camera, and once two of them agreed; runs of a right room differed by 0.3 to 2 %. A
further run costs as much as the first, so they are made only where the focal length is one that a filming phone seldom
has and that no metadata states; the wrong rooms had 1.4 to 2.6 of the long side.

Another start is a weak witness: of 48 pictures of such a room all pairs gave the same wrong room from three seeds.
Other pairs are a stronger one: of many frames such a lens has to come out of the pairs that look alike and of all.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from runner.poses.gates import Verdict
from runner.poses.rungs import Attempt, Rung
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


def by_other_pairs(rung: Rung, tried: Sequence[Attempt]) -> Attempt | None:
    """The attempt with the same features and mapper that failed on other pairs, if its mapping was done."""
    same = (
        attempt for attempt in tried
        if replace(attempt.rung, matching=rung.matching, fixed_lens=rung.fixed_lens) == rung
        and attempt.rung.matching != rung.matching
        and attempt.map_s and not attempt.cut and not attempt.verdict.passed
    )  # fmt: skip
    return next(same, None)


def from_a_part(verdict: Verdict) -> Verdict:
    """The verdict on a model with an odd lens that passed, but was found from a part of the pairs alone."""
    reason = "an unusual lens was found from a part of the pairs alone: all of them have to find the same cameras"
    return replace(verdict, passed=False, code=Code.POSES_UNRELIABLE, reasons=(reason,), advice=UNIQUE)


def judged(verdict: Verdict, differs: float | None, other: str = "a second run from another start") -> Verdict:
    """The verdict on a model that passed, after another run. differs: None when that one has nothing to compare."""
    if differs is not None and differs <= AGREEMENT:
        return verdict
    elsewhere = "finds no cameras" if differs is None else f"puts the cameras {differs:.0%} of their path elsewhere"
    reason = f"{other} {elsewhere}: the pictures do not tell where they were taken"
    return Verdict(False, Code.POSES_UNRELIABLE, (reason,), UNIQUE)
