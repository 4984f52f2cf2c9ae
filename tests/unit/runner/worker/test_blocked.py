"""A scene that cannot be brought to its end without help: it is told, costs little, and goes on once it is helped."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import AccessDenied, Busy, Conflict, InputError
from scenejobs.logs.alerts import Alert
from scenejobs.ports import Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records, redrive
from scenejobs.state.layout import record_name
from scenejobs.state.overview.status import State
from scenejobs.state.record import Phase
from tests.days import DAY_S, Days

MOST_A_DAY = 12  # executions
REFUSALS = [Conflict("the published file has a snapshot"), AccessDenied("403"), Busy("503")]


class Refusing(MemoryBlobStore):
    """A store that refuses a verb on some names while `error` is set."""

    error: Exception | None = None
    verb = "write"
    part = ""

    def write(self, name: str, data: bytes, **options: Any) -> str:
        self._refuse("write", name)
        return super().write(name, data, **options)

    def copy_from(self, source: Any, source_name: str, name: str, **options: Any) -> Any:
        self._refuse("copy", name)
        return super().copy_from(source, source_name, name, **options)

    def _refuse(self, verb: str, name: str) -> None:
        if self.error is not None and verb == self.verb and self.part in name:
            raise self.error


def days_with(tmp_path: Path, kind: str, verb: str, part: str, **options: Any) -> tuple[Days, Refusing]:
    refusing: list[Refusing] = []

    def wrap(each: str, store: MemoryBlobStore) -> MemoryBlobStore:
        if each != kind:
            return store
        store.__class__ = Refusing
        assert isinstance(store, Refusing)
        store.verb, store.part = verb, part
        refusing.append(store)
        return store

    return Days(tmp_path, wrap=wrap, **options), refusing[0]


def alarms(caplog: pytest.LogCaptureFixture) -> set[str]:
    return {record.event for record in caplog.records if hasattr(record, "event")}


def notes(days: Days) -> list[str]:
    queues = Queues(**days.queues)  # type: ignore[arg-type]
    found = collect(days.containers, queues, DispatchSettings(), 3, days.clock())
    return [finding.line() for finding in audit(found).findings]


@pytest.mark.parametrize("error", REFUSALS, ids=lambda error: type(error).__name__)
def test_a_result_that_cannot_be_published_costs_less_each_day_and_is_published_once_it_can(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    days, output = days_with(tmp_path, "output", "write", "lobby/manifest.json")
    output.error = error
    days.upload("lobby/a.mp4")
    with caplog.at_level(logging.ERROR):
        counts = [days.pass_time(DAY_S) for _ in range(8)]
    assert max(counts) <= MOST_A_DAY
    assert counts[-1] <= (6 if isinstance(error, Busy) else 2)
    assert days.jobs_run == 1
    assert alarms(caplog) == {Alert.BLOCKED}
    status = days.status("lobby")
    assert status.state is State.BLOCKED
    assert str(error) in status.reason
    assert "next try at" in status.note
    assert any("lobby" in line and str(error) in line for line in notes(days))
    output.error = None
    days.pass_time(DAY_S + 600)
    assert days.status("lobby").state is State.DONE
    assert days.jobs_run == 1
    assert (days.record("lobby").tries, days.record("lobby").begun, days.record("lobby").blocked) == (0, 0, None)


def test_what_was_uploaded_to_a_blocked_scene_costs_nothing_and_runs_after_it(tmp_path: Path) -> None:
    days, output = days_with(tmp_path, "output", "write", "lobby/manifest.json")
    output.error = Conflict("leased")
    days.upload("lobby/a.mp4")
    counts = [days.pass_time(DAY_S)]
    for number in range(6):
        days.upload(f"lobby/late{number}.mp4", bytes([number]))
        counts.append(days.pass_time(DAY_S / 6))
    assert counts[0] <= MOST_A_DAY
    assert sum(counts[1:]) <= MOST_A_DAY
    output.error = None
    days.pass_time(2 * DAY_S)
    assert days.status("lobby").state is State.DONE
    assert days.names("input") == []


def test_one_bad_moment_of_the_store_costs_minutes(tmp_path: Path) -> None:
    days, output = days_with(tmp_path, "output", "write", "lobby/manifest.json")
    output.error = Busy("503")
    days.upload("lobby/a.mp4")
    days.pass_time(120)
    output.error = None
    days.pass_time(480)
    assert days.status("lobby").state is State.DONE


def test_a_runner_that_dies_of_bringing_a_scene_to_its_end_does_not_do_so_for_ever(tmp_path: Path) -> None:
    class Death(MemoryError):
        """Nothing of ours catches it."""

    days, output = days_with(tmp_path, "output", "write", "lobby/manifest.json")
    output.error = Death()
    die: Callable[[], None] = days._execute

    def execute() -> None:
        try:
            die()
        except Death:
            days.ends["died"] += 1

    days._execute = execute  # type: ignore[method-assign]
    days.upload("lobby/a.mp4")
    counts = [days.pass_time(DAY_S) for _ in range(3)]
    assert counts[0] <= 30, "ten tries at once are for machines that die"
    assert max(counts[1:]) <= MOST_A_DAY
    output.error = None
    days.pass_time(DAY_S + 600)
    assert days.status("lobby").state is State.DONE


def test_a_redrive_that_was_interrupted_costs_less_each_day_and_its_command_ends_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def bad(*_: object) -> dict[str, Any]:
        raise InputError("no video", stage="frames")

    class Boom(BaseException):
        """SIGKILL of the command."""

    days = Days(tmp_path, job=bad)
    days.upload("lobby/a.mp4")
    days.pass_time(600)
    queues = Queues(**days.queues)  # type: ignore[arg-type]
    plan = redrive.plan(days.containers, "lobby")
    real = days.stores["error"].delete

    def boom(*_: object, **__: object) -> None:
        raise Boom

    days.stores["error"].delete = boom  # type: ignore[method-assign]
    with pytest.raises(Boom):
        redrive.carry_out(days.containers, queues, plan, pause=lambda seconds: None)
    days.stores["error"].delete = real  # type: ignore[method-assign]
    with caplog.at_level(logging.ERROR):
        counts = [days.pass_time(DAY_S, 30.0) for _ in range(4)]
    assert max(counts) <= MOST_A_DAY
    assert counts[-1] <= 2
    assert days.queues["jobs"].total() <= 2, "messages pile up"
    assert Alert.HELD in alarms(caplog)
    assert days.status("lobby").state is State.BLOCKED
    assert "redrive" in days.status("lobby").reason
    redrive.carry_out(days.containers, queues, redrive.plan(days.containers, "lobby"), pause=lambda seconds: None)
    days.pass_time(1800)
    assert days.record("lobby").generation == 3, "what was brought back waits although nothing holds it"


def test_a_record_of_a_newer_program_costs_less_each_day_and_is_worked_on_once_it_can_be_read(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    days = Days(tmp_path)
    days.upload("lobby/a.mp4")
    days.pass_time(600)
    name, state = record_name("lobby"), days.stores["state"]
    good, _ = state.read(name)
    days.upload("lobby/b.mp4")
    newer = {**json.loads(good), "schema_version": records.VERSION_WITHHELD + 1}
    state.write(name, json.dumps(newer).encode(), metadata={"phase": "idle"})
    counts = []
    with caplog.at_level(logging.ERROR):
        for day in range(4):
            counts.append(days.pass_time(DAY_S, 30.0))
            days.upload(f"lobby/late{day}.mp4")
    assert max(counts) <= MOST_A_DAY
    assert counts[-1] <= 2
    assert days.queues["jobs"].total() <= 2, "messages pile up"
    status = days.status("lobby")
    assert status.state is State.BLOCKED
    assert "newer program" in status.reason
    assert any("newer program" in line for line in notes(days))
    state.write(name, good, metadata={"phase": "idle"})
    days.pass_time(1800)
    assert days.record("lobby").phase is Phase.IDLE
    assert days.names("input") == []
    assert records.load(state, "lobby") is not None
