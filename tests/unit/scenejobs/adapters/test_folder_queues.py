"""A folder as a queue: files that are no messages, planted ones, the order, and a rival."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderQueue
from scenejobs.errors import Conflict
from tests.folders import put


def test_files_that_are_no_messages_are_left_alone(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path / "jobs")
    put(tmp_path / "jobs/README", b"what is this?")
    os.symlink("/etc/passwd", tmp_path / f"jobs/{0:020}-{0:09}-{'a' * 32}-{'b' * 16}")
    assert queue.receive(30) is None
    assert (queue.waiting(), queue.total()) == (0, 0)
    assert (tmp_path / "jobs/README").exists()


@pytest.mark.parametrize("data", [b"", b"\xff\xfe", b"x" * 200_000, b"[" * 30_000])
def test_a_message_planted_by_hand_is_received_whatever_it_holds(tmp_path: Path, data: bytes) -> None:
    """So that it can be refused and removed; of a huge one no more is read than a message may have, and a byte."""
    queue = FolderQueue(tmp_path / "jobs")
    put(tmp_path / f"jobs/{0:020}-{0:09}-{'a' * 32}-{'b' * 16}", data)
    message = queue.receive(30)
    assert message is not None
    assert len(message.text) <= 65_537
    queue.complete(message)
    assert queue.total() == 0


def test_the_first_to_become_visible_comes_first(tmp_path: Path) -> None:
    queue = FolderQueue(tmp_path / "jobs")
    for text in ("one", "two", "three"):
        queue.send(text)
    received = [queue.receive(60) for _ in range(3)]
    assert [message.text for message in received if message] == ["one", "two", "three"]


def test_who_is_overtaken_between_looking_and_renaming_is_told(tmp_path: Path) -> None:
    """The clock is asked in between: a rival renews at that moment, and the late one gets no receipt."""
    rival, at_that_moment = FolderQueue(tmp_path / "jobs"), list[Callable[[], object]]()

    def clock() -> datetime:
        if at_that_moment:
            at_that_moment.pop()()
        return datetime.now(UTC)

    late = FolderQueue(tmp_path / "jobs", clock=clock)
    rival.send("work")
    message = rival.receive(300)
    assert message is not None
    at_that_moment.append(lambda: rival.renew(message, 300))
    with pytest.raises(Conflict):
        late.renew(message, 300)
