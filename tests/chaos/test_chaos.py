"""A slice of the chaos runs: the windows where something is decided, moved or given away. `make chaos` takes every one.

All cases run side by side, once; they wait for leases to end, more than they compute.
"""

from __future__ import annotations

import re
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from local.azurite import Azurite
from tests.chaos import cases, kill, takeover, zombie
from tests.chaos.cases import Case, Result, Strike
from tests.chaos.crashing import Point
from tests.chaos.lost_answers import Clean, undisturbed
from tests.chaos.scenarios import DEAD_LETTER, QUIET, SECOND, SUCCESS, SWEEP, Scenario
from tests.chaos.world import LEASE_S, Worlds

pytestmark = [pytest.mark.azurite, pytest.mark.slow]

PARALLEL = 12  # more would starve the tests beside them on a small machine
ALLOWANCE_S = 20.0
RECORD = r"PUT /state/scenes/lobby.json$"

# scenario, kinds of point, request of the undisturbed run, which of those that match (-1: the last)
KILLS = (
    (SUCCESS, "a", r"GET /jobs/messages$", 1),  # received; the first match is the look at start-up
    (SUCCESS, "a", "acquire$", 0),
    (SUCCESS, "a", RECORD, 1),  # the attempt is counted; the first match creates the record
    (SUCCESS, "b", r"PUT /output/lobby/runs/RUN/manifest.json$", 0),
    (SUCCESS, "ba", RECORD, 2),  # the commit
    (SUCCESS, "ba", r"PUT /output/lobby/manifest.json$", -1),  # published; the first one withdraws what was there
    (SUCCESS, "a", r"PUT /processed/.* copy$", 0),
    (SUCCESS, "ba", r"DELETE /input/", -1),
    (SUCCESS, "b", RECORD, -1),  # the close
    (SUCCESS, "a", "release$", 0),
    (SUCCESS, "a", r"DELETE /jobs/messages", 0),
    (DEAD_LETTER, "a", RECORD, 2),  # given up
    (DEAD_LETTER, "b", r"PUT /error/lobby/error.json$", 0),
    (DEAD_LETTER, "a", r"PUT /error/.* copy$", 0),
    (DEAD_LETTER, "a", r"DELETE /input/", 0),
    (SECOND, "a", r"PUT /output/lobby/manifest.json$", 0),  # withdrawn
    (SECOND, "b", r"PUT /output/lobby/manifest.json$", -1),
    (SECOND, "a", r"PUT /processed/lobby/generation~2/.* copy$", 0),
    (QUIET, "a", r"POST /jobs/messages$", 0),
    (QUIET, "a", r"POST /runner/start$", 0),
    (SWEEP, "a", r"POST /jobs/messages$", 0),
)
ZOMBIES = (
    (SUCCESS, "s", RECORD, 2),  # the commit
    (SUCCESS, "s", r"PUT /processed/.* copy$", 0),
    (SUCCESS, "s", r"DELETE /input/lobby/view1.mp4$", 0),
    (zombie.OVERTAKEN, "s", r"PUT /output/lobby/manifest.json$", -1),
    (DEAD_LETTER, "s", r"PUT /error/lobby/run.log$", 0),
    (DEAD_LETTER, "s", r"PUT /error/lobby/error.json$", 0),
    (SECOND, "s", r"PUT /output/lobby/manifest.json$", 0),
)
LOST = (
    (SUCCESS, "l", r"DELETE /jobs/messages", 0),
    (SUCCESS, "l", RECORD, 2),  # the commit
    (SUCCESS, "l", r"PUT /processed/.* copy$", 0),
    (SUCCESS, "l", r"DELETE /input/", 0),
)

TRIES = 3  # of a request that a run did not come to

Chosen = tuple[tuple[Scenario, str, str, int], ...]


@dataclass
class Slice:
    """What came of all cases."""

    kills: list[Result]
    zombies: list[Result]
    lost: list[Result]
    times_s: dict[str, float]  # of `takeover.HAPPENINGS`


def points(chosen: Chosen, clean: dict[str, Clean]) -> list[Case]:
    """The requests by what they are, not by their number: that changes with the code."""
    found = []
    for scenario, kinds, pattern, which in chosen:
        lines = [cases.what(line) for line in clean[scenario.name].trace]
        numbers = [number for number, line in enumerate(lines, start=1) if re.search(pattern, line)]
        number = numbers[which]
        found += [Case(scenario, Point(kind, number), lines[number - 1]) for kind in kinds]
    return found


@pytest.fixture(scope="module")
def everything(azurite: Azurite) -> Slice:
    with Worlds(azurite) as worlds, ThreadPoolExecutor(PARALLEL) as pool:
        measured = {item.name: pool.submit(takeover.measure, worlds, item, LEASE_S) for item in takeover.HAPPENINGS}
        scenarios = (SUCCESS, DEAD_LETTER, SECOND, QUIET, SWEEP)
        learned = list(pool.map(lambda scenario: undisturbed(worlds, scenario), scenarios))
        clean = {scenario.name: trace for scenario, trace in zip(scenarios, learned, strict=True)}
        clean[zombie.OVERTAKEN.name] = clean[SUCCESS.name]

        def struck(entry: Chosen, case: Case, strike: Strike) -> Result:
            """How often a runner looks depends on the time: where it ended before its request, nothing was struck, and
            the request is looked for once more in a run of now."""
            for _ in range(TRIES):
                if (result := cases.run(worlds, case, strike)).reached:
                    break
                again = {**clean, case.scenario.name: undisturbed(worlds, case.scenario)}
                case = next(one for one in points(entry, again) if one.point.kind == case.point.kind)
            return result

        def start(chosen: Chosen, strike: Strike) -> list[Future[Result]]:
            return [pool.submit(struck, (entry,), case, strike) for entry in chosen for case in points((entry,), clean)]

        zombies = start(ZOMBIES, zombie.strike)  # they take the longest
        kills = start(KILLS, kill.strike)
        lost = start(LOST, clean[SUCCESS.name].strike)
        done = ([future.result() for future in group] for group in (kills, zombies, lost))
        return Slice(*done, {name: future.result() for name, future in measured.items()})


def test_whoever_is_killed_at_a_request_is_recovered_from_and_nothing_is_lost_or_twice(everything: Slice) -> None:
    """SIGKILL before or after it, then what the platform does by itself."""
    assert all(result.reached for result in everything.kills)
    assert cases.failures(everything.kills) == []


def test_a_frozen_runner_that_wakes_after_its_rival_changes_nothing(everything: Slice) -> None:
    assert all(result.reached for result in everything.zombies)
    assert cases.failures(everything.zombies) == []


def test_a_lost_answer_changes_nothing_about_the_end(everything: Slice) -> None:
    assert cases.failures(everything.lost) == []


def test_work_that_lost_its_lease_or_heartbeat_ends_and_a_dead_runners_scene_is_taken_over(everything: Slice) -> None:
    """Within what follows from the lease; the allowance is for a busy machine."""
    for item in takeover.HAPPENINGS:
        allowed_s = item.limit_s(LEASE_S) + ALLOWANCE_S
        assert everything.times_s[item.name] <= allowed_s, item.name
