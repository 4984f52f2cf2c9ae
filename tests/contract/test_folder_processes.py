"""A folder shared by real processes: some work at once, one is killed at every step."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from scenejobs.adapters.folder import FolderBlobStore, FolderQueue

ROOT = Path(__file__).parents[2]

THERE = ["input/lobby/there", "old", {"version": "old"}, True]
SOURCE = ["input/source", "new", {}, True]


def kills(operation: str, folder: Path) -> list[dict[str, Any]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.folder_kills", operation, str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(found) > 8, "hardly anything was killed"
    assert [item["killed"] for item in found] == [True] * (len(found) - 1) + [False]
    return found


@pytest.mark.parametrize(
    ("operation", "before", "after", "again"),
    [
        ("create", [THERE, SOURCE], [["input/a/b", "new", {"version": "new"}, True], THERE, SOURCE],
         {"done", "Conflict"}),
        ("replace", [THERE, SOURCE], [["input/lobby/there", "new", {"version": "new"}, True], SOURCE], {"done"}),
        ("upload", [THERE, SOURCE], [["input/lobby/there", "new", {}, True], SOURCE], {"done"}),
        ("delete", [THERE, SOURCE], [SOURCE], {"done", "NotFound"}),
        ("lease", [THERE, SOURCE], [THERE, SOURCE], {"done", "Conflict"}),
    ],
)  # fmt: skip
def test_killed_at_any_step_a_blob_is_the_old_one_or_the_new_one(
    quick_disk: Path, operation: str, before: list[Any], after: list[Any], again: set[str]
) -> None:
    """Bytes, ETag and metadata together; and whoever comes next is not kept from doing it."""
    found = kills(operation, quick_disk)
    for item in found:
        assert item["blobs"] in (before, after), item
        assert item["again"] in again, item
    assert found[0]["blobs"] == before
    assert found[-1]["blobs"] == after


def test_killed_at_any_step_a_copy_is_whole_or_not_there_and_can_be_made_again(quick_disk: Path) -> None:
    for item in kills("copy", quick_disk):
        copies = [blob for blob in item["blobs"] if blob[0] == "processed/lobby/copy"]
        assert [[content, list(metadata)] for _, content, metadata, _ in copies] in ([], [["new", ["source_etag"]]])
        assert item["again"] == "done"


def test_killed_at_any_step_no_message_is_lost_or_doubled(quick_disk: Path) -> None:
    """Sent it is there or not; received it is hidden or not; settled it is gone or comes back."""
    for folder in ("send", "receive", "settle"):
        (quick_disk / folder).mkdir()
    for item in kills("send", quick_disk / "send"):
        assert item["messages"] in (1, 2)
        assert item["waiting"] == item["messages"]
    for item in kills("receive", quick_disk / "receive"):
        assert item["messages"] == 1
    for item in kills("settle", quick_disk / "settle"):
        assert item["messages"] in (0, 1)
        assert item["waiting"] == 0 or item["again"] == "done"


WORK = """
import sys
from pathlib import Path
from scenejobs.errors import Conflict
from scenejobs.adapters.folder import FolderBlobStore, FolderQueue
root = Path(sys.argv[1])
store, queue = FolderBlobStore(root / "state"), FolderQueue(root / "jobs")
try:
    store.write("winner", sys.argv[2].encode(), if_absent=True)
    print("won")
except Conflict:
    pass
for _ in range(15):
    while True:
        data, etag = store.read("counter")
        try:
            store.write("counter", str(int(data) + 1).encode(), if_match=etag)
        except Conflict:
            continue
        break
while (message := queue.receive(300)) is not None:
    print("got", message.text)
    queue.complete(message)
"""


def test_several_processes_share_a_folder(tmp_path: Path) -> None:
    """Four processes: one creates, no increment of sixty is lost, each of a hundred messages goes to one of them."""
    (tmp_path / "state").mkdir()
    store, queue = FolderBlobStore(tmp_path / "state"), FolderQueue(tmp_path / "jobs")
    store.write("counter", b"0")
    for number in range(100):
        queue.send(str(number))
    workers = [
        subprocess.Popen([sys.executable, "-c", WORK, str(tmp_path), str(number)], cwd=ROOT, stdout=subprocess.PIPE)
        for number in range(4)
    ]
    lines = [line for worker in workers for line in worker.communicate(timeout=120)[0].decode().splitlines()]
    assert [worker.returncode for worker in workers] == [0] * 4
    assert lines.count("won") == 1
    assert store.read("counter")[0] == b"60"
    assert Counter(line for line in lines if line != "won") == Counter(f"got {number}" for number in range(100))
    assert queue.total() == 0
