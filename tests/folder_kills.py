"""Kills a process at every call to the operating system that an operation on a folder makes, one after the other.

`python -m tests.folder_kills OPERATION ROOT`: for each call there is, a fork with a fresh folder runs the operation and
is killed (SIGKILL) just before that call; prints one JSON line per kill with what a new process then finds. The last
line is of the fork that was not killed.

The calls are those of Python's audit events: open, rename, link, remove, mkdir, utime, listdir, scandir, flock.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from scenejobs.adapters.folder import FolderBlobStore, FolderQueue
from scenejobs.errors import NotFound, SceneJobError

OLD, NEW = b"old" * 5_000, b"new" * 5_000
WATCHED = ("open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir", "os.utime", "os.scandir", "fcntl.flock")


def prepare(root: Path) -> None:
    for name in ("input", "processed"):
        (root / name).mkdir()
    (root / "video").write_bytes(NEW)
    store, queue = FolderBlobStore(root / "input"), FolderQueue(root / "jobs")
    store.write("lobby/there", OLD, metadata={"version": "old"})
    store.write("source", NEW)
    FolderBlobStore(root / "processed")
    queue.send("work")


def _new_version(root: Path) -> dict[str, Any]:
    return {"data": NEW, "metadata": {"version": "new"}}


OPERATIONS: dict[str, Callable[[Path], object]] = {
    "create": lambda root: _input(root).write("a/b", **_new_version(root), if_absent=True),
    "replace": lambda root: _input(root).write(
        "lobby/there", **_new_version(root), if_match=_input(root).head("lobby/there").etag
    ),
    "upload": lambda root: _input(root).upload(root / "video", "lobby/there"),
    "copy": lambda root: FolderBlobStore(root / "processed").copy_from(
        _input(root), "source", "lobby/copy", source_etag=None, if_absent=True
    ),
    "delete": lambda root: _input(root).delete("lobby/there"),
    "lease": lambda root: _input(root).lease("lobby/there", 15).release(),
    "send": lambda root: _queue(root).send("more"),
    "receive": lambda root: _queue(root).receive(300),
    "settle": lambda root: _settle(_queue(root)),
}


def _input(root: Path) -> FolderBlobStore:
    return FolderBlobStore(root / "input")


def _queue(root: Path) -> FolderQueue:
    return FolderQueue(root / "jobs")


def _settle(queue: FolderQueue) -> None:
    message = queue.receive(300)
    assert message is not None
    queue.complete(queue.renew(message, 300))


def main(operation: str, folder: Path) -> None:
    for at in range(1, 10_000):
        root = folder / str(at)
        root.mkdir()
        prepare(root)
        child = os.fork()
        if child == 0:
            _die_at(at)
            OPERATIONS[operation](root)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        killed = os.WIFSIGNALED(status)
        assert killed or os.WEXITSTATUS(status) == 0, status
        print(json.dumps({"at": at, "killed": killed, **findings(root), "again": _again(operation, root)}), flush=True)
        if not killed:
            return


def _die_at(at: int) -> None:
    seen = 0

    def hook(event: str, arguments: object) -> None:
        nonlocal seen
        if event in WATCHED:
            seen += 1
            if seen == at:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def findings(root: Path) -> dict[str, Any]:
    """What a process that comes later sees."""
    blobs = []
    for kind in ("input", "processed"):
        store = FolderBlobStore(root / kind)
        for info in store.list():
            data, etag = store.read(info.name)
            content = {OLD: "old", NEW: "new"}.get(data, "torn")
            blobs.append([f"{kind}/{info.name}", content, info.metadata, etag == info.etag])
    queue = _queue(root)
    return {"blobs": blobs, "messages": queue.total(), "waiting": queue.waiting()}


def _again(operation: str, root: Path) -> str:
    """The same once more, by the next process: no lock is left behind, and nothing stands in the way."""
    try:
        OPERATIONS[operation](root)
    except NotFound:
        return "NotFound"
    except SceneJobError as exc:
        return type(exc).__name__
    except AssertionError:  # nothing to receive
        return "nothing"
    return "done"


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
