"""An upload that cannot be deleted keeps its scene from nothing: archived, told, ignored, and deleted in the end."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import Finding, collect
from scenejobs.errors import InputError
from scenejobs.logs.alerts import Alert
from scenejobs.ports import Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.layout import UNDELETED
from scenejobs.state.overview.status import State
from scenejobs.state.record import Outcome
from tests.days import DAY_S, Days

Free = Callable[[], None]


def snapshot(store: MemoryBlobStore, name: str) -> Free:
    store.guards(name).snapshots = 1
    return lambda: setattr(store.guards(name), "snapshots", 0)


def lease(store: MemoryBlobStore, name: str) -> Free:
    return store.lease_without_end(name).release


def legal_hold(store: MemoryBlobStore, name: str) -> Free:
    store.guards(name).legal_hold = True
    return lambda: setattr(store.guards(name), "legal_hold", False)


def immutability(store: MemoryBlobStore, name: str) -> Free:
    store.guards(name).immutable_until = store.clock() + timedelta(days=8, hours=12)
    return lambda: None


def no_right(store: MemoryBlobStore, name: str) -> Free:
    store.guards(name).denied = frozenset({"delete"})
    return lambda: setattr(store.guards(name), "denied", frozenset())


HOLDS = (snapshot, lease, legal_hold, immutability, no_right)
each_hold = pytest.mark.parametrize("hold", HOLDS, ids=lambda hold: hold.__name__)
REMEDIES = {snapshot: "snapshots", lease: "lease", legal_hold: "legal hold", immutability: "policy", no_right: "role"}


def findings(days: Days) -> list[Finding]:
    queues = Queues(**days.queues)  # type: ignore[arg-type]
    return list(audit(collect(days.containers, queues, DispatchSettings(), 3, days.clock())).findings)


def no_video(*_: object) -> dict[str, Any]:
    raise InputError("no video", stage="frames")


@each_hold
def test_it_costs_one_execution_in_eight_days_is_told_and_goes_when_it_is_free(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, hold: Callable[[MemoryBlobStore, str], Free]
) -> None:
    days = Days(tmp_path)
    days.upload("lobby/a.mp4", b"a")
    days.upload("lobby/b.mp4", b"b")
    free = hold(days.stores["input"], "lobby/a.mp4")
    with caplog.at_level(logging.ERROR):
        counts = [days.pass_time(DAY_S, 30.0) for _ in range(8)]
    assert (sum(counts), days.jobs_run) == (1, 1)
    told = [line for line in caplog.records if hasattr(line, "event")]
    assert {line.event for line in told} == {Alert.BLOCKED}
    assert len(told) <= 16, "a line for each try: eight on the first day, one on each further one"
    assert days.names("input") == ["lobby/a.mp4"]
    assert days.names("processed") == ["lobby/a.mp4", "lobby/b.mp4"]
    status = days.status("lobby")
    assert status.state is State.DONE
    assert "blocked: lobby/a.mp4 cannot be deleted" in status.note
    assert REMEDIES[hold] in status.line()
    found = [item for item in findings(days) if "lobby/a.mp4" in item.where and "deleted" in item.what]
    assert [item.violation for item in found] == [False]
    assert [item for item in findings(days) if item.violation] == []
    free()
    assert days.pass_time(DAY_S + 600) == 0, "an execution is started for it"
    assert days.names("input") == []
    assert days.names("state", UNDELETED) == []
    assert days.status("lobby").note == ""


@each_hold
def test_new_uploads_of_its_scene_do_not_wait_for_it(
    tmp_path: Path, hold: Callable[[MemoryBlobStore, str], Free]
) -> None:
    days = Days(tmp_path)
    days.upload("lobby/a.mp4", b"a")
    hold(days.stores["input"], "lobby/a.mp4")
    days.pass_time(600)
    days.upload("lobby/b.mp4", b"b")
    days.pass_time(600)
    assert (days.jobs_run, days.record("lobby").generation) == (2, 3)
    assert days.names("input") == ["lobby/a.mp4"]
    assert days.status("lobby").state is State.DONE


def test_the_same_name_again_is_another_version_and_runs(tmp_path: Path) -> None:
    """With a snapshot it can be uploaded again."""
    days = Days(tmp_path)
    days.upload("lobby/a.mp4", b"a")
    days.stores["input"].guards("lobby/a.mp4").snapshots = 1
    days.pass_time(600)
    days.upload("lobby/a.mp4", b"another")
    days.pass_time(600)
    assert days.jobs_run == 2
    assert sorted(blob.data for blob in days.stores["processed"].blobs.values()) == [b"a", b"another"]
    assert days.names("input") == ["lobby/a.mp4"]
    assert "cannot be deleted" in days.status("lobby").note


@each_hold
def test_a_dead_letter_that_cannot_be_deleted_ends_with_its_reason(
    tmp_path: Path, hold: Callable[[MemoryBlobStore, str], Free]
) -> None:
    days = Days(tmp_path, job=no_video)
    days.upload("lobby/a.mp4", b"a")
    hold(days.stores["input"], "lobby/a.mp4")
    counts = [days.pass_time(DAY_S, 60.0) for _ in range(2)]
    assert (sum(counts), days.jobs_run) == (1, 1)
    status = days.status("lobby")
    assert (status.state, status.reason) == (State.FAILED, "no video")
    assert "cannot be deleted" in status.note
    ending = days.record("lobby").ending
    assert ending is not None
    assert ending.outcome is Outcome.DEAD_LETTERED
    assert days.names("error", "lobby/a") == ["lobby/a.mp4"]


def test_it_is_tried_later_each_time_however_many_executions_run_for_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    days = Days(tmp_path)
    days.upload("lobby/a.mp4", b"a")
    days.stores["input"].guards("lobby/a.mp4").legal_hold = True
    days.pass_time(600)
    with caplog.at_level(logging.ERROR):
        for number in range(24):
            days.upload(f"other{number}/a.mp4", bytes([number]))
            days.pass_time(3600)
    lines = [line for line in caplog.records if getattr(line, "event", "") == Alert.BLOCKED]
    assert 1 < len(lines) <= 8, "tried by each of them"
    assert "lobby/a.mp4 still cannot be deleted" in lines[-1].getMessage()


def test_what_its_user_deletes_is_forgotten(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.upload("lobby/a.mp4", b"a")
    guards = days.stores["input"].guards("lobby/a.mp4")
    guards.snapshots = 1
    days.pass_time(600)
    guards.snapshots = 0
    days.stores["input"].delete("lobby/a.mp4")
    assert days.status("lobby").note == ""
    days.pass_time(3600)
    days.upload("other/a.mp4")
    days.pass_time(600)
    assert days.names("state", UNDELETED) == []


def test_thirty_of_them_keep_no_other_scene_waiting(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for number in range(30):
        name = f"evil{number}/a.mp4"
        days.upload(name, bytes([number]))
        days.stores["input"].guards(name).snapshots = 1
    days.pass_time(600)
    days.upload("good/a.mp4", b"good")
    before = days.clock()
    while days.names("input", "good/") and (days.clock() - before).total_seconds() < DAY_S:
        days.pass_time(15)
    assert (days.clock() - before).total_seconds() <= 300
    assert days.pass_time(DAY_S) == 0
