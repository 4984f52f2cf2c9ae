"""Owning a scene: what is renewed when, what stops the work and what does not."""

from __future__ import annotations

import threading

import pytest

from runner.worker.lease import RecordLease, Timing
from scenejobs.errors import Busy, Conflict, LeaseLost, NotFound
from scenejobs.ports import QueueMessage

MESSAGE = QueueMessage("id", "receipt-0", "{}", 1)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


class Lease:
    """Counts its renewals; `error` makes them fail."""

    id = "lease"

    def __init__(self) -> None:
        self.renewed = 0
        self.error: Exception | None = None

    def renew(self) -> None:
        self.renewed += 1
        if self.error:
            raise self.error

    def release(self) -> None:
        raise AssertionError("whoever settles the work releases the lease")


class Queue:
    """Only what the heartbeat uses."""

    def __init__(self) -> None:
        self.renewed = 0
        self.error: Exception | None = None

    def renew(self, message: QueueMessage, visibility_s: float) -> QueueMessage:
        self.renewed += 1
        if self.error:
            raise self.error
        assert visibility_s == 90
        return QueueMessage(message.id, f"receipt-{self.renewed}", message.text, 1)


class Beating:
    """A lease and the world it sees, second by second."""

    def __init__(self) -> None:
        self.clock, self.lease, self.queue = Clock(), Lease(), Queue()
        self.held = RecordLease(self.lease, self.queue, MESSAGE, clock=self.clock)  # type: ignore[arg-type]

    def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.clock.time += 1
            self.held.renew_lease_if_due()
            self.held.renew_message_if_due()


def test_timing_follows_from_the_lease() -> None:
    timing = Timing(60)
    assert (timing.renew_lease_s, timing.patience_s, timing.renew_message_s, timing.visibility_s) == (15, 45, 15, 90)
    assert Timing(15).patience_s < 15


def test_the_message_of_a_killed_runner_comes_back_within_90_seconds_and_after_its_lease_has_ended() -> None:
    """Earlier, whoever receives it meets the lease and puts the message away for another minute."""
    timing = Timing(60)
    soonest_s = timing.visibility_s - timing.renew_message_s  # killed just before a renewal was due
    assert soonest_s > timing.lease_s
    assert timing.visibility_s <= 90


def test_an_hour_of_work_keeps_lease_and_message() -> None:
    world = Beating()
    world.run(3600)
    world.held.check()
    assert world.lease.renewed == 240  # every 15 s
    assert world.queue.renewed == 240
    assert world.held.message is not None
    assert world.held.message.receipt == "receipt-240", "acknowledging needs the newest receipt"


def test_somebody_elses_lease_stops_the_work_at_the_next_look() -> None:
    world = Beating()
    world.lease.error = LeaseLost("the lease is somebody else's")
    world.run(15)
    with pytest.raises(LeaseLost, match="somebody else"):
        world.held.check()


def test_a_store_that_does_not_answer_stops_the_work_after_45_seconds() -> None:
    world = Beating()
    world.run(15)
    world.lease.error = Busy("no answer")
    world.run(44)
    world.held.check()
    world.run(2)
    with pytest.raises(LeaseLost, match="46 s"):
        world.held.check()


def test_a_short_outage_is_survived_and_renewal_is_tried_more_often_meanwhile() -> None:
    world = Beating()
    world.lease.error = Busy("no answer")
    world.run(40)
    assert world.lease.renewed == 6  # at 15, 20, 25, 30, 35, 40 s
    world.lease.error = None
    world.run(60)
    world.held.check()


def test_the_clock_decides_even_when_the_heartbeat_itself_hangs() -> None:
    world = Beating()
    world.clock.time = 46  # nobody called beat
    with pytest.raises(LeaseLost):
        world.held.check()


def test_a_lease_is_as_old_as_the_question_for_it() -> None:
    """The answer came 40 s late: the lease ends 60 s after it was asked for, not after the answer."""
    clock = Clock()
    clock.time = 40
    held = RecordLease(Lease(), clock=clock, leased_at=0.0)  # type: ignore[arg-type]
    held.check()
    clock.time = 46
    with pytest.raises(LeaseLost):
        held.check()


def test_a_lease_whose_answer_was_late_is_renewed_at_once() -> None:
    clock, lease = Clock(), Lease()
    clock.time = 40
    held = RecordLease(lease, clock=clock, leased_at=0.0)  # type: ignore[arg-type]
    held.renew_lease_if_due()
    clock.time = 60
    held.check()
    assert lease.renewed == 1


def test_a_lost_lease_stays_lost() -> None:
    world = Beating()
    world.clock.time = 46
    with pytest.raises(LeaseLost):
        world.held.check()
    world.run(30)
    with pytest.raises(LeaseLost):
        world.held.check()


@pytest.mark.parametrize("error", [Conflict("another receipt"), NotFound("gone")])
def test_a_lost_pop_receipt_does_not_stop_the_work(error: Exception) -> None:
    world = Beating()
    world.queue.error = error
    world.run(600)
    world.held.check()
    assert world.queue.renewed == 1, "a receipt that is outdated once is outdated for ever"


def test_a_queue_that_does_not_answer_is_asked_again() -> None:
    world = Beating()
    world.queue.error = Busy("no answer")
    world.run(45)
    world.held.check()
    assert world.queue.renewed == 3


def test_the_threads_beat_and_end_with_the_block() -> None:
    renewed = threading.Event()

    class Noticed(Lease):
        def renew(self) -> None:
            renewed.set()

    class Impatient(Timing):
        renew_lease_s = 0.01  # type: ignore[assignment]

    before = set(threading.enumerate())
    with RecordLease(Noticed(), timing=Impatient()) as held:
        assert renewed.wait(10)
        held.check()
    assert set(threading.enumerate()) <= before
