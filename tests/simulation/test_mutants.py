"""Each rule of the protocol is needed, and an invariant notices when it is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from runner.worker import attempt
from runner.worker import loop as worker_loop
from runner.worker.ending import commit
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.record import SceneRecord
from tests.simulation.__main__ import EXIT_BROKEN, main
from tests.simulation.campaign import Verdict, judge
from tests.simulation.mutant import Mutant, MutantRefused, Patch, always
from tests.simulation.mutants import BY_NAME, MUTANTS, NO_SWEEP

# The seed to begin at, where it takes many crashes from 0 on: a shorter scenario. `make simulate` begins at 0.
BEGIN = {
    "stamped before sent": 3,
    "delete any version": 100,
    "leased when answered": 350,
    "any marker removed": 100,
    "no requeue of records": 40,
    "withheld and part of it": 60,
    "a lease in each job": 29,
}


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_missing_rule_is_noticed(mutant: Mutant) -> None:
    """But for the redundant ones, which the table of mutants explains: of those nothing may be noticed."""
    trial = judge(mutant, BEGIN.get(mutant.name, 0))
    assert trial.as_expected, str(trial)


def test_a_scene_in_both_jobs_is_noticed_as_such() -> None:
    """Other invariants notice it in most schedules first."""
    trial = judge(BY_NAME["a lease in each job"], BEGIN["a lease in each job"])
    assert trial.outcome is not None
    assert trial.outcome.invariant == "I18"


def publish_of_before(record: SceneRecord, output: BlobStore) -> None: ...


def publish_that_checks_otherwise(record: SceneRecord, output: BlobStore, check: Callable[[], bool]) -> None: ...


def publish_that_is_told(record: SceneRecord, output: BlobStore, check: Callable[[], None]) -> str:
    return "published"


def publish_without_check(record: SceneRecord, output: BlobStore, check: Callable[[], None] = print) -> None: ...


def publish_whatever(*args: object, **kwargs: object) -> None: ...


def publish_and_die(record: SceneRecord, output: BlobStore, check: Callable[[], None]) -> None:
    raise TypeError("publish() takes 2 positional arguments but 3 were given")


def whole(self: BlobInfo) -> bool:
    return True


DIES = Mutant("dies", "nothing", (Patch(commit, "publish", publish_and_die),), "calm")
IDLE = Mutant("idle", "nothing", (always(worker_loop.Worker, "batch", 0),), "calm", limit=2)


@pytest.mark.parametrize(
    ("owner", "attribute", "replacement"),
    [
        (commit, "publish", publish_of_before),
        (commit, "publish", publish_that_checks_otherwise),
        (commit, "publish", publish_that_is_told),
        (commit, "publish", publish_without_check),
        (commit, "publish", publish_whatever),
        (commit, "published", publish_of_before),  # no such name
        (attempt, "Code", publish_of_before),  # no function
        (BlobInfo, "whole", whole),  # a property
    ],
)
def test_a_mutant_that_does_not_fit_the_code_is_refused(
    owner: object, attribute: str, replacement: Callable[..., object]
) -> None:
    with pytest.raises(MutantRefused, match=attribute):
        Patch(owner, attribute, replacement)


@pytest.mark.parametrize(("attribute", "value"), [("_new_run", 3), ("_new_run", None), ("handle", "done")])
def test_a_value_that_the_function_never_returns_is_refused(attribute: str, value: object) -> None:
    with pytest.raises(MutantRefused, match=attribute):
        always(worker_loop.Worker, attribute, value)


@pytest.mark.parametrize("redundant", ["", "nobody needs it"])
def test_an_exception_of_its_own_does_not_count_as_noticed(redundant: str) -> None:
    trial = judge(replace(DIES, redundant=redundant))
    assert trial.verdict is Verdict.BROKEN
    assert not trial.as_expected
    assert trial.outcome is not None
    assert trial.outcome.violation.startswith("I0: x")
    assert " died of TypeError" in trial.outcome.violation


@pytest.mark.parametrize("redundant", ["", "nobody needs it"])
def test_a_mutant_whose_function_is_never_called_proves_nothing(redundant: str) -> None:
    trial = judge(replace(IDLE, redundant=redundant))
    assert trial.verdict is Verdict.BROKEN
    assert not trial.as_expected
    assert "Worker.batch was never called" in str(trial)


def test_a_violation_that_the_mutant_has_no_part_in_does_not_count() -> None:
    """Without the sweep many a schedule of lost events is violated, whatever else is switched off."""
    harmless = BY_NAME["commit unchecked"].patches
    sweepless = Mutant("sweepless", "nothing", harmless, "events", limit=5)
    assert judge(replace(sweepless, patches=NO_SWEEP)).verdict is Verdict.NOTICED
    assert judge(replace(sweepless, off=NO_SWEEP)).verdict is Verdict.SURVIVED


def test_a_broken_mutant_fails_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    noticed = BY_NAME["delete before copy"]
    assert main(["--mutants"], [noticed]) == 0
    assert main(["--mutants"], [noticed, DIES]) == EXIT_BROKEN
    assert "otherwise than expected: dies" in capsys.readouterr().out


def test_a_rule_that_nothing_notices_fails_the_run_unless_the_table_says_why() -> None:
    unnoticed = replace(BY_NAME["commit unchecked"], limit=3)
    assert main(["--mutants"], [unnoticed]) == 0
    assert main(["--mutants"], [replace(unnoticed, redundant="")]) == 1
