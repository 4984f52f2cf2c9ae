"""One schedule: the stores, the users, the Functions host, the timer, and the executions of the runner."""

from __future__ import annotations

import hashlib
import logging
import shutil
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from function_app.wiring import assemble
from scenejobs.adapters.memory import MemoryBlobStore, MemoryQueue
from scenejobs.errors import SceneJobError, UnreadableMessage
from scenejobs.ports import Containers, QueueMessage, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.layout import ACTIVE, DISPATCHER_RECORD, SENDING, SWEEP_RECORD
from scenejobs.state.messages import DebounceCheck
from tests.simulation.at_rest import Rest
from tests.simulation.callers import start_callers
from tests.simulation.hub import Hub, Process
from tests.simulation.invariants import Checker
from tests.simulation.machines import LETTERS, Machine
from tests.simulation.owners import start_owners
from tests.simulation.people import choose_scenes, start_users
from tests.simulation.platform import Platform
from tests.simulation.ports import SimBlobs, SimCompute, SimQueue
from tests.simulation.profile import CALM, profile_of
from tests.simulation.told import Told
from tests.simulation.two_jobs import FALLBACK

KINDS = ("input", "output", "processed", "error", "state")
DISPATCH = DispatchSettings(
    quiet_s=30,
    max_wait_s=300,
    max_parallel_jobs=2,
    requeue_after_s=240,
    sweep_interval_s=400,
    start_timeout_s=300,
    upload_stalled_s=120,
    fallback_after=2,
)
SWEEP_S = 120.0
FAULTS_END_S = 900.0  # from here on nothing goes wrong any more, and everything has to end
END_S = 9000.0  # that much later at the latest
HOST_POLL_S = 10.0
HOST_LOCK_S = 600.0  # the Functions host hides a message that long, tries it so often, and so much later: host.json
HOST_TRIES = 8
HOST_RETRY_S = 60.0
EVENT_TRIES = 5
# of a sweep beside finished scenes: its own notes, and what a day or a quarter of an hour later nobody needs
HOUSEKEEPING = tuple(f"state/{name}" for name in (SWEEP_RECORD, DISPATCHER_RECORD, ACTIVE, SENDING))


@dataclass(frozen=True)
class Options:
    """Which schedule. The same options give the same schedule, byte for byte."""

    seed: int
    profile: str = "mixed"
    crash_at: tuple[int, str] | None = None


class Simulation:
    """Builds the world, runs the schedule, keeps the result. Use `simulate`."""

    def __init__(self, options: Options, folder: Path) -> None:
        self.options = options
        self.folder = folder
        self.hub = hub = Hub(options.seed, profile_of(options.profile, options.seed), options.crash_at)
        self.stores = {
            kind: MemoryBlobStore(kind, hub.clock, copy_plan=self._copy_plan, pause=hub.sleep) for kind in KINDS
        }
        self.profile = hub.profile  # whose faults end
        self.checker = Checker(self)
        self.blobs = blobs = {
            kind: SimBlobs(hub, store, self.checker.changed, self.checker.listed) for kind, store in self.stores.items()
        }
        blobs["input"].counted = self.checker.growth.counted
        self.state = blobs["state"]
        self.containers = Containers(**blobs)
        self.debounce, self.poison = (SimQueue(hub, MemoryQueue(name, hub.clock)) for name in ("debounce", "poison"))
        self.jobs = SimQueue(hub, MemoryQueue("jobs", hub.clock), self.checker.completed, self.checker.received)
        self.queues = Queues(self.debounce, self.jobs, self.poison)
        self.debounce_poison: list[str] = []
        self.platform = Platform(self)
        self.compute = SimCompute(hub, self.platform.launch, self.platform.stop)
        limit = (1, 3)[options.seed % 2] if hub.profile.few else DISPATCH.max_parallel_jobs
        self.dispatch = replace(DISPATCH, max_parallel_jobs=limit)
        # in half of the schedules the first job has no machine for days: to the end
        self.outage = hub.profile.no_machines if options.seed % 4 < 2 else 0.0
        fallback = SimCompute(hub, self.platform.launch, self.platform.stop, FALLBACK)
        self.computes: tuple[SimCompute, ...] = (self.compute, fallback)
        self.told = Told(self)
        self.app = assemble(
            self.containers, self.queues, self.compute, self.dispatch, hub.sleep, at_once=1,
            fallback=fallback if hub.profile.no_machines else None, targets=self.told.targets,
        )  # fmt: skip
        self.users = 0  # who are not done yet
        self.invocations = 0  # of functions, those that wait for a retry included
        self.tokens = 0
        self.jobs_run = 0
        self.stranger_jobs: list[str] = []
        self.stranger_checks: list[str] = []
        self.refused: list[str] = []
        self.shows_less: set[str] = set()  # scenes whose next result has no frames of one clip
        self.doubts: set[str] = set()  # scenes whose next result may be wrong
        self.helped_at = 0.0  # when the last of those who stand in the way lets go
        self.machines = [Machine(self, letter) for letter in LETTERS] if hub.profile.machines else []
        if self.machines:
            self.computes = tuple(machine.compute for machine in self.machines)
            self.compute = self.computes[0]
        for compute in self.computes:
            compute.starting = self.checker.called_off.starting
        self.scenes = choose_scenes(self)
        self.rest = Rest(self)

    # ---- the schedule -----------------------------------------------------------------------------------------------

    def run(self) -> None:
        hub = self.hub
        start_users(self, self.scenes)
        start_owners(self, self.scenes)
        start_callers(self, self.scenes)
        for machine in self.machines:
            hub.spawn(Process("machines"), "machines", machine.run)
        if not self.machines:
            hub.spawn(Process("host"), "host", self._host)
            hub.spawn(Process("timer"), "timer", self._timer)
        hub.run(lambda: hub.now >= FAULTS_END_S or (hub.profile is CALM and self._rests()))
        hub.profile = CALM
        if not hub.violation:
            hub.run(lambda: hub.now > self._end_s() or self._rests())
        if not hub.violation:
            if hub.now > self._end_s():
                hub.fail("I10", f"not at rest {END_S:.0f} s after the last fault: {self.rest.what_is_left()}")
            else:
                self.rest.check()
                self._stays_at_rest()
        hub.close()

    def _rests(self) -> bool:
        return self.hub.steps % 16 == 0 and self.rest.has_come()

    def _end_s(self) -> float:
        """At the latest. Who was in the way for long is waited for longer: tries come later each time, by a factor."""
        return max(FAULTS_END_S, 4 * self.helped_at) + END_S

    def _stays_at_rest(self) -> None:
        until, sent, starts, seen = self.hub.now + 3 * SWEEP_S, self.jobs.sent, self._starts(), len(self.hub.trace)
        self.hub.run(lambda: self.hub.now > until)
        if (self.jobs.sent, self._starts()) != (sent, starts):
            self.hub.fail("I7", "there was nothing to do any more, and it was done all the same")
        for _, who, what, _ in self.hub.trace[seen:]:
            verb, _, name = what.partition(" ")
            if verb in ("write", "delete") and not name.startswith(HOUSEKEEPING):
                self.hub.fail("I7", f"there was nothing to do any more: {who}: {what}")

    def _starts(self) -> int:
        return sum(compute.starts for compute in self.computes)

    # ---- users ------------------------------------------------------------------------------------------------------

    def upload(self, name: str, data: bytes = b"") -> None:
        """data: b"" for bytes that nobody else uploads."""
        data = data or self.new_bytes(name)
        self.checker.before_user_change(name)
        etag = self.stores["input"].write(name, data)
        self.checker.uploaded(name, etag, data)
        self.hub.note("upload", name)
        self.emit(name)

    def upload_in_blocks(self, name: str, data: bytes) -> None:
        """The same at once, in blocks: nothing tells its MD5."""
        store = self.stores["input"]
        self.checker.before_user_change(name)
        store.stage_block(name, "0000", data)
        self.checker.uploaded(name, store.commit_blocks(name), data)
        self.hub.note("upload", f"{name} in blocks")
        self.emit(name)

    def new_bytes(self, name: str) -> bytes:
        data = f"{name} {len(self.checker.versions)}".encode()
        return data + hashlib.sha256(data).digest()

    def remove(self, name: str) -> None:
        if name in self.stores["input"].blobs:
            self.checker.before_user_change(name)
            self.stores["input"].delete(name)
            self.checker.changed("input", "user", name)
            self.hub.note("delete", name)

    def upload_hostile(self, name: str) -> None:
        """Not through the port, which refuses such names: the service takes them."""
        self.stores["input"].write("hostile", b"hostile")
        self.stores["input"].blobs[name] = self.stores["input"].blobs.pop("hostile")
        self.refused.append(name)
        self.hub.note("hostile upload", repr(name))
        self.emit(name)

    def emit(self, name: str) -> None:
        if self.machines:  # nobody tells them
            return
        draw, profile = self.hub.random, self.hub.profile
        copies = 0 if draw.random() < profile.drop_event else 2 if draw.random() < profile.double_event else 1
        for _ in range(copies):
            late_s = draw.random() * 300 if draw.random() < profile.late_event else draw.random() * 2
            self._invoke("on_upload", late_s, lambda _, now: self.app.dispatcher.on_upload(name, now), None, 1)

    def _copy_plan(self) -> tuple[float, bool]:
        draw, profile = self.hub.random, self.hub.profile
        if not profile.copy_takes_time or draw.random() >= profile.copy_takes_time:
            return 0.0, True
        seconds, succeeds = draw.choice((3.0, 20.0, 120.0)), draw.random() >= profile.copy_fails
        self.hub.note("slow copy" if succeeds else "failing copy", f"{seconds:.0f} s")
        return seconds, succeeds

    def skew(self) -> float:
        draw = self.hub.random
        return draw.uniform(-7200, 7200) if draw.random() < self.hub.profile.skew else 0.0

    # ---- the Functions host -----------------------------------------------------------------------------------------

    def _invoke(self, name: str, delay_s: float, function: Any, message: QueueMessage | None, tries: int) -> None:
        """One invocation in an instance of its own; delivered again when it fails or its instance dies."""
        hub = self.hub
        self.invocations += 1
        label = f"{name}-{hub.steps}-{self.invocations}"
        process = Process(label, mortal=True, skew_s=self.skew())
        ended: list[str] = []

        def invocation() -> None:
            try:
                function(message, hub.clock() + timedelta(seconds=process.skew_s))
                ended.append("done")
            except SceneJobError as exc:
                hub.note("function failed", f"{name}: {type(exc).__name__}")
                ended.append("failed")

        def over() -> None:
            self.invocations -= 1
            if message is not None:
                self._settle(message, ended)
            elif ended != ["done"] and tries < EVENT_TRIES:
                self._invoke(name, hub.random.random() * 120, function, None, tries + 1)

        process.on_end = over
        hub.spawn(process, label, invocation, delay_s)

    def _settle(self, message: QueueMessage, ended: list[str]) -> None:
        queue = self.debounce.queue
        if not ended:
            return  # its instance died: visible again when the lock ends
        if ended == ["done"]:
            queue.complete(message)
        elif message.dequeue_count >= HOST_TRIES:
            self.debounce_poison.append(message.text)
            queue.complete(message)
        else:
            queue.release(message, delay_s=HOST_RETRY_S)

    def _host(self) -> None:
        while True:
            while (message := self.debounce.queue.receive(HOST_LOCK_S)) is not None:
                self._invoke("on_quiet", 0.0, self._on_quiet, message, 1)
            self.hub.sleep(HOST_POLL_S)

    def _on_quiet(self, message: QueueMessage, now: datetime) -> None:
        """As `function_app.triggers.on_quiet`."""
        del now
        try:
            check = DebounceCheck.from_json(message.text)
            self.app.dispatcher.on_quiet(check, redelivered=message.dequeue_count > 1)
        except UnreadableMessage:
            self.debounce_poison.append(message.text)
            return
        self.app.sweeper.sweep_if_due()

    def _timer(self) -> None:
        while True:
            self.hub.sleep(SWEEP_S)
            process = Process(f"sweep-{self.hub.steps}", mortal=True)
            self.hub.spawn(process, process.name, self._sweep)

    def _sweep(self) -> None:
        try:
            self.app.sweeper.sweep()
        except SceneJobError as exc:
            self.hub.note("function failed", f"sweep: {type(exc).__name__}")

    def token(self) -> str:
        self.tokens += 1
        return f"{self.tokens:04d}"


def simulate(options: Options) -> Simulation:
    """Runs one schedule. Everything it did is in the result."""
    logging.disable(logging.CRITICAL)
    shared = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="simulation-", dir=shared if shared.is_dir() else None))
    simulation = Simulation(options, folder)
    try:
        simulation.run()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        logging.disable(logging.NOTSET)
    return simulation
