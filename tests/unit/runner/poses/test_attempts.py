"""Attempts at the poses: all of their time counts, and what one found out the next one knows."""

from __future__ import annotations

from dataclasses import replace

from runner.poses.attempts import AttemptState, StageTimer
from runner.poses.gates import Verdict
from runner.poses.rungs import Attempt, Rung
from scenejobs.errors import Code
from tests.pose_models import failed

FIRST = Rung("exhaustive", "incremental", 600, 320)
BEGUN = Attempt(FIRST, None, failed(Code.NO_OVERLAP))
ROOMS = (frozenset({"a.mp4"}), frozenset({"b.mp4"}))


def test_a_second_mapping_adds_to_the_time_of_the_first() -> None:
    """Another one is made to confirm a model; a budget that forgets the first would be passed."""
    times = iter([10.0, 11.0, 13.0, 17.0])
    timer = StageTimer(lambda: next(times))
    for name in ("match_s", "map_s", "map_s"):
        timer.stop(name)
    attempt = timer.timed(Attempt(FIRST, None, Verdict(False)))
    assert (attempt.match_s, attempt.map_s, attempt.seconds) == (1.0, 6.0, 7.0)


def test_nothing_is_known_before_the_first_attempt() -> None:
    assert AttemptState.of([]) == AttemptState()
    assert AttemptState.of([BEGUN]) == AttemptState()


def test_what_one_attempt_found_out_every_later_one_knows() -> None:
    """Two places of the same weight, a model that was not confirmed, a database that began with known pairs."""
    finer = replace(FIRST, features=1200)
    state = AttemptState.of([
        replace(BEGUN, rivals=(ROOMS,)), replace(BEGUN, disputed=True), replace(BEGUN, rung=finer, reused=True), BEGUN,
    ])  # fmt: skip
    assert state == AttemptState((ROOMS,), True, frozenset({finer.database}))
