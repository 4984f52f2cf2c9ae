"""Times of an attempt at the poses: all of them count, for what a further way may take."""

from __future__ import annotations

from runner.poses.attempts import Clock
from runner.poses.gates import Verdict
from runner.poses.ladder import Attempt, Rung


def test_a_second_mapping_adds_to_the_time_of_the_first() -> None:
    """Another one is made for a second opinion; a budget that forgets the first would be passed."""
    times = iter([10.0, 11.0, 13.0, 17.0])
    clock = Clock(lambda: next(times))
    for name in ("match_s", "map_s", "map_s"):
        clock.lap(name)
    attempt = clock.end(Attempt(Rung("exhaustive", "incremental", 600, 320), None, Verdict(False)))
    assert (attempt.match_s, attempt.map_s, attempt.seconds) == (1.0, 6.0, 7.0)
