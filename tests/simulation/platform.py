"""The platform in the simulation: what becomes of an execution that was started, and of one that is to stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from runner.process.signals import StopFlag
from runner.worker.context import WorkerContext
from runner.worker.lease import Timing
from runner.worker.loop import Worker
from runner.worker.periodic import Repeating
from scenejobs.errors import SceneJobError
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from tests.simulation.hub import JOIN_S, STOP_GRACE_S, Hub, Process
from tests.simulation.people import job_of
from tests.simulation.two_jobs import FALLBACK, is_fallback

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

RUNNER = RunnerSettings(
    idle_polls=2, idle_wait_s=5, run_budget_s=400, min_free_gb=0, max_attempts=3, max_preemptions=3,
    notify_targets="team",
)  # fmt: skip
HOURS_S = 4 * 3600.0  # after which the platform ends an execution; longer than a schedule has time for
BEAT_EVERY_S = {
    "lease": 5.0,
    "message": 20.0,
    "resume saver": 8.0,
}  # seldomer than in production: nothing is due more often
OTHERS_EVERY_S = 15.0


class Platform:
    """Container Apps, with its bad days."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._runners: dict[str, Process] = {}  # of executions in which one has begun, until their end is noticed
        self._idle: dict[str, Process] = {}  # of executions in which none has

    def launch(self, name: str) -> None:
        hub, draw = self._sim.hub, self._sim.hub.random.random()
        profile, platform = hub.profile, Process("platform")
        self._idle[name] = platform
        lacking = self._sim.outage or profile.no_machines
        fates: tuple[tuple[float, str, Callable[[], None]], ...] = (
            (
                0 if name.startswith(FALLBACK) else lacking,
                "no machine",
                lambda: self._ends_idle(name, hub.random.choice((2.0, 2.0, 200.0, HOURS_S))),
            ),
            (profile.start_ghost, "ghost", lambda: self._ends_idle(name, 60 + 240 * hub.random.random())),
            (profile.start_dies, "dies at once", lambda: self._ends_idle(name, 5.0)),
            (profile.start_idles, "idles", lambda: self._ends_idle(name, HOURS_S)),
            (profile.start_late, "late comer", lambda: self._execution(name, 100 + 900 * hub.random.random())),
        )
        for share, kind, fate in fates:
            if 0 <= draw < share:
                hub.note(kind, name)
                hub.spawn(platform, f"{kind} {name}", fate)
                return
            draw -= share
        hub.spawn(platform, f"platform of {name}", lambda: self._execution(name, 5 + 30 * hub.random.random()))

    def stop(self, name: str) -> None:
        """The service was asked to. One that has not begun may begin all the same."""
        hub = self._sim.hub
        process = self._runners.get(name)
        if process is None:
            if hub.random.random() < 0.3:
                hub.note("stop ignored", name)
                return
            hub.kill(self._idle[name])
            self._gone(name)
        elif process.actors:
            works_on = self._sim.checker.works_on(process)
            if works_on and process.paused_until <= hub.now and not (self._sim.profile.pause or self._sim.profile.slow):
                hub.fail("I10", f"{name} was stopped while it worked on {works_on}")
            if process.on_stop is not None:
                process.on_stop()
                process.on_stop = None
        else:
            self._gone(name)  # its end was not noticed

    def lose(self, name: str) -> None:
        """Its machine is gone."""
        self._sim.hub.kill(self._runners.get(name) or self._idle[name])
        self._gone(name)

    def _ends_idle(self, name: str, after_s: float) -> None:
        self._sim.hub.sleep(after_s)
        self._gone(name)

    def _gone(self, name: str) -> None:
        for compute in self._sim.computes:
            compute.executions.pop(name, None)
        self._runners.pop(name, None)

    def _ended(self, name: str) -> None:
        hub = self._sim.hub
        if hub.profile.end_unnoticed and hub.random.random() < hub.profile.end_unnoticed:
            hub.note("end unnoticed", name)
        else:
            self._gone(name)

    def _execution(self, name: str, after_s: float) -> None:
        hub = self._sim.hub
        hub.sleep(after_s)  # a node, an image
        stop = SimStop(hub)
        process = Process(name, mortal=True, skew_s=self._sim.skew())

        def kill_later() -> None:
            hub.sleep(STOP_GRACE_S)
            hub.kill(process)

        def told_to_stop() -> None:
            stop.set()
            hub.spawn(Process("platform"), f"platform of {name}", kill_later)

        process.on_stop = told_to_stop
        process.on_end = lambda: self._ended(name)
        self._runners[name] = process
        hub.spawn(process, name, lambda: self._runner(process, stop))
        if hub.profile.freezes and hub.random.random() < hub.profile.freezes:
            hub.sleep(120 * hub.random.random())
            hub.note("freeze", name)
            process.paused_until = hub.now + HOURS_S

    def _runner(self, process: Process, stop: SimStop) -> None:
        sim = self._sim
        hub = sim.hub
        is_mute = hub.profile.mute > 0 and hub.random.random() < hub.profile.mute

        def repeat(name: str, act: Callable[[], None], every_s: float) -> SimRepeating:
            if name == "usage" and is_mute:
                hub.note("mute", process.name)
                return SimRepeating(hub, process, name, lambda: None)
            return SimRepeating(hub, process, name, act)

        context = WorkerContext(
            containers=sim.containers,
            leases=sim.state,
            queues=sim.queues,
            settings=replace(RUNNER, workspace=str(sim.folder / process.name), is_fallback=is_fallback(process)),
            pipeline=PipelineSettings(backend="mock"),
            run_job=job_of(sim, process),
            stop=stop,
            now=lambda: hub.clock() + timedelta(seconds=process.skew_s),
            execution=process.name,
            clock=lambda: hub.now,
            repeat=repeat,
            pause=lambda seconds: hub.sleep(max(1.0, seconds)),
            token=sim.token,
        )
        try:
            Worker(context, Timing()).drain()
        except SceneJobError as exc:
            hub.note("runner ended", f"{process.name}: {type(exc).__name__}")
        hub.kill(process)  # the heartbeats end with the program


class SimStop(StopFlag):
    """A stop flag that waits on the virtual clock."""

    def __init__(self, hub: Hub) -> None:
        super().__init__(lambda: hub.now)
        self._hub = hub

    def wait(self, seconds: float) -> bool:
        while seconds > 0 and not self.is_set():
            self._hub.sleep(min(2.0, seconds))
            seconds -= 2.0
        return self.is_set()


class SimRepeating(Repeating):
    """A heartbeat as an actor of its runner's process."""

    def __init__(self, hub: Hub, process: Process, name: str, act: Any) -> None:
        self._hub = hub
        self._ended = self._busy = False
        every_s = BEAT_EVERY_S.get(name, OTHERS_EVERY_S)

        def beat() -> None:
            while True:
                hub.sleep(every_s)
                if self._ended:
                    return
                self._busy = True
                act()
                self._busy = False

        hub.spawn(process, f"{process.name}.{name}", beat)

    def end(self) -> None:
        self._ended = True
        until = self._hub.now + JOIN_S
        while self._busy and self._hub.now < until:
            self._hub.sleep(0.5)
