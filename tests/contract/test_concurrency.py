"""What every store and queue promises to many at once: one winner, no lost update, nothing twice."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable

from scenejobs.errors import Conflict, NotFound
from scenejobs.ports import BlobStore, JobQueue
from tests.contract.conftest import World


def in_threads(work: Callable[[int], None], count: int) -> None:
    errors: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as exc:  # noqa: BLE001  # reported by the test's own thread
            errors.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert errors == []


def test_of_many_creators_one_wins(store: BlobStore) -> None:
    """Twenty threads create the same blob: one is let in, and the content is that one's."""
    winners: list[int] = []

    def create(number: int) -> None:
        try:
            store.write("a", str(number).encode(), if_absent=True)
        except Conflict:
            return
        winners.append(number)

    in_threads(create, 20)
    assert len(winners) == 1
    assert store.read("a")[0] == str(winners[0]).encode()


def test_compare_and_swap_loses_no_update(store: BlobStore) -> None:
    """Ten threads add one to a counter ten times each; it ends at a hundred."""
    store.write("counter", b"0")

    def count(_: int) -> None:
        for _ in range(10):
            while True:
                data, etag = store.read("counter")
                try:
                    store.write("counter", str(json.loads(data) + 1).encode(), if_match=etag)
                except Conflict:
                    continue
                break

    in_threads(count, 10)
    assert store.read("counter")[0] == b"100"


def test_of_many_who_want_a_lease_one_gets_it(store: BlobStore) -> None:
    store.write("a", b"1")
    granted: list[int] = []

    def take(number: int) -> None:
        try:
            store.lease("a", 30)
        except Conflict:
            return
        granted.append(number)

    in_threads(take, 20)
    assert len(granted) == 1


def test_of_many_who_delete_one_version_one_does(store: BlobStore) -> None:
    etag = store.write("lobby/a", b"1")
    done: list[int] = []

    def delete(number: int) -> None:
        try:
            store.delete("lobby/a", if_match=etag)
        except (NotFound, Conflict):
            return
        done.append(number)

    in_threads(delete, 8)
    assert len(done) == 1
    assert list(store.list()) == []


def test_of_many_copies_to_one_name_one_is_made_and_all_see_it(world: World) -> None:
    """Of the same version: each of them is told of the one copy."""
    etag = world.containers.input.write("a", b"video")
    made: list[str] = []

    def copy(_: int) -> None:
        done = world.containers.processed.copy_from(world.containers.input, "a", "a", source_etag=etag, if_absent=True)
        made.append(done.etag)

    in_threads(copy, 8)
    assert len(made) == 8
    assert set(made) == {world.containers.processed.head("a").etag}


def test_a_reader_sees_whole_versions_only(store: BlobStore) -> None:
    """While one replaces a blob, another reads: the bytes are always those of one version, and match their ETag."""
    contents = {store.write("a", bytes([0]) * 50_000): 0}
    stop = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for version in range(1, 15):
                contents[store.write("a", bytes([version]) * 50_000)] = version
            stop.set()
        while not stop.is_set():
            data, etag = store.read("a")
            assert data == data[:1] * 50_000
            assert etag not in contents or contents[etag] == data[0]

    in_threads(work, 3)


def test_folders_that_come_and_go_lose_nothing(store: BlobStore) -> None:
    """Several write and delete blobs of one folder at once: the folder vanishing under a writer is no error."""

    def work(number: int) -> None:
        for _ in range(10):
            store.write(f"lobby/cam/{number}", b"1", if_absent=True)
            store.delete(f"lobby/cam/{number}")
        store.write(f"lobby/cam/{number}", b"last")

    in_threads(work, 4)
    assert [blob.name for blob in store.list()] == [f"lobby/cam/{number}" for number in range(4)]


def test_many_consumers_get_every_message_once(queue: JobQueue) -> None:
    """Two hundred messages, twelve consumers: each message is received by one of them, once."""
    for number in range(200):
        queue.send(str(number))
    received: list[str] = []

    def consume(_: int) -> None:
        while (message := queue.receive(300)) is not None:
            received.append(message.text)
            assert message.dequeue_count == 1
            queue.complete(message)

    in_threads(consume, 12)
    assert Counter(received) == Counter(map(str, range(200)))
    assert queue.total() == 0


def test_of_many_who_renew_with_one_receipt_one_is_granted(queue: JobQueue) -> None:
    """The others are told, and hold no receipt that would be worth anything."""
    queue.send("work")
    message = queue.receive(300)
    assert message is not None
    granted = []

    def renew(_: int) -> None:
        try:
            granted.append(queue.renew(message, 300))
        except Conflict:
            return

    in_threads(renew, 8)
    assert len(granted) == 1
    queue.complete(granted[0])
    assert queue.total() == 0


def test_many_senders_lose_nothing(queue: JobQueue) -> None:
    def send(number: int) -> None:
        for other in range(10):
            queue.send(f"{number} {other}")

    in_threads(send, 8)
    assert queue.total() == 80
    texts = set()
    while (message := queue.receive(300)) is not None:
        texts.add(message.text)
    assert len(texts) == 80
