"""A look of a serving machine: what it asks for, what it starts, and what it counts as its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

import watch.problems
from function_app.wiring import App, assemble
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryCompute, MemoryQueue
from scenejobs.errors import AccessDenied, Busy, ComputeError, SceneJobError
from scenejobs.ports import BlobInfo, Containers, Queues
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import activity, generations, layout
from scenejobs.state.messages import DebounceCheck
from scenejobs.state.record import SceneRecord
from serve.deliveries import RETRY_S, Deliveries
from serve.loop import Listeners, Serve
from serve.status import ServeStatus
from tests.counting import Counts
from watch.http_server import health, health_routes
from watch.problems import Kind

KINDS = ("input", "output", "processed", "error", "state")
QUIET_S = 60.0


class Workers(MemoryCompute):
    """Of one machine; they do nothing."""

    trouble, refusing = "", False

    def start(self) -> str:
        if self.refusing:
            raise ComputeError("no worker can be started", advice="is memory used up?")
        return super().start()

    def knows(self, name: str) -> bool:
        return name.startswith("mine")


class World:
    """An account in memory, and a machine that serves it."""

    def __init__(
        self, folder: Path, *, events: bool = False, min_free_gb: float = 0, beside: World | None = None
    ) -> None:
        names = ("debounce", "jobs", "poison", "uploads", "lost")
        self.clock = beside.clock if beside else ManualClock()
        self.stores = beside.stores if beside else {kind: MemoryBlobStore(kind, self.clock) for kind in KINDS}
        self.queues = beside.queues if beside else {name: MemoryQueue(name, self.clock) for name in names}
        self.counts, self.compute = Counts(), Workers()
        containers = self.counts.containers(Containers(**self.stores))
        queues = Queues(*(self.queues[name] for name in names[:3]))
        app = assemble(
            containers, queues, self.compute, DispatchSettings(quiet_s=QUIET_S, max_parallel_jobs=1),
            own=MemoryBlobStore("starter", self.clock),
        )  # fmt: skip
        self.status = ServeStatus(folder, None, min_free_gb, knows=self.compute.knows)
        listeners = Listeners(self.checks, self.events if events else None)
        self.serve = Serve(app, self.compute, self.status, WatchSettings(), listeners, PipelineSettings())  # type: ignore[arg-type]

    def checks(self, app: App) -> Deliveries:
        return Deliveries("a check", self.queues["debounce"], self.queues["lost"], app.on_quiet)

    def events(self, app: App) -> Deliveries:
        def handle(body: bytes, _: int) -> str | None:
            return app.on_event(body, self.clock())

        return Deliveries("an event", self.queues["uploads"], self.queues["lost"], handle)

    def upload(self, name: str) -> None:
        self.stores["input"].write(name, b"video")

    def look(self) -> None:
        self.serve.poll()
        assert self.status.last_error == ""

    def finish(self, scene: str, execution: str) -> None:
        record = SceneRecord(scene).attempted("run-1", (), self.clock()).committed(())
        state = self.stores["state"]
        generations.note(state, record, {}, execution)
        state.write(layout.record_name(scene), b"{}", metadata={"phase": "idle"})


def test_uploads_are_found_by_listing_and_a_worker_is_started_after_the_quiet_time(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.upload("lobby/a.mp4")
    world.look()
    assert world.queues["jobs"].total() == 0
    assert [scene.scene for scene in world.status.scenes] == ["lobby"]
    world.clock.advance(QUIET_S)
    world.look()
    assert (world.queues["jobs"].total(), world.compute.starts) == (1, 1)


def test_two_machines_seal_one_upload_once_and_each_starts_a_worker_of_its_own(tmp_path: Path) -> None:
    """What one has started is not the other's to judge: it never sees it run."""
    world = World(tmp_path)
    other = World(tmp_path, beside=world)
    world.upload("lobby/a.mp4")
    world.clock.advance(QUIET_S)
    for _ in range(3):
        world.look()
        other.look()
        world.clock.advance(70)  # longer than a started execution may be missing in a listing
    assert world.queues["jobs"].total() == 1
    assert (world.compute.starts, other.compute.starts) == (1, 1)
    assert layout.DISPATCHER_RECORD not in {blob.name for blob in world.stores["state"].list()}


def test_with_a_queue_of_events_nothing_is_swept_between_two_that_are_due(tmp_path: Path) -> None:
    world = World(tmp_path, events=True)
    world.look()
    world.upload("lobby/a.mp4")
    subject = "/blobServices/default/containers/input/blobs/lobby/a.mp4"
    event = {"eventType": "Microsoft.Storage.BlobCreated", "subject": subject, "data": {}}
    world.queues["uploads"].send(json.dumps(event))
    world.queues["uploads"].send("no event")
    world.counts.clear()
    world.look()
    assert world.counts.calls["input.list"] == 1, "for health, not by a sweep"
    assert (world.queues["debounce"].total(), world.queues["lost"].total()) == (1, 1)
    world.clock.advance(QUIET_S + 5)
    world.look()
    assert (world.queues["jobs"].total(), world.compute.starts) == (1, 1)


def test_while_the_disk_is_full_scenes_wait(tmp_path: Path) -> None:
    world = World(tmp_path, min_free_gb=1e9)
    world.upload("lobby/a.mp4")
    world.clock.advance(QUIET_S)
    world.serve.poll()
    world.serve.poll()
    assert (world.queues["jobs"].total(), world.compute.starts) == (1, 0)
    assert [each.kind for each in world.status.unwell(world.status.problems(10.0))] == [Kind.DISK]


def test_what_ended_in_a_worker_of_another_machine_is_not_counted_here(tmp_path: Path) -> None:
    world = World(tmp_path)
    for scene in ("lobby", "attic"):
        world.upload(f"{scene}/a.mp4")
    world.look()
    world.finish("lobby", "mine-1")
    world.finish("attic", "theirs-1")
    for scene in ("lobby", "attic"):
        world.stores["input"].delete(f"{scene}/a.mp4")
    world.look()
    world.look()
    assert (world.status.succeeded, world.status.failed) == (1, 0)


def test_a_look_costs_the_same_however_much_has_finished_and_waits(tmp_path: Path) -> None:
    """Each request of each machine every ten seconds is paid for."""
    world = World(tmp_path)

    def cost() -> tuple[int, int]:
        world.look()
        world.counts.clear()
        world.look()
        return world.counts.total, world.counts.listed

    before = cost()
    assert before == (pytest.approx(before[0]), 0)
    for number in range(30):
        world.finish(f"done{number}", "mine-1")
    assert cost() == before


def test_a_scene_that_is_stuck_is_told_and_leaves_each_machine_healthy(tmp_path: Path) -> None:
    """It is the account's: where one scene made all machines unhealthy, they would all be replaced for nothing."""
    world = World(tmp_path)
    other = World(tmp_path, beside=world)
    activity.mark(world.stores["state"], "lobby")
    world.stores["state"].write(layout.record_name("lobby"), b"no record", metadata={"phase": "committed"})
    for machine in (world, other):
        machine.look()
        answer = health(machine.status, 10.0)
        body = json.loads(answer.body)
        assert (answer.status, body["status"]) == (200, "healthy")
        assert [each["kind"] for each in body["problems"]] == [Kind.STUCK]
        assert "lobby" in body["reason"]
        assert health_routes(machine.status, 10.0)["/health/ready"]().status == 200


def test_messages_that_no_worker_takes_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At once where none can be started, until one runs; after a while where none comes for another reason."""
    monkeypatch.setattr(watch.problems, "STALLED_S", 0.0)
    world = World(tmp_path)
    world.compute.refusing = True
    world.upload("lobby/a.mp4")
    world.clock.advance(QUIET_S)
    for _ in range(2):  # at the second the next start is not due yet: nothing fails, and nothing begins
        world.look()
        assert [each.kind for each in world.status.found] == [Kind.WORKER]
    world.compute.trouble = ""
    world.look()
    assert [(each.kind, each.about) for each in world.status.found] == [(Kind.STUCK, "lobby")]
    world.compute.refusing = False
    world.clock.advance(3600)
    world.look()
    world.look()
    assert world.status.found == ()


def test_an_outage_is_one_line_of_the_log_whatever_each_look_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each answer names another connection. Another reason is another line, and so is the end."""
    world = World(tmp_path)
    errors: list[SceneJobError] = [*(Busy(f"no answer to request {n}") for n in range(3)), AccessDenied("expired")]
    with monkeypatch.context() as away:
        for error in errors:

            def listing(_: object, error: SceneJobError = error) -> Iterator[BlobInfo]:
                raise error

            away.setattr(MemoryBlobStore, "list", lambda store, prefix="", listing=listing: listing(store))
            away.setattr(MemoryBlobStore, "list_all", lambda store, prefix="", listing=listing: listing(store))
            world.serve.poll()
            assert str(error) in world.status.last_error
    world.look()
    told = [getattr(record, "event", "") for record in caplog.records if record.levelname == "ERROR"]
    assert told == ["watch.storage", "watch.storage"]


def test_a_scene_that_ends_while_the_storage_is_away_is_counted_afterwards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(tmp_path)
    world.upload("lobby/a.mp4")
    world.look()
    world.finish("lobby", "mine-1")
    world.stores["input"].delete("lobby/a.mp4")
    with monkeypatch.context() as away:
        listed = MemoryBlobStore.list

        def failing(store: MemoryBlobStore, prefix: str = "") -> Iterator[BlobInfo]:
            if prefix.startswith(layout.GENERATIONS):
                raise Busy("no answer")
            return listed(store, prefix)

        away.setattr(MemoryBlobStore, "list", failing)
        world.serve.poll()
    world.look()
    assert world.status.succeeded == 1


def test_cut_off_from_its_containers_a_machine_leaves_messages_to_those_that_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its queues still answer: what it took and gave back would be hidden from the others for a minute, again and
    again. The look that meets the outage may take one."""

    def no_answer(*_: object, **__: object) -> None:
        raise Busy("no answer")

    world = World(tmp_path)
    world.look()
    check = DebounceCheck("lobby", "", world.clock()).to_json()
    world.queues["debounce"].send(check)
    with monkeypatch.context() as away:
        for name in ("list", "list_all", "now", "head", "read", "write"):
            away.setattr(MemoryBlobStore, name, no_answer)
        world.serve.poll()
        world.clock.advance(RETRY_S)
        for _ in range(3):
            world.serve.poll()
    taken = world.queues["debounce"].receive(1.0)
    assert taken is not None, "visible to the other machine"
    assert taken.dequeue_count == 2, "taken once by the look that met the outage"
