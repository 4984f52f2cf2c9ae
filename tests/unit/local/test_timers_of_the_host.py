"""Timers of the local Functions host: missed times, two hosts on one storage."""

from __future__ import annotations

from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import Any

from local.functions_host.ncrontab import Schedule
from local.functions_host.timers import TimerListener
from tests.doubles.functions_host import StepClock, soon


class Storage:
    """Lock and status of one timer, as two instances see it."""

    def __init__(self) -> None:
        self.holder: object = None
        self.next: datetime | None = None

    def lock(self) -> Any:
        me = object()

        def acquire() -> bool:
            self.holder = self.holder or me
            return self.holder is me

        def release() -> None:
            if self.holder is me:
                self.holder = None

        return SimpleNamespace(acquire=acquire, renew=lambda: self.holder is me, release=release)

    def monitor(self) -> Any:
        def write(last: datetime | None, following: datetime) -> None:
            self.next = following

        return SimpleNamespace(read=lambda: self.next, write=write)


def timer(storage: Storage, clock: StepClock, runs: list[bool], schedule: str = "0 */5 * * * *") -> TimerListener:
    listener = TimerListener(
        "sweep", Schedule.parse(schedule).next_after, runs.append, clock, lock=storage.lock(), monitor=storage.monitor()
    )
    listener.start()
    return listener


def test_a_timer_does_not_run_at_the_first_start_and_keeps_its_times() -> None:
    storage, clock, runs = Storage(), StepClock(), list[bool]()
    listener = timer(storage, clock, runs)
    clock.advance(295, step=5)
    assert runs == []
    clock.advance(20, step=5)
    assert runs == [False]
    listener.stop(0)


def test_a_time_that_was_missed_while_no_host_ran_is_made_up_for_once_and_is_past_due() -> None:
    storage, clock, runs = Storage(), StepClock(), list[bool]()
    first = timer(storage, clock, runs)
    soon(lambda: storage.next)
    first.stop(0)
    clock.manual.advance(3600)
    second = timer(storage, clock, runs)
    soon(lambda: runs)
    clock.advance(10, step=5)
    assert runs == [True]
    second.stop(0)
    third = timer(storage, clock, runs)  # nothing was missed
    clock.advance(10, step=5)
    assert runs == [True]
    third.stop(0)


def test_of_two_hosts_on_one_storage_one_runs_the_timer_and_the_other_takes_over() -> None:
    storage, clock = Storage(), StepClock()
    one, other = list[bool](), list[bool]()
    first = timer(storage, clock, one)
    soon(lambda: storage.holder)
    second = timer(storage, clock, other)
    clock.advance(610, step=5)
    assert (len(one), len(other)) == (2, 0)
    first.stop(0)
    clock.advance(610, step=5)
    assert len(one) == 2
    assert len(other) >= 1
    second.stop(0)


def test_a_timer_of_seconds_has_no_status_and_is_never_past_due() -> None:
    storage, clock, runs = Storage(), StepClock(), list[bool]()
    storage.next = clock.now() - timedelta(hours=1)
    listener = timer(storage, clock, runs, "*/10 * * * * *")
    clock.advance(25, step=1)
    assert runs == [False, False]
    listener.stop(0)
