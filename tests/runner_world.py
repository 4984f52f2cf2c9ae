"""A whole cloud in memory around the runner: containers, queues, a dispatcher of one line, and jobs that are functions.

A plan (tests/doubles/faults.py) lets calls fail, ends the runner before or after any of them, or lets others act.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.process.signals import StopFlag
from runner.worker.context import WorkerContext
from runner.worker.lease import Timing
from runner.worker.loop import Worker
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryQueue
from scenejobs.errors import InputError, ResourceError
from scenejobs.names import scene_of
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import records
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.record import SceneRecord
from tests.doubles.faults import FaultPlan, Meanwhile, Rule

KINDS = ("input", "output", "processed", "error", "state")
PAST_EVERYTHING_S = 400.0  # longer than a lease, a snooze and the visibility of a message


@dataclass(frozen=True)
class Upload:
    """One uploaded version, remembered by the test."""

    name: str
    etag: str
    data: bytes


def echo_job(job: Job, supervision: Supervision) -> dict[str, Any]:
    """A job whose result is a digest of its videos, with a manifest like the real one."""
    digest = hashlib.sha256(b"".join(clip.path.read_bytes() for clip in job.clips)).hexdigest()
    files = {f"{job.name}.ply": f"ply {digest}".encode(), f"{job.name}.splat": f"splat {digest}".encode()}
    job.out.mkdir(parents=True, exist_ok=True)
    outputs = []
    for name, data in files.items():
        (job.out / name).write_bytes(data)
        outputs.append({"name": name, "size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()})
    videos = [clip.name for clip in job.clips]
    (job.out / "manifest.json").write_text(json.dumps({"job_id": job.job_id, "videos": videos, "outputs": outputs}))
    return {}


def bad_video(job: Job, supervision: Supervision) -> dict[str, Any]:
    raise InputError("view1.mp4 is no video", advice="upload a video", stage="frame_extraction")


def broken_disk(job: Job, supervision: Supervision) -> dict[str, Any]:
    raise ResourceError("no space left", advice="a larger disk", stage="training")


@dataclass
class ByHand:
    """What would be repeated in threads happens when the test says so: `acts["resume saver"]()`; and in every pause."""

    acts: dict[str, Callable[[], None]] = field(default_factory=dict)

    def __call__(self, name: str, act: Callable[[], None], every_s: float) -> ByHand:
        self.acts[name] = act
        return self

    def end(self) -> None:
        """Nothing goes on by itself."""

    def pause(self, seconds: float) -> None:
        self.acts["resume saver"]()


class Wrapping(Protocol):
    """Stands between a runner and its stores: a fault plan, or a recorder of what is done."""

    def store(self, store: MemoryBlobStore) -> Any: ...

    def queue(self, queue: MemoryQueue) -> Any: ...


@dataclass
class Cloud:
    """The stores, what was uploaded to them, and runners to let loose on them."""

    folder: Path  # for workspaces
    clock: ManualClock = field(default_factory=ManualClock)
    uploads: list[Upload] = field(default_factory=list)
    superseded: set[str] = field(default_factory=set)  # etags that the user replaced or deleted
    jobs_run: int = 0
    tokens: int = 0  # handed out, for names of runs: a test that is repeated gets the same names
    by_hand: ByHand | None = None  # in the place of threads
    execution: str = ""  # the platform's name of the one in which the next runner begins

    def __post_init__(self) -> None:
        self.stores = {kind: MemoryBlobStore(kind, self.clock) for kind in KINDS}
        self.queues = {name: MemoryQueue(name, self.clock) for name in ("debounce", "jobs", "poison")}
        self.settings = RunnerSettings(
            idle_polls=1, idle_wait_s=0, run_budget_s=1e9, min_free_gb=0, workspace=str(self.folder)
        )
        self.pipeline = PipelineSettings(backend="mock")
        self.stop = StopFlag()

    # ---- the user and the dispatcher --------------------------------------------------------------------------------

    def upload(self, name: str, data: bytes) -> Upload:
        old = self.stores["input"].blobs.get(name)
        if old is not None:
            self.superseded.add(old.etag)
        upload = Upload(name, self.stores["input"].write(name, data), data)
        self.uploads.append(upload)
        return upload

    def remove(self, name: str) -> None:
        self.superseded.add(self.stores["input"].blobs[name].etag)
        self.stores["input"].delete(name)

    def queue(self, scene: str) -> None:
        self.queues["jobs"].send(JobMessage(scene, "", self.clock()).to_json())

    def dispatch(self) -> None:
        """Every hint becomes a job message when the scene has uploads, as after the quiet time."""
        while (message := self.queues["debounce"].receive(60)) is not None:
            scene = DebounceCheck.from_json(message.text).scene
            if any(scene_of(blob.name) == scene for blob in self.stores["input"].list()):
                self.queue(scene)
            self.queues["debounce"].complete(message)

    # ---- the runner -------------------------------------------------------------------------------------------------

    def plan(self, *rules: Rule, meanwhile: Iterable[Meanwhile] = ()) -> FaultPlan:
        return FaultPlan(self.clock, list(rules), list(meanwhile))

    def worker(
        self,
        job: Callable[..., Any] = echo_job,
        plan: Wrapping | None = None,
        pipeline: PipelineSettings | None = None,
        **settings: Any,
    ) -> Worker:
        def run(job_: Job, supervision: Supervision) -> dict[str, Any]:
            self.jobs_run += 1
            result: dict[str, Any] = job(job_, supervision)
            return result

        stores: dict[str, Any] = {kind: plan.store(store) if plan else store for kind, store in self.stores.items()}
        queues: dict[str, Any] = {name: plan.queue(queue) if plan else queue for name, queue in self.queues.items()}
        repeating: dict[str, Any] = {"repeat": self.by_hand, "pause": self.by_hand.pause} if self.by_hand else {}
        context = WorkerContext(
            containers=Containers(**stores),
            leases=stores["state"],
            queues=Queues(**queues),
            settings=replace(self.settings, **settings),
            pipeline=pipeline or self.pipeline,
            run_job=run,
            stop=self.stop,
            now=self.clock,
            execution=self.execution,
            token=self.token,
            **repeating,
        )
        return Worker(context, Timing())

    def token(self) -> str:
        self.tokens += 1
        return f"{self.tokens:08x}"

    def settle(self, job: Callable[..., Any] = echo_job, **settings: Any) -> None:
        """Lets runners and the dispatcher work, with time in between, until no message is left."""
        for _ in range(30):
            self.clock.advance(PAST_EVERYTHING_S)
            self.dispatch()
            if not self.queues["jobs"].total() and not self.queues["debounce"].total():
                return
            self.worker(job, **settings).drain()
        raise AssertionError("the queues do not become empty")

    def record(self, scene: str) -> SceneRecord:
        stored = records.load(self.stores["state"], scene)
        assert stored is not None
        return stored.record

    def names(self, kind: str, prefix: str = "") -> list[str]:
        return [blob.name for blob in self.stores[kind].list(prefix)]

    def json(self, kind: str, name: str) -> Any:
        return json.loads(self.stores[kind].read(name)[0])
