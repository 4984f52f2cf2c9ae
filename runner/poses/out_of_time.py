"""What ended for want of time, and not because of the footage: an error that is tried again, with more time.

A refusal says that the footage cannot work. That may be said only of what was tried to its end: another way that the
budget did not allow, or a mapping that was ended before it was done, may be what the scene needs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from runner.poses.bent import bent_in_words
from runner.poses.ladder import LOW_SHARE
from runner.poses.prices import expected_s
from runner.poses.rungs import Attempt, Rung
from runner.poses.settings import STAGE, PoseSettings
from scenejobs.errors import Code, RunnerError
from scenejobs.filming import AS_RECORDED

ROUND_S = 60.0  # a budget that is advised is a multiple of it


def out_of_time(
    tried: Sequence[Attempt], left: Sequence[Rung], frame_count: int, settings: PoseSettings,
    bent: Sequence[str] = (),
) -> RunnerError | None:  # fmt: skip
    """The error for attempts of which none passed; None: more time would not have helped.

    left: rungs that could still help. bent: clips whose pictures are bent, each in another way: something is wrong
    with these files, whatever the time.
    """
    own = [attempt for attempt in tried if not attempt.rung.supplied]
    cut = [f"{attempt.rung}: {attempt.cut}" for attempt in own if attempt.cut]
    if not left and not cut:
        return None
    spent_s = sum(attempt.seconds for attempt in own)
    more_s = sum(expected_s(rung, own, frame_count) for rung in left)
    ways = f"{len(own)} of {len(own) + len(left)} ways to find the camera poses"
    causes = [f"POSES_BUDGET_SECS={settings.budget_s:.0f} was enough for {ways}, which took {spent_s:.0f} s"]
    if left:
        causes.append(f"the next one ({left[0]}) was not begun")
    needed_s = max(spent_s + more_s, 2 * settings.budget_s)
    return _timed_out("; ".join([*causes, *cut]), needed_s, bent)


def lacks_frames(chosen: Attempt, frame_count: int) -> bool:
    """Did the time limit end a mapping that passes while a good part of the frames was not placed yet?"""
    placed = len(chosen.model.names) if chosen.model is not None else 0
    return bool(chosen.cut) and placed < LOW_SHARE * frame_count


def cut_short(chosen: Attempt, frame_count: int) -> tuple[str, ...]:
    """What a report says of a mapping that passes and was ended by its time limit."""
    if not chosen.cut or chosen.model is None:
        return ()
    placed = f"{len(chosen.model.names)} of {frame_count} frames are placed"
    return (f"{chosen.cut}, before it was done: {placed}; a larger POSES_BUDGET_SECS may give better cameras",)


def first_way_took_too_long(error: RunnerError, settings: PoseSettings) -> RunnerError:
    """For a first rung that was ended: nothing is known yet."""
    return _timed_out(f"the first way to find the camera poses was ended: {error.cause}", 2 * settings.budget_s)


def _timed_out(cause: str, needed_s: float, bent: Sequence[str] = ()) -> RunnerError:
    budget_s = math.ceil(needed_s / ROUND_S) * ROUND_S
    if bent:
        cause = f"{bent_in_words(bent)}: {cause}; POSES_BUDGET_SECS={budget_s:.0f} would be enough for all"
        return RunnerError(cause, code=Code.POSES_TIMED_OUT, stage=STAGE, advice=AS_RECORDED)
    advice = (
        f"nothing is known to be wrong with the files: raise POSES_BUDGET_SECS to {budget_s:.0f}, use a smaller preset "
        "or a faster machine"
    )
    return RunnerError(cause, code=Code.POSES_TIMED_OUT, stage=STAGE, advice=advice)
