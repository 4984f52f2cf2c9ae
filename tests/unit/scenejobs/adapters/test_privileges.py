"""docs/SECURITY.md names every operation that dispatcher and runner do on each container and queue, and no other."""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from function_app.wiring import assemble
from runner.cache.store import StageCache
from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.scene.stages import RESUME_FILES
from scenejobs.adapters.azure import clients
from scenejobs.adapters.memory import MemoryBlobStore, MemoryCompute, MemoryLease, MemoryQueue
from scenejobs.errors import Busy, Code, InputError, Interrupted, ResourceError, RunnerError
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.messages import DebounceCheck
from tests.runner_world import PAST_EVERYTHING_S, Cloud, echo_job
from tests.web import Web

DOCUMENT = Path(__file__).parents[4] / "docs/SECURITY.md"

# What each operation needs: "Permissions for blob and queue data operations" in "Authorize with Microsoft Entra ID"
# (https://learn.microsoft.com/rest/api/storageservices/authorize-with-azure-active-directory).
NEEDS = {
    "list": "blobs/read", "list_all": "blobs/read", "sent_bytes": "blobs/read",
    "now": "blobs/read", "head": "blobs/read", "read": "blobs/read", "download": "blobs/read",
    "write": "blobs/write", "upload": "blobs/write", "copy_from": "blobs/write", "lease": "blobs/write",
    "delete": "blobs/delete",
    "send": "messages/add", "receive": "messages/process", "renew": "messages/write", "release": "messages/write",
    "complete": "messages/process", "waiting": "messages/read", "total": "queues/read",
}  # fmt: skip
NAMES = {"poison": "jobs-poison"}

Table = dict[tuple[str, str], tuple[set[str], set[str]]]  # (identity, where) -> operations, data actions


def documented() -> Table:
    rows = re.findall(
        r"^\| (dispatcher|runner|web) \| `([\w-]+)` \| ([\w, ]+) \| ([\w/, ]+) \|", DOCUMENT.read_text(), re.MULTILINE
    )
    return {
        (identity, where): (set(operations.split(", ")), set(actions.split(", ")))
        for identity, where, operations, actions in rows
    }


class Recorder:
    """Notes every operation by store and queue, the source of a copy as read, the holder's lease as lease."""

    def __init__(self) -> None:
        self.seen: dict[str, set[str]] = defaultdict(set)

    def store(self, store: MemoryBlobStore) -> Any:
        return _Recorded(store, self)

    def queue(self, queue: MemoryQueue) -> Any:
        return _Recorded(queue, self)


class _Recorded:
    def __init__(self, target: Any, recorder: Recorder) -> None:
        self._target, self._recorder = target, recorder

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._target, name)
        if name not in NEEDS:
            return found

        def call(*args: Any, **kwargs: Any) -> Any:
            self._recorder.seen[NAMES.get(self._target.name, self._target.name)].add(name)
            if name == "copy_from":
                self._recorder.seen[args[0].name].add("read")
            return found(*[arg._target if isinstance(arg, _Recorded) else arg for arg in args], **kwargs)

        return call


def failing(error: Exception) -> Any:
    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        raise error

    return job


def saving(error: Exception) -> Any:
    """A job that leaves what the next attempt can go on from, and ends with the error."""

    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        for file in (file for files in RESUME_FILES.values() for file in files):
            (job.workspace / file).parent.mkdir(parents=True, exist_ok=True)
            (job.workspace / file).write_text("saved")
        raise error

    return job


def finding(job: Job, supervision: Supervision) -> dict[str, Any]:
    """A job that keeps what it found for the next run."""
    assert job.cache is not None
    StageCache(job.cache).put(f"poses-{'0' * 32}", {"a": b"found"})
    return echo_job(job, supervision)


def runner_lives(folder: Path) -> Iterator[tuple[Cloud, Any, dict[str, Any]]]:
    """Scenes in every state that a runner can find or bring about."""

    def cloud(name: str = "lobby/a.mp4") -> Cloud:
        made = Cloud(folder)
        made.upload(name, b"video")
        made.queue("lobby")
        return made

    yield cloud(), echo_job, {}
    yield cloud(), failing(InputError("bad", code=Code.NOT_A_VIDEO)), {}
    yield cloud(), failing(RunnerError("crash")), {}
    yield cloud(), failing(RunnerError("crash")), {"max_attempts": 1}
    yield cloud(), failing(Interrupted("stop")), {}
    empty = Cloud(folder)
    empty.queue("lobby")
    yield empty, echo_job, {}
    poisoned = Cloud(folder)
    poisoned.queues["jobs"].send("nonsense")
    yield poisoned, echo_job, {}
    again = cloud()
    again.settle()
    again.upload("lobby/a.mp4", b"newer")  # the plain name in the archive is taken
    again.queue("lobby")
    yield again, echo_job, {}
    failed = cloud()
    failed.worker(failing(ResourceError("full")), max_attempts=1).drain()
    failed.upload("lobby/b.mp4", b"one more")  # what failed is read where it lies, in error
    failed.queue("lobby")
    yield failed, echo_job, {}
    repeated = cloud()
    repeated.settle()
    repeated.upload("lobby/a copy.mp4", b"video")  # part of the published result
    repeated.queue("lobby")
    yield repeated, echo_job, {}
    late = cloud()

    def uploads_meanwhile(job: Job, supervision: Supervision) -> dict[str, Any]:
        late.upload("lobby/a.mp4", b"newer")
        late.upload("lobby/b.mp4", b"late")
        supervision.check_lease()
        late.clock.advance(20)
        return echo_job(job, supervision)

    yield late, uploads_meanwhile, {}
    resumed = cloud()
    yield resumed, saving(Interrupted("stop")), {}
    yield resumed, echo_job, {}
    reusing = cloud()
    reusing.pipeline = PipelineSettings(backend="cpu")
    reusing.stores["state"].write("cache/lobby/foreign", b"to be removed")
    yield reusing, finding, {}
    reusing.upload("lobby/b.mp4", b"one more")
    reusing.queue("lobby")
    yield reusing, finding, {}
    beside = cloud()
    beside.upload("lobby/in-progress.mp4", b"")
    yield beside, echo_job, {}


def observed_runner(folder: Path) -> dict[str, set[str]]:
    seen: dict[str, set[str]] = defaultdict(set)
    for cloud, job, settings in runner_lives(folder):
        recorder: Any = Recorder()  # wraps stores as a plan of faults does
        try:
            cloud.worker(job, recorder, **settings).drain()
        except Interrupted:
            cloud.clock.advance(PAST_EVERYTHING_S)
        for where, operations in recorder.seen.items():
            seen[where] |= operations
    seen["jobs"].add("renew")  # by the heartbeat's thread, every 15 s
    return seen


def observed_dispatcher(folder: Path) -> dict[str, set[str]]:
    recorder, cloud = Recorder(), Cloud(folder)
    stores = {kind: recorder.store(store) for kind, store in cloud.stores.items()}
    queues = {name: recorder.queue(queue) for name, queue in cloud.queues.items()}
    compute = MemoryCompute(cloud.clock)
    settings = DispatchSettings(quiet_s=60, requeue_after_s=600)
    app = assemble(Containers(**stores), Queues(**queues), compute, settings)
    for name in ("lobby/a.mp4", "hall/b.mp4", "x/../y.mp4"):
        cloud.upload(name, b"video") if ".." not in name else None
        app.dispatcher.on_upload(name, cloud.clock())
    cloud.stores["input"].stage_block("hall/c.mp4", "1", b"video")
    for _ in range(6):
        cloud.clock.advance(100)
        while (message := cloud.queues["debounce"].receive(600)) is not None:
            check = DebounceCheck.from_json(message.text)
            app.dispatcher.on_quiet(check, redelivered=message.dequeue_count > 1, traceparent="")
            cloud.queues["debounce"].complete(message)
    app.sweeper.sweep()
    cloud.worker().drain()
    for execution in compute.live():
        compute.finish(execution.name)
    app.dispatcher.on_quiet(DebounceCheck("lobby", "", cloud.clock()))  # `scenejobs retry` asks like that
    cloud.upload("attic/lost-event.mp4", b"video")
    cloud.upload("lobby/a copy.mp4", b"video")  # part of the published result: archived without a run
    for _ in range(4):
        cloud.clock.advance(3 * 86_400)
        try:
            app.sweeper.sweep()
        except Busy:
            continue
    return recorder.seen


def observed_web(folder: Path) -> dict[str, set[str]]:
    """The HTTP API over what a runner left: every route, for scenes that are waited for, done, failed and deleted."""
    recorder = Recorder()
    cloud = Cloud(folder)
    for scene, job in (("lobby", echo_job), ("cellar", failing(InputError("bad", code=Code.NOT_A_VIDEO)))):
        cloud.upload(f"{scene}/a.mp4", b"video")
        cloud.queue(scene)
        cloud.worker(job).drain()
    cloud.upload("roof/a.mp4", b"video")
    cloud.stores["input"].stage_block("roof/b.mp4", "MQ==", b"half")
    web = Web()
    stores = {kind: recorder.store(store) for kind, store in cloud.stores.items()}
    queues = (recorder.queue(cloud.queues[name]) for name in ("debounce", "jobs", "poison"))
    web.site = replace(web.site, containers=Containers(**stores), queues=Queues(*queues), at_once=1)
    files = {"scene": "roof", "files": [{"name": "c.mp4", "size_bytes": 5}]}
    renewed = {"scene": "roof", "files": [{"name": "b.mp4", "size_bytes": 5, "blob": "roof/b.mp4"}]}
    for method, path, body in (
        ("GET", "scenes", None), ("GET", "scenes/roof", None), ("GET", "scenes/lobby", None),
        ("GET", "scenes/lobby/files/manifest.json", None), ("POST", "uploads", files), ("POST", "uploads", renewed),
        ("POST", "scenes/lobby/retry", None), ("POST", "scenes/cellar/retry", None), ("GET", "scenes", None),
    ):  # fmt: skip
        assert web.ask(method, path, body).status in (200, 302), (method, path)
    cloud.dispatch()
    cloud.worker().drain()
    assert web.ask("DELETE", "scenes/lobby").status == 200
    return recorder.seen


@pytest.mark.parametrize("identity", ["runner", "dispatcher", "web"])
def test_the_table_names_exactly_what_is_done(identity: str, tmp_path: Path) -> None:
    observed = {"runner": observed_runner, "dispatcher": observed_dispatcher, "web": observed_web}
    seen = observed[identity](tmp_path)
    table = {where: operations for (who, where), (operations, _) in documented().items() if who == identity}
    assert {where: sorted(operations) for where, operations in seen.items()} == {
        where: sorted(operations) for where, operations in table.items()
    }, json.dumps({where: sorted(operations) for where, operations in sorted(seen.items())}, indent=1)


def test_the_data_actions_are_those_that_the_operations_need() -> None:
    assert len(documented()) >= 8
    for key, (operations, actions) in documented().items():
        assert actions == {NEEDS[operation] for operation in operations}, key


def test_the_check_at_the_start_needs_nothing_else() -> None:
    """It lists one page of each container and peeks at each queue: blobs/read and messages/read, as the text says."""
    source = Path(clients.__file__).read_text()
    body = source[source.index("def check(") : source.index("def _start_up_error(")]
    assert set(re.findall(r"\.(list_blobs|peek_messages|get_\w+_client|by_page)\(", body)) == {
        "list_blobs", "peek_messages", "get_container_client", "get_queue_client", "by_page",
    }  # fmt: skip


def test_a_lease_can_do_nothing_but_renew_and_release() -> None:
    assert {name for name in vars(MemoryLease) if not name.startswith("_")} == {"id", "renew", "release"}
