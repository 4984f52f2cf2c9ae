"""What executions cost is written down as it is spent, by day, and a listing is the sum."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import pytest

from runner.worker.usage import UsageReporter
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.state.executions import usage
from tests.doubles.faults import Fault, FaultPlan, Rule

MIDNIGHT = datetime(2026, 1, 2, tzinfo=UTC)


class Desk:
    """An execution that begins at `begin`; the runner's own clock is hours wrong and must not matter."""

    def __init__(self, begin: datetime) -> None:
        self.clock = ManualClock(begin)
        self.state = MemoryBlobStore("state", self.clock)
        self.elapsed = 12_345.0
        self.usage = self.execution("first")

    def execution(self, name: str) -> UsageReporter:
        return UsageReporter(self.state, name, lambda: self.elapsed)

    def advance(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.elapsed += seconds

    def spent(self, day: date) -> dict[str, float]:
        return {item.execution: item.seconds for item in usage.on(self.state, day)}


def test_the_newest_report_counts() -> None:
    desk = Desk(MIDNIGHT)
    for seconds in (0, 60, 60):
        desk.advance(seconds)
        desk.usage.report()
    assert desk.spent(MIDNIGHT.date()) == {"first": 120.0}


def test_executions_do_not_overwrite_each_other_and_add_up() -> None:
    desk = Desk(MIDNIGHT)
    other = desk.execution("second")
    desk.advance(90)
    desk.usage.report()
    desk.advance(30)
    other.report()
    assert desk.spent(MIDNIGHT.date()) == {"first": 90.0, "second": 120.0}
    assert usage.minutes_on(desk.state, MIDNIGHT.date()) == 3.5


def test_an_execution_over_midnight_is_split_between_the_days_of_the_service() -> None:
    desk = Desk(MIDNIGHT - timedelta(seconds=100))
    desk.usage.report()
    desk.advance(60)
    desk.usage.report()
    desk.advance(100)
    desk.usage.report()
    assert desk.spent(date(2026, 1, 1)) == {"first": 100.0}
    assert desk.spent(date(2026, 1, 2)) == {"first": 60.0}


def test_usage_that_cannot_be_written_does_not_stop_the_work() -> None:
    desk = Desk(MIDNIGHT)

    plan = FaultPlan(desk.clock, [Rule(Fault.BUSY, "write")])
    reporter = UsageReporter(plan.store(desk.state), "first", lambda: desk.elapsed)
    reporter.report()
    assert desk.spent(MIDNIGHT.date()) == {}
    desk.advance(50)
    reporter.report()
    assert desk.spent(MIDNIGHT.date()) == {"first": 50.0}


def test_the_budget_is_that_of_all_executions_of_the_day() -> None:
    desk = Desk(MIDNIGHT)
    other = desk.execution("second")
    desk.advance(59)
    desk.usage.report()
    other.report()
    assert not other.over_budget(2)
    assert not other.over_budget(0)
    desk.advance(1)
    desk.usage.report()
    other.report()
    assert other.over_budget(2)
    desk.advance(24 * 3600)
    assert not other.over_budget(2)


class ByHand:
    """The heartbeat, when the test says so."""

    def __init__(self) -> None:
        self.act: Callable[[], None] | None = None

    def __call__(self, name: str, act: Callable[[], None], every_s: float) -> ByHand:
        assert every_s < usage.HEARTBEAT_S / 2
        self.act = act
        return self

    def end(self) -> None:
        self.act = None


def last(desk: Desk) -> usage.ExecutionUsage:
    (found,) = usage.on(desk.state, desk.clock().date())
    return found


def test_a_heartbeat_goes_on_through_a_long_job_and_the_last_report_ends_it() -> None:
    desk, by_hand = Desk(MIDNIGHT), ByHand()
    reporter = UsageReporter(desk.state, "first-0001", lambda: desk.elapsed, by_hand)
    reporter.begin()
    for _ in range(4 * 60):  # an hour in which nobody else reports
        desk.advance(15)
        assert by_hand.act is not None
        by_hand.act()
        found = last(desk)
        assert (desk.clock() - found.reported_at).total_seconds() < usage.HEARTBEAT_S
        assert (found.platform_name, found.beats, found.ended) == ("first", True, False)
    reporter.end()
    assert by_hand.act is None, "it would write that the execution goes on"
    assert last(desk).ended
    reporter.begin()  # something came after all
    assert not last(desk).ended


def test_a_report_that_failed_is_written_at_the_next_look() -> None:
    desk, by_hand = Desk(MIDNIGHT), ByHand()
    plan = FaultPlan(desk.clock, [Rule(Fault.BUSY, "write", skip=1, times=2)])
    reporter = UsageReporter(plan.store(desk.state), "first-0001", lambda: desk.elapsed, by_hand)
    reporter.begin()
    for _ in range(7):
        desk.advance(15)
        assert by_hand.act is not None
        by_hand.act()
    assert last(desk).seconds == 90, "of 60, 75 and 90 s the first two failed"


def test_a_last_word_that_was_written_is_not_repeated() -> None:
    desk = Desk(MIDNIGHT)
    plan = FaultPlan(desk.clock, [])
    reporter = UsageReporter(plan.store(desk.state), "first-0001", lambda: desk.elapsed, ByHand())
    reporter.begin()
    reporter.end()
    reporter.end()
    assert plan.count("write") == 2


def test_what_the_version_before_wrote_is_linked_to_its_execution_by_name() -> None:
    desk = Desk(MIDNIGHT)
    old = {"begun_at": MIDNIGHT.isoformat(), "seconds": "5.0"}
    desk.state.write("spend/2026-01-02/job-dev-abc1234-deadbeef.json", b"{}", metadata=old)
    found = last(desk)
    assert (found.platform_name, found.beats, found.ended) == ("job-dev-abc1234", False, False)


@pytest.mark.parametrize(("age_days", "old"), [(0, False), (35, False), (36, True), (400, True)])
def test_usage_is_kept_for_a_month(age_days: int, old: bool) -> None:
    desk = Desk(MIDNIGHT)
    desk.usage.report()
    (info,) = desk.state.list("spend/")
    assert usage.is_old(info, MIDNIGHT + timedelta(days=age_days)) is old


def test_a_foreign_blob_beside_the_usage_counts_nothing() -> None:
    desk = Desk(MIDNIGHT)
    desk.state.write("spend/2026-01-02/notes.txt", b"hello")
    desk.state.write("spend/2026-01-02/x.json", b"{}", metadata={"begun_at": "yesterday", "seconds": "5"})
    assert usage.minutes_on(desk.state, MIDNIGHT.date()) == 0
