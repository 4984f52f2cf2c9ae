"""The dispatcher and the starter over in-memory twins, with a clock that tests move; its runner only moves inputs."""

from __future__ import annotations

from dataclasses import dataclass, field

from function_app.starter import Starter
from function_app.wiring import App, assemble
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryCompute, MemoryQueue
from scenejobs.errors import Failure
from scenejobs.ports import BlobStore, Containers, JobQueue, Lease, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import layout, records
from scenejobs.state.executions import usage
from scenejobs.state.incoming.uploads import list_scene, snapshot
from scenejobs.state.messages import DebounceCheck, JobMessage
from tests.doubles.faults import FaultPlan, FaultyCompute

SETTINGS = DispatchSettings(quiet_s=60, max_wait_s=1800, max_parallel_jobs=3, requeue_after_s=600)


@dataclass
class World:
    """Everything the dispatcher touches."""

    settings: DispatchSettings = SETTINGS
    clock: ManualClock = field(default_factory=ManualClock)
    runs: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)  # scene and inputs of each run of the runner

    def __post_init__(self) -> None:
        names = ("input", "output", "processed", "error", "state")
        self.input, _, self.processed, _, self.state = stores = [MemoryBlobStore(name, self.clock) for name in names]
        self.debounce, self.jobs, self.poison = (MemoryQueue(name, self.clock) for name in ("debounce", "jobs", "bad"))
        self.compute = MemoryCompute(self.clock)
        self.containers = Containers(*stores)
        self.queues = Queues(self.debounce, self.jobs, self.poison)
        self.app = self.assembled(self.state, self.debounce, self.jobs)

    def assembled(self, state: BlobStore, debounce: JobQueue, jobs: JobQueue) -> App:
        """The app with other stores in the place of some: ones that fail."""
        other = MemoryBlobStore(clock=self.clock)
        containers = Containers(self.input, other, other, other, state)
        return assemble(containers, Queues(debounce, jobs, self.poison), self.compute, self.settings)

    def upload(self, name: str, *, event: bool = True, data: bytes = b"video") -> None:
        self.input.write(name, data)
        if event:
            self.app.dispatcher.on_upload(name, self.clock())

    def deliver(self) -> int:
        """Gives the visible checks to the dispatcher, as the host would; returns how many."""
        count = 0
        while (message := self.debounce.receive(600)) is not None:
            self.app.dispatcher.on_quiet(
                DebounceCheck.from_json(message.text), redelivered=message.dequeue_count > 1, traceparent=""
            )
            self.debounce.complete(message)
            count += 1
        return count

    def advance(self, seconds: float, step: float = 1.0) -> None:
        """Lets time pass and delivers what becomes visible on the way."""
        end = seconds
        while end > 0:
            self.clock.advance(min(step, end))
            end -= step
            self.deliver()

    def work(self) -> None:
        """What a runner does, without a pipeline: drains the queue, works on what each listing shows, and ends."""
        usage.write(self.state, f"runner-{len(self.runs)}", self.clock(), self.clock().date(), 0.0)
        while (message := self.jobs.receive(600)) is not None:
            scene = JobMessage.from_json(message.text).scene
            blobs = list_scene(self.input, scene, self.settings.prefix_depth)
            if blobs:
                self.runs.append((scene, tuple(blob.name for blob in blobs)))
            for blob in blobs:
                self.processed.copy_from(self.input, blob.name, blob.name, source_etag=blob.etag, if_absent=False)
                self.input.delete(blob.name, if_match=blob.etag)
            self.jobs.complete(message)
        for execution in self.compute.live():
            self.compute.finish(execution.name)

    @property
    def sent(self) -> list[JobMessage]:
        """The work messages in the queue."""
        return [JobMessage.from_json(message.text) for message in self.jobs.messages]


def sealed_world() -> World:
    """One scene, sealed, sent and started."""
    world = World()
    world.upload("lobby/a.mp4")
    world.advance(70)
    assert len(world.sent) == 1
    return world


def put_record(world: World, *, phase: str = "running", lease_s: int = 0) -> Lease | None:
    """A record as the runner leaves it in that phase; leased for so long."""
    records.ensure(world.state, "lobby")
    lease = world.state.lease(layout.record_name("lobby"), 60)
    manifest = snapshot(list_scene(world.input, "lobby", 1))
    stored = records.load(world.state, "lobby")
    assert stored is not None
    record = stored.record.attempted("run-1", manifest, world.clock())
    if phase == "committed":
        record = record.committed(())
    if phase == "failing":
        record = record.given_up(Failure("training", "BUG", "it broke", ""), manifest, "run-1", world.clock())
    if phase == "idle":
        record = record.failed_for_now(Failure("training", "BUG", "it broke", ""), world.clock())
    records.save(world.state, stored, record, lease)
    lease.release()
    return world.state.lease(layout.record_name("lobby"), lease_s) if lease_s else None


class Desk:
    """A starter with its twins. `plan`: faults of the compute service; `compute`: what really runs there."""

    def __init__(self, waiting: int = 1, max_gpu_minutes: float = 0, limit: int = 3) -> None:
        self.clock = ManualClock()
        self.state = MemoryBlobStore("state", self.clock)
        self.jobs = MemoryQueue("jobs", self.clock)
        self.compute = MemoryCompute(self.clock)
        self.plan = FaultPlan(self.clock)
        self.service = FaultyCompute(self.compute, self.plan)
        self.pauses: list[float] = []
        self.starter = Starter(
            self.state, self.jobs, self.service, limit, self.pauses.append, max_gpu_minutes=max_gpu_minutes
        )
        for number in range(waiting):
            self.jobs.send(str(number))

    def runner_begins(self, name: str = "runner", seconds: float = 0.0) -> None:
        usage.write(self.state, name, self.clock(), self.clock().date(), seconds)

    def executions_end(self) -> None:
        for execution in self.compute.live():
            self.compute.finish(execution.name)

    def beat(self, execution: str, *, start: str = "0001", beats: bool = True, ended: bool = False) -> None:
        """A report of the runner in an execution. `start`: each start of its container has a token of its own."""
        now = self.clock()
        usage.write(self.state, f"{execution}-{start}", now, now.date(), 0.0, beats=beats, ended=ended)

    @property
    def live(self) -> list[str]:
        return [execution.name for execution in self.compute.live()]
