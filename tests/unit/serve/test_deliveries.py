"""Messages of the dispatcher's queues meet the rules of the Functions host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenejobs.adapters.memory import ManualClock, MemoryQueue
from scenejobs.errors import StorageError
from serve import deliveries
from serve.deliveries import Deliveries

ROOT = Path(__file__).parents[3]


class World:
    """A queue whose handler fails as long as a test wants."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.queue, self.poison = MemoryQueue("checks", self.clock), MemoryQueue("poison", self.clock)
        self.handled: list[tuple[bytes, int]] = []
        self.given_up: list[bytes] = []
        self.fails = False
        self.deliveries = Deliveries("a check", self.queue, self.poison, self.handle, self.given_up.append)

    def handle(self, body: bytes, count: int) -> str | None:
        if self.fails:
            raise StorageError("no storage", advice="wait")
        self.handled.append((body, count))
        return "unreadable" if body == b"?" else None

    def take(self) -> int:
        return self.deliveries.take(lambda: True)


def test_the_numbers_are_those_of_the_functions_host() -> None:
    queues = json.loads((ROOT / "host.json").read_text())["extensions"]["queues"]
    minutes, seconds = map(int, queues["visibilityTimeout"].split(":")[1:])
    assert (queues["maxDequeueCount"], minutes * 60 + seconds) == (deliveries.TRIES, deliveries.RETRY_S)


def test_what_is_visible_is_delivered_once_and_what_cannot_be_read_goes_to_the_poison_queue() -> None:
    world = World()
    for text in ("a", "?", "b"):
        world.queue.send(text)
    world.queue.send("later", delay_s=60)
    assert world.take() == 3
    assert [body for body, _ in world.handled] == [b"a", b"?", b"b"]
    assert (world.queue.total(), world.poison.total()) == (1, 1)
    message = world.poison.receive(60)
    assert message is not None
    assert message.text == "unreadable"


def test_a_message_that_fails_comes_back_after_a_minute_and_the_others_wait() -> None:
    world = World()
    world.queue.send("a")
    world.queue.send("b")
    world.fails = True
    with pytest.raises(StorageError):
        world.take()
    world.fails = False
    assert world.take() == 1, "the one that nobody has tried"
    world.clock.advance(deliveries.RETRY_S)
    assert world.take() == 1
    assert world.handled == [(b"b", 1), (b"a", 2)]


def test_after_the_last_try_a_message_is_given_up_and_still_tells_its_scene() -> None:
    world = World()
    world.queue.send("a")
    world.fails = True
    for _ in range(deliveries.TRIES):
        with pytest.raises(StorageError):
            world.take()
        world.clock.advance(deliveries.RETRY_S)
    assert world.take() == 1
    assert (world.given_up, world.queue.total(), world.handled) == ([b"a"], 0, [])


def test_told_to_stop_it_takes_no_more() -> None:
    world = World()
    world.queue.send("a")
    assert world.deliveries.take(lambda: False) == 0
    assert world.queue.waiting() == 1
