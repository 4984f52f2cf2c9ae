"""A new version of the function app in the middle of a burst of uploads loses nothing.

Flex Consumption ends running calls when code is deployed: the emulated host gives them ten seconds, and what it cuts
off stays hidden for ten minutes. Each request of a function takes seconds here, so that stops fall between any two of
them. No sweep runs: nothing waits for it.
"""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC
from types import SimpleNamespace
from typing import Any

import pytest

from function_app.wiring import assemble
from local.functions_host.blob_trigger import EVENT_GRID, deliver, encoded_note
from local.functions_host.options import BLOB_RETRY_S, HostOptions
from local.functions_host.queue_trigger import QueueListener
from scenejobs.adapters.memory import MemoryQueue
from scenejobs.errors import NotFound
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.incoming import batches
from tests.dispatch import World
from tests.doubles.faults import Killed
from tests.doubles.functions_host import SdkQueue, StepClock

SCENES = ("attic", "cellar", "lobby")
OPTIONS = HostOptions(8, 4, 8)
SETTINGS = DispatchSettings(quiet_s=20, max_wait_s=600, max_parallel_jobs=3, requeue_after_s=600)
REQUEST_S = 7.0  # longest that a request of a function takes
STOP_S = 10.0


class Slow:
    """A store or queue whose every request takes a while, and ends the caller when its process is gone."""

    def __init__(self, target: Any, version: Version) -> None:
        self._target, self._version = target, version

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if not callable(found):
            return found

        def call(*arguments: Any, **options: Any) -> Any:
            self._version.takes(name)
            return found(*arguments, **options)

        return call


class Version:
    """A deployed function app: the functions of uploads and of checks, in one process."""

    def __init__(self, cloud: Burst) -> None:
        self.cloud, self.clock, self.gone = cloud, cloud.clock, threading.Event()
        world = cloud.world
        slow: Callable[[Any], Any] = lambda target: Slow(target, self)  # noqa: E731
        others = [
            slow(store) for store in (world.input, world.processed, world.processed, world.processed, world.state)
        ]
        queues = Queues(slow(world.debounce), slow(world.jobs), world.poison)
        self.app = assemble(Containers(*others), queues, world.compute, SETTINGS, pause=self.pause, at_once=1)
        handlers = {"notes": self.on_note, "debounce": self.on_check}
        limits: dict[str, Any] = {
            "notes": {"tries": 5, "parallel": 8, "at_once": 8, "retry_s": BLOB_RETRY_S},
            "debounce": {"tries": 8, "parallel": 12, "at_once": 8, "retry_s": 60.0},
        }
        self.listeners = [
            QueueListener(
                queue.name, SdkQueue(queue), SdkQueue(cloud.poison), handlers[queue.name], max_polling_s=5.0,
                clock=self.clock, **limits[queue.name],
            )
            for queue in (cloud.notes, world.debounce)
        ]  # fmt: skip
        for listener in self.listeners:
            listener.start()

    def pause(self, seconds: float) -> None:
        if self.clock.wait(self.gone, seconds):
            raise Killed

    def takes(self, request: str) -> None:
        del request
        self.pause(self.cloud.draw.uniform(0, REQUEST_S))

    def on_note(self, message: Any) -> None:
        world = self.cloud.world

        def properties(name: str) -> Any:
            try:
                return SimpleNamespace(etag=world.input.head(name).etag)
            except NotFound:
                pytest.fail("nothing is deleted here")

        service: Any = SimpleNamespace(
            get_blob_client=lambda _, name: SimpleNamespace(get_blob_properties=lambda: properties(name))
        )
        client_of: Any = lambda _, name: name  # noqa: E731
        call: Callable[[Any], None] = lambda name: self.app.on_upload(name, self.now())  # noqa: E731
        deliver(message, "on_upload", EVENT_GRID, service, client_of, call)

    def on_check(self, message: Any) -> None:
        self.cloud.calls.append(message.dequeue_count)
        refused = self.app.on_quiet(message.content.encode(), message.dequeue_count)
        assert refused is None

    def now(self) -> Any:
        return self.clock.now().astimezone(UTC)

    def end(self, wait_s: float | None) -> None:
        """The platform's: a stop after so long, or a drain. Afterwards the process is gone."""
        threads = [threading.Thread(target=listener.stop, args=[wait_s]) for listener in self.listeners]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.gone.set()


class Burst:
    """Uploads of three scenes, one after the other and interleaved, and deployments at random moments."""

    def __init__(self, seed: int) -> None:
        self.draw = random.Random(seed)
        self.world = World(SETTINGS)
        self.clock = StepClock(self.world.clock)
        self.notes, self.poison = (MemoryQueue(name, self.world.clock) for name in ("notes", "any-poison"))
        self.calls: list[int] = []
        self.uploads: list[str] = []
        self.version = Version(self)

    def upload(self, name: str) -> None:
        etag = self.world.input.write(name, b"video")
        self.notes.send(encoded_note("on_upload", "input", name, etag))
        self.version.listeners[0].notify()
        self.uploads.append(name)

    def deploy(self, wait_s: float | None) -> int:
        """Ends the version that runs while time goes on, and starts the next. Returns how many calls were cut off."""
        ending = threading.Thread(target=self.version.end, args=[wait_s])
        ending.start()
        self.clock.until(lambda: not ending.is_alive(), limit_s=400)
        messages = [*self.notes.messages, *self.world.debounce.messages]  # nobody works on them
        cut_off = sum((message.visible_at - self.clock.now()).total_seconds() > 120 for message in messages)
        self.version = Version(self)
        return cut_off


@pytest.fixture
def burst(request: pytest.FixtureRequest) -> Iterator[Burst]:
    burst = Burst(request.param)
    yield burst
    burst.version.gone.set()
    for listener in burst.version.listeners:
        listener.stop(0)


@pytest.mark.parametrize(("burst", "wait_s"), [(1, STOP_S), (2, STOP_S), (3, STOP_S), (4, None)], indirect=["burst"])
def test_versions_that_are_deployed_in_a_burst_of_uploads_lose_nothing(burst: Burst, wait_s: float | None) -> None:
    cut_off: list[int] = []
    for number in range(30):
        burst.upload(f"{SCENES[number * 3 // 30]}/{number}.mp4")
        burst.upload(f"{burst.draw.choice(SCENES)}/other-{number}.mp4")
        burst.clock.advance(burst.draw.uniform(0.5, 5))
        if number % 6 == 5:
            cut_off.append(burst.deploy(wait_s))
    if wait_s is None:
        assert sum(cut_off) == 0, "a drain waits"
    else:
        assert sum(cut_off) > 0, "no call was cut off: the test shows nothing"
    burst.clock.advance(1500, step=5)
    state, world = burst.world.state, burst.world
    assert burst.notes.total() == world.debounce.total() == burst.poison.total() == 0
    for scene in SCENES:
        blobs = tuple(blob for blob in world.input.list(f"{scene}/"))
        assert batches.unsealed(state, blobs, batches.listed(state, scene)) == [], scene
    assert {message.scene for message in world.sent} == set(SCENES)
    world.work()
    assert {blob.name for blob in world.processed.list()} == set(burst.uploads)
