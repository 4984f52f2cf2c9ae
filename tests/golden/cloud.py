"""The cloud in memory: real dispatcher, real runner, mock jobs in real child processes, one fixed clock.

Run by `compare.py record` in the checkout that is recorded, old layout or new; hence the table of places. Prints one
JSON document: every message, every version of every blob, the order of all changes, and how each execution ended.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, os.getcwd())
sys.path.append(str(Path(__file__).parent))

from documents import content, value_of

KINDS = ("input", "output", "processed", "error", "state")
NOW = "GOLDEN_NOW"
STEP_S = 20.0  # what passes between two looks of the Functions host
MAX_STEPS = 300
PLACES = {  # newest first; by files, because importing a package to look into it has effects
    "storage": ("scenejobs/adapters/open.py", "scenejobs/storage.py"),
    "twins": ("scenejobs/adapters/memory/__init__.py", "scenejobs/adapters/memory.py", "scenejobs/memory.py"),
    "settings": ("scenejobs/settings/groups.py", "scenejobs/settings.py"),
    "repeating": ("runner/worker/periodic.py", "runner/background.py"),
}
ENVIRONMENT = {
    "AZURE_STORAGE_ACCOUNT": "shop",  # its storage is replaced; where it is has to be told all the same
    "RUN_MODE": "queue",
    "BACKEND": "mock",
    "QUEUE_IDLE_POLLS": "1",
    "QUEUE_IDLE_WAIT_SECS": "0",
    "MIN_DISK_SPACE_GB": "0",
    "CHECKPOINT_INTERVAL_SECS": "0",  # whether a stage is saved before the job ends is a matter of chance
    "CACHE_MAX_MB": "0",
    "LOG_LEVEL": "WARNING",
    "LOG_FORMAT": "json",
}


def module(place: str) -> Any:
    """The module, wherever this checkout has it."""
    for path in PLACES[place]:
        if Path(path).is_file():
            return importlib.import_module(path.removesuffix(".py").removesuffix("/__init__").replace("/", "."))
    raise SystemExit(f"none of {', '.join(PLACES[place])} is here: add the new place to PLACES in {__file__}")


def replace(owner: Any, name: str, value: Any) -> None:
    if not hasattr(owner, name):
        raise SystemExit(f"{owner.__name__} has no {name}: it has another name here, say so in {__file__}")
    setattr(owner, name, value)


class Journal:
    """What happened, in order and by subject."""

    def __init__(self) -> None:
        self.order: list[str] = []
        self.blobs: dict[str, list[Any]] = defaultdict(list)  # every version, and deletions
        self.messages: dict[str, list[Any]] = defaultdict(list)

    def blob(self, name: str, version: Any) -> None:
        self.order.append(f"{'delete' if version is None else 'write'} {name}")
        self.blobs[name].append({"at": now().isoformat(), "deleted": True} if version is None else version)

    def message(self, queue: str, what: str, **details: Any) -> None:
        self.order.append(f"{what} {queue}")
        self.messages[queue].append({"at": now().isoformat(), "what": what, **details})


def now() -> datetime:
    return datetime.now(UTC)  # the fixed one


def advance(seconds: float) -> None:
    os.environ[NOW] = (now() + timedelta(seconds=seconds)).isoformat()


def twins(journal: Journal, broken: Callable[[str], bool]) -> tuple[type, type, type]:
    """The in-memory store, queue and compute, which tell the journal. broken: an upload of this name fails."""
    memory: Any = module("twins")
    errors = importlib.import_module("scenejobs.errors")

    class Store(memory.MemoryBlobStore):  # type: ignore[misc]
        def write(self, name: str, data: bytes, **options: Any) -> str:
            etag: str = super().write(name, data, **options)
            body = content(name, data)
            journal.blob(f"{self.name}/{name}", {"body": body, "metadata": options.get("metadata") or {}, "etag": etag})
            return etag

        def upload(self, path: Path, name: str, **options: Any) -> str:
            if broken(name):
                raise errors.StorageError(f"{self.name}/{name} cannot be written", advice="wait")
            return str(super().upload(path, name, **options))

        def delete(self, name: str, **options: Any) -> None:
            super().delete(name, **options)
            journal.blob(f"{self.name}/{name}", None)

    class Queue(memory.MemoryQueue):  # type: ignore[misc]
        def send(self, text: str, *, delay_s: float = 0) -> None:
            super().send(text, delay_s=delay_s)
            journal.message(self.name, "send", body=value_of(text), delay_s=delay_s)

        def release(self, message: Any, *, delay_s: float = 0) -> None:
            super().release(message, delay_s=delay_s)
            journal.message(self.name, "release", body=value_of(message.text), delay_s=delay_s)

        def complete(self, message: Any) -> None:
            super().complete(message)
            journal.message(self.name, "complete", body=value_of(message.text))

    class Compute(memory.MemoryCompute):  # type: ignore[misc]
        def start(self) -> str:
            name: str = super().start()
            journal.message("compute", "start", body=name)
            return name

    return Store, Queue, Compute


class AtTheEnd:
    """In the place of threads beside a job: progress is written once, when the job has ended; nothing else is due."""

    def __init__(self, name: str, act: Callable[[], None], every_s: float) -> None:
        self._act = act if name == "progress" else lambda: None

    def end(self) -> None:
        self._act()


class Cloud:
    """Stores, queues, the dispatcher and executions of the runner."""

    def __init__(self, folder: Path) -> None:
        replace(module("repeating"), "Thread", AtTheEnd)  # before anybody takes it
        self.journal, self.uploads_of_results = Journal(), 0
        self.exits: list[int] = []
        store, queue, compute = twins(self.journal, self._broken)
        ports, storage = importlib.import_module("scenejobs.ports"), module("storage")
        self.stores = {kind: store(kind, now) for kind in KINDS}
        self.queues = {name: queue(name, now) for name in ("debounce", "jobs", "poison")}
        self.compute = compute(now)
        containers, queues = ports.Containers(**self.stores), ports.Queues(**self.queues)
        opened = storage.Storage(containers=containers, leases=self.stores["state"], queues=queues, means="memory")
        replace(storage, "open_storage", lambda *_, **__: opened)
        self.environment = {**ENVIRONMENT, "TEMP_PATH": str(folder), "PATH": os.environ["PATH"]}
        wiring = importlib.import_module("function_app.wiring")
        self.app = wiring.assemble(containers, queues, self.compute, module("settings").DispatchSettings(), advance)
        self.run_main = importlib.import_module("runner.cli").main

    def _broken(self, name: str) -> bool:
        """The output container refuses what `hopeless` made, and once what `flaky` made."""
        if name.startswith("flaky/"):
            self.uploads_of_results += 1
        return name.startswith("hopeless/runs/") or (name.startswith("flaky/runs/") and self.uploads_of_results == 1)

    def upload(self, name: str, data: bytes | None = None) -> None:
        self.stores["input"].write(name, name.encode() if data is None else data)
        self.app.dispatcher.on_upload(name, now())

    def settle(self) -> None:
        """Host and runner, with time in between, until no message is left."""
        for _ in range(MAX_STEPS):
            self._host()
            if self.queues["jobs"].waiting():
                self.exits.append(self.run_main([], self.environment))
                for execution in self.compute.live():
                    self.compute.finish(execution.name)
            if not self.queues["jobs"].total() and not self.queues["debounce"].total():
                return
            advance(STEP_S)
        raise SystemExit("the queues do not become empty")

    def _host(self) -> None:
        debounce = self.queues["debounce"]
        while (message := debounce.receive(600)) is not None:
            refused = self.app.on_quiet(message.text.encode(), message.dequeue_count)
            if refused is not None:
                self.journal.message("debounce-poison", "send", body=value_of(refused))
            debounce.complete(message)


def play(cloud: Cloud) -> None:
    """One of each: a success of several uploads, a second generation, dead letters, a retry, what is refused."""
    cloud.upload("lobby/a.mp4")
    advance(STEP_S)
    cloud.upload("lobby/b.mov")
    cloud.upload("lobby/c.jpg")
    cloud.upload("lobby/transforms.json", b"{}")
    cloud.settle()
    cloud.upload("broken/empty.mp4", b"")  # an input error: a dead letter at once
    cloud.settle()
    cloud.upload("flaky/a.mp4")  # succeeds at the second attempt
    cloud.settle()
    cloud.upload("hopeless/a.mp4")  # a dead letter after the last attempt
    cloud.settle()
    cloud.upload("lobby/d.mp4")
    cloud.upload("lobby/_READY")  # no waiting
    cloud.settle()
    cloud.app.dispatcher.on_upload("lobby/../d.mp4", now())
    cloud.queues["debounce"].send("no check")
    cloud.queues["jobs"].send("no job")
    cloud.queues["jobs"].send(json.dumps({"scene": "lobby"}))
    cloud.settle()
    advance(86_400)
    cloud.stores["input"].write("forgotten/a.mp4", b"its event was lost")
    advance(86_400)
    cloud.app.sweeper.sweep()
    cloud.settle()


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        cloud = Cloud(Path(folder))
        play(cloud)
    journal = cloud.journal
    print(json.dumps({
        "messages": journal.messages, "blobs": journal.blobs, "order": journal.order, "exits": cloud.exits,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
