"""What executions cost is written down as it is spent, by day, and a listing is the sum."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from runner.worker.usage import Ledger
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Busy
from scenejobs.state import usage

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


class Desk:
    """A ledger whose execution begins at `begin`; the runner's own clock is hours wrong and must not matter."""

    def __init__(self, begin: datetime) -> None:
        self.clock = ManualClock(begin)
        self.state = MemoryBlobStore("state", self.clock)
        self.elapsed = 12_345.0
        self.ledger = self.execution("first")

    def execution(self, name: str) -> Ledger:
        return Ledger(self.state, name, lambda: self.elapsed)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.elapsed += seconds

    def spent(self, day: date) -> dict[str, float]:
        return {item.execution: item.seconds for item in usage.on(self.state, day)}


def test_the_newest_telling_counts() -> None:
    desk = Desk(MIDNIGHT)
    for seconds in (0, 60, 60):
        desk.advance(seconds)
        desk.ledger.tell()
    assert desk.spent(MIDNIGHT.date()) == {"first": 120.0}


def test_executions_do_not_overwrite_each_other_and_add_up() -> None:
    desk = Desk(MIDNIGHT)
    other = desk.execution("second")
    desk.advance(90)
    desk.ledger.tell()
    desk.advance(30)
    other.tell()
    assert desk.spent(MIDNIGHT.date()) == {"first": 90.0, "second": 120.0}
    assert usage.minutes_on(desk.state, MIDNIGHT.date()) == 3.5


def test_an_execution_over_midnight_is_split_between_the_days_of_the_service() -> None:
    desk = Desk(MIDNIGHT - timedelta(seconds=100))
    desk.ledger.tell()
    desk.advance(60)
    desk.ledger.tell()
    desk.advance(100)
    desk.ledger.tell()
    assert desk.spent(date(2026, 1, 1)) == {"first": 100.0}
    assert desk.spent(date(2026, 1, 2)) == {"first": 60.0}


def test_a_ledger_that_cannot_be_told_does_not_stop_the_work() -> None:
    desk = Desk(MIDNIGHT)

    def busy(*args: object, **kwargs: object) -> str:
        raise Busy("throttled")

    write, desk.state.write = desk.state.write, busy  # type: ignore[method-assign]
    desk.ledger.tell()
    desk.state.write = write  # type: ignore[method-assign]
    desk.advance(50)
    desk.ledger.tell()
    assert desk.spent(MIDNIGHT.date()) == {"first": 50.0}


def test_the_budget_is_that_of_all_executions_of_the_day() -> None:
    desk = Desk(MIDNIGHT)
    other = desk.execution("second")
    desk.advance(59)
    desk.ledger.tell()
    other.tell()
    assert not other.over_budget(2)
    assert not other.over_budget(0)
    desk.advance(1)
    desk.ledger.tell()
    other.tell()
    assert other.over_budget(2)
    desk.advance(24 * 3600)
    assert not other.over_budget(2)


@pytest.mark.parametrize(("age_days", "old"), [(0, False), (35, False), (36, True), (400, True)])
def test_the_ledger_is_kept_for_a_month(age_days: int, old: bool) -> None:
    desk = Desk(MIDNIGHT)
    desk.ledger.tell()
    (info,) = desk.state.list("spend/")
    assert usage.is_old(info, MIDNIGHT + timedelta(days=age_days)) is old


def test_a_foreign_blob_in_the_ledger_counts_nothing() -> None:
    desk = Desk(MIDNIGHT)
    desk.state.write("spend/2026-01-02/notes.txt", b"hello")
    desk.state.write("spend/2026-01-02/x.json", b"{}", metadata={"begun_at": "yesterday", "seconds": "5"})
    assert usage.minutes_on(desk.state, MIDNIGHT.date()) == 0
