"""What a scene without camera poses is told: what is wrong, in which clip and when, and what to film instead."""

from __future__ import annotations

from runner.poses.coverage import Coverage
from runner.poses.gates import Verdict
from runner.poses.settings import STAGE
from runner.scene.shots import cut_films
from scenejobs.errors import Code, InputError
from scenejobs.filming import UNCUT

LOST = (Code.NO_OVERLAP, Code.TOO_FEW_REGISTERED, Code.POSES_UNRELIABLE)  # what shots of several places come to


def refusal(verdict: Verdict, coverage: Coverage) -> InputError:
    """The error for a verdict that did not pass.

    An edited film is called one: its shots show several places, or one from too far apart, and no way of filming
    slower helps.
    """
    cause, code, advice = "; ".join(verdict.reasons), verdict.code, verdict.advice
    clips = coverage.frames.clips
    if code in LOST and (edited := cut_films(clips)):
        cause, code, advice = f"{edited}, and its shots do not join to one place: {cause}", Code.NO_OVERLAP, UNCUT
    elif not any(clip.name in cause for clip in clips):
        cause = f"{cause} ({coverage.where(coverage.names)})"
    return InputError(cause, advice=advice, code=code, stage=STAGE)
