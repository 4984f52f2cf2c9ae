"""What every JobQueue promises: hidden while held, receipts that change, quiet where a message is somebody else's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import JobQueue, QueueMessage
from tests.contract.conftest import World


def receive(queue: JobQueue, visibility_s: float = 60) -> QueueMessage:
    message = queue.receive(visibility_s)
    assert message is not None
    return message


TEXTS = [
    '{"v":1,"scene":"lobby"}', "plain", "<xml>&amp;</xml>", "größer 📱 видео", "aGVsbG8=", "not base64 ===", '"',
    " a  b ",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_message_arrives_as_it_was_sent(queue: JobQueue, text: str) -> None:
    """Nothing is encoded or decoded on the way, so any text comes through and none can stop the reader."""
    queue.send(text)
    assert receive(queue).text == text


def test_an_empty_queue_gives_none(queue: JobQueue) -> None:
    assert queue.receive(30) is None
    assert (queue.waiting(), queue.total()) == (0, 0)


def test_every_message_is_received_once_in_whatever_order(queue: JobQueue) -> None:
    sent = {f"message {number}" for number in range(20)}
    for text in sent:
        queue.send(text)
    assert {receive(queue).text for _ in sent} == sent
    assert queue.receive(30) is None


def test_a_held_message_is_hidden_and_comes_back(queue: JobQueue, world: World) -> None:
    """Its receiver vanished: after the visibility time the next one gets it, and sees that it is the second."""
    queue.send("work")
    first = receive(queue, 1)
    assert first.dequeue_count == 1
    assert queue.receive(30) is None
    world.advance(1.5)
    second = receive(queue)
    assert (second.id, second.text, second.dequeue_count) == (first.id, "work", 2)
    assert second.receipt != first.receipt


def test_a_delayed_message_waits(queue: JobQueue, world: World) -> None:
    queue.send("later", delay_s=1)
    assert queue.receive(30) is None
    assert (queue.waiting(), queue.total()) == (0, 1)
    world.advance(1.5)
    assert queue.waiting() == 1
    assert receive(queue).text == "later"


def test_renewing_hides_for_longer_and_changes_the_receipt(queue: JobQueue, world: World) -> None:
    """The old receipt is worth nothing afterwards; text and count stay."""
    queue.send("work")
    first = receive(queue, 1)
    renewed = queue.renew(first, 30)
    world.advance(1.5)
    assert queue.receive(30) is None
    assert (renewed.id, renewed.text, renewed.dequeue_count) == (first.id, "work", 1)
    assert renewed.receipt != first.receipt
    with pytest.raises(Conflict):
        queue.renew(first, 30)
    queue.complete(renewed)
    assert queue.total() == 0


def test_a_receipt_lasts_until_somebody_else_receives(queue: JobQueue, world: World) -> None:
    """A renewal that comes late, but before anybody took the message, is granted."""
    queue.send("work")
    message = receive(queue, 1)
    world.advance(1.5)
    message = queue.renew(message, 30)
    assert queue.receive(30) is None
    queue.complete(message)
    assert queue.total() == 0


def test_a_message_that_was_taken_over_cannot_be_renewed(queue: JobQueue, world: World) -> None:
    queue.send("work")
    lost = receive(queue, 1)
    world.advance(1.5)
    taken = receive(queue)
    with pytest.raises(Conflict):
        queue.renew(lost, 30)
    queue.complete(lost)  # quiet, and it harms nobody
    queue.release(lost)
    assert queue.receive(30) is None
    assert queue.total() == 1
    queue.complete(taken)
    assert queue.total() == 0


def test_releasing_gives_the_message_back_at_once(queue: JobQueue) -> None:
    queue.send("work")
    queue.release(receive(queue))
    assert queue.waiting() == 1
    assert receive(queue).dequeue_count == 2


def test_releasing_with_a_delay_gives_it_back_later(queue: JobQueue, world: World) -> None:
    queue.send("work")
    queue.release(receive(queue), delay_s=1)
    assert queue.receive(30) is None
    world.advance(1.5)
    assert receive(queue).text == "work"


def test_a_completed_message_is_gone_for_good(queue: JobQueue) -> None:
    queue.send("work")
    message = receive(queue)
    queue.complete(message)
    queue.complete(message)
    queue.release(message)
    assert queue.total() == 0
    with pytest.raises(NotFound):
        queue.renew(message, 30)


def test_waiting_counts_visible_messages_up_to_32(queue: JobQueue) -> None:
    for number in range(35):
        queue.send(str(number))
    assert (queue.waiting(), queue.total()) == (32, 35)
    for _ in range(10):
        receive(queue)
    assert (queue.waiting(), queue.total()) == (25, 35)


def test_peeking_shows_the_texts_of_visible_messages_the_oldest_first(queue: JobQueue) -> None:
    for number in range(35):
        queue.send(str(number))
    assert queue.peek() == tuple(map(str, range(32)))
    held = receive(queue)
    assert held.text not in queue.peek()
    assert len(queue.peek()) == 32
    assert receive(queue).dequeue_count == 1, "whoever peeks receives nothing"


def test_counting_receives_nothing(queue: JobQueue) -> None:
    queue.send("work")
    queue.waiting()
    queue.total()
    assert receive(queue).dequeue_count == 1


def test_a_message_has_at_most_64_kib(queue: JobQueue) -> None:
    queue.send("x" * 65_536)
    assert len(receive(queue).text) == 65_536
    for text in ("x" * 65_537, "é" * 32_769):
        with pytest.raises(ValueError, match="at most 65536 bytes"):
            queue.send(text)
    assert queue.total() == 1


def test_queues_do_not_mix(world: World) -> None:
    world.queues.debounce.send("check")
    assert world.queues.jobs.receive(30) is None
    assert world.queues.poison.total() == 0
    assert receive(world.queues.debounce).text == "check"


def test_every_receiving_is_counted(queue: JobQueue) -> None:
    """Releasing and renewing are not."""
    queue.send("work")
    for count in (1, 2, 3):
        message = receive(queue)
        assert message.dequeue_count == count
        message = queue.renew(message, 60)
        assert message.dequeue_count == count
        queue.release(message)


def test_every_receiving_has_a_receipt_of_its_own(queue: JobQueue) -> None:
    queue.send("work")
    receipts = set()
    for _ in range(4):
        message = receive(queue)
        receipts.add(message.receipt)
        queue.release(message)
    assert len(receipts) == 4


def test_a_released_message_is_no_longer_held(queue: JobQueue) -> None:
    """Its old holder cannot complete what somebody else has received since."""
    queue.send("work")
    old = receive(queue)
    queue.release(old)
    new = receive(queue)
    queue.complete(old)
    assert queue.total() == 1
    queue.complete(new)
    assert queue.total() == 0


def test_a_receipt_of_another_message_opens_nothing(queue: JobQueue) -> None:
    for text in ("one", "two"):
        queue.send(text)
    one, two = receive(queue), receive(queue)
    mixed = replace(one, receipt=two.receipt)
    with pytest.raises(Conflict):
        queue.renew(mixed, 60)
    queue.complete(mixed)
    queue.release(mixed)
    assert (queue.waiting(), queue.total()) == (0, 2)


def test_equal_messages_are_two(queue: JobQueue) -> None:
    queue.send("same")
    queue.send("same")
    one, two = receive(queue), receive(queue)
    assert one.id != two.id
    queue.complete(one)
    assert queue.total() == 1


def test_hidden_messages_do_not_stand_in_the_way(queue: JobQueue) -> None:
    queue.send("held")
    receive(queue)
    queue.send("later", delay_s=60)
    queue.send("now")
    assert receive(queue).text == "now"
    assert queue.receive(30) is None
    assert queue.total() == 3


def test_renewing_shortens_too(queue: JobQueue, world: World) -> None:
    queue.send("work")
    queue.renew(receive(queue, 300), 1)
    world.advance(1.5)
    assert receive(queue).dequeue_count == 2
