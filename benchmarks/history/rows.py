"""The rows of `python -m benchmarks.history`, as one JSON object. Runs on this version and on earlier ones.

python rows.py memory SCENES     a sweep beside so many finished scenes, over the in-memory storage
python rows.py uploads           1,000 uploads into one scene, all events and checks
python rows.py watch             a look of watch mode, over folders
python rows.py refused NAMES     the second sweep beside refused names, on the emulator
"""

from __future__ import annotations

import inspect
import json
import resource
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from function_app.wiring import App, assemble
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryCompute, MemoryQueue
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.blobs import InputBlob
from scenejobs.state.record import SceneRecord

KINDS = ("input", "output", "processed", "error", "state")
PAGE = 5000  # blobs of a listing in one answer of the service


class Counted:
    """A store or queue whose calls and listed blobs are counted."""

    def __init__(self, target: Any, counts: Counter[str]) -> None:
        self._target, self._counts = target, counts

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **named: Any) -> Any:
            result = found(*(each._target if isinstance(each, Counted) else each for each in arguments), **named)
            if name in ("list", "list_all"):
                blobs = list(result if name == "list" else result.blobs)
                self._counts["calls"] += max(1, -(-len(blobs) // PAGE))
                self._counts["listed"] += len(blobs)
                return iter(blobs) if name == "list" else replace(result, blobs=tuple(blobs))
            self._counts["calls"] += 1
            return result

        return call


class Memory:
    """The dispatcher over the in-memory storage."""

    def __init__(self) -> None:
        self.clock, self.counts = ManualClock(), Counter[str]()
        self.stores = {kind: MemoryBlobStore(kind, self.clock) for kind in KINDS}
        self.queues = [MemoryQueue(name, self.clock) for name in ("debounce", "jobs", "poison")]
        containers = Containers(*(Counted(store, self.counts) for store in self.stores.values()))  # type: ignore[arg-type]
        queues = Queues(*(Counted(queue, self.counts) for queue in self.queues))  # type: ignore[arg-type]
        self.app = assembled(containers, queues, DispatchSettings())

    def put(self, name: str, data: bytes, metadata: dict[str, str]) -> None:
        """Past the checks of names, which take most of the time of a million."""
        state = self.stores["state"]
        state.write("template", data, metadata=metadata)
        state.blobs[name] = state.blobs.pop("template")


def assembled(containers: Containers, queues: Queues, settings: DispatchSettings) -> App:
    """Earlier versions did one thing after the other."""
    more = {"at_once": 1} if "at_once" in inspect.signature(assemble).parameters else {}
    return assemble(containers, queues, MemoryCompute(), settings, lambda _: None, **more)  # type: ignore[arg-type]


def finished_record(clock: ManualClock) -> str:
    manifest = (InputBlob("tmpl/a.mp4", "0x1", 5),)
    record = SceneRecord("tmpl").attempted("run-1", manifest, clock()).committed(())
    return json.dumps(record.closed({"tmpl/a.mp4": "processed/tmpl/a.mp4"}, clock()).to_json())


def memory(scenes: int) -> dict[str, Any]:
    """Finished records are written directly. The first sweep looks at all of them; five minutes later comes another."""
    world = Memory()
    done = finished_record(world.clock)
    for number in range(scenes):
        scene = f"s{number:07d}"
        world.put(f"scenes/{scene}.json", done.replace("tmpl", scene).encode(), {"phase": "idle"})
    found: dict[str, Any] = {}
    for which in ("first", "second"):
        world.counts.clear()
        begun = time.perf_counter()
        world.app.sweeper.sweep()
        found[which] = {**world.counts, "seconds": round(time.perf_counter() - begun, 2)}
        world.clock.advance(300)
    return {**found, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def uploads() -> dict[str, Any]:
    world, debounce = Memory(), None
    debounce = world.queues[0]
    for number in range(1000):
        name = f"lobby/{number:04d}.jpg"
        world.stores["input"].write(name, b"photo")
        world.app.dispatcher.on_upload(name, world.clock())
        world.clock.advance(0.05)
    for _ in range(200):
        world.clock.advance(1)
        while (message := debounce.receive(600)) is not None:
            world.app.on_quiet(message.text.encode(), message.dequeue_count)
            debounce.complete(message)
    return dict(world.counts)


def watch() -> dict[str, Any]:
    """Milliseconds of CPU of the cheapest of five looks."""
    from scenejobs.adapters.folder import Places
    from scenejobs.adapters.open import open_folders
    from watch.loop import Watch
    from watch.stable_folder import StableFolder
    from watch.status import WatchStatus

    found = {}
    done = finished_record(ManualClock())
    for scenes in (10, 300, 1000):
        with tempfile.TemporaryDirectory() as folder:
            places = Places(*(Path(folder, kind) for kind in KINDS))
            for each in places.all():
                each.mkdir()
            storage = open_folders(places)
            containers = replace(storage.containers, input=StableFolder(places.input, "input"))
            app = assembled(containers, storage.queues, DispatchSettings(quiet_s=60, max_wait_s=float("inf")))
            status = WatchStatus(workspace=Path(folder), places=places, min_free_gb=0)
            seen = Watch(containers, storage.queues, app, MemoryCompute(), status, WatchSettings(), 1, places)  # type: ignore[arg-type]
            for number in range(scenes):
                scene = f"s{number:05d}"
                containers.state.write(
                    f"scenes/{scene}.json", done.replace("tmpl", scene).encode(), metadata={"phase": "idle"}
                )
                containers.state.write(f"generations/{scene}/1.json", b"{}")
            costs = []
            for _ in range(6):
                begun = time.process_time()
                seen.poll()
                costs.append(time.process_time() - begun)
            if status.last_error:
                raise RuntimeError(status.last_error)
            found[str(scenes)] = round(min(costs[1:]) * 1000, 1)
    return found


def refused(names: int) -> dict[str, Any]:
    from azure.storage.blob import BlobServiceClient

    from local.azurite import Azurite
    from scenejobs.adapters.azure.clients import create_all, open_containers, open_queues

    with Azurite() as emulator:
        settings = StorageSettings(connection_string=emulator.connection_string)
        create_all(settings)
        service = BlobServiceClient.from_connection_string(emulator.connection_string)
        container = service.get_container_client(settings.input)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda number: container.get_blob_client(f"x//{number}.mp4").upload_blob(b""), range(names)))
        app = assemble(open_containers(settings), open_queues(settings), MemoryCompute(), DispatchSettings())
        found: dict[str, Any] = {}
        for which in ("first", "second"):
            begun = time.perf_counter()
            report = app.sweeper.sweep()
            found[which] = {"seconds": round(time.perf_counter() - begun, 1), "refused": report.refused}
    return found


if __name__ == "__main__":
    import logging

    logging.disable(logging.CRITICAL)
    row, *rest = sys.argv[1:]
    print(json.dumps({"memory": memory, "uploads": uploads, "watch": watch, "refused": refused}[row](*map(int, rest))))
