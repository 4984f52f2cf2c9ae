"""Two machines in serve mode in the place of the function app: each lists the uploads, and starts its own workers.

A look is a process that may be killed at any call. Then the machine is lost: its workers die with it, and what it knew
of them. The next look is that of a machine that begins.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from function_app.wiring import App, assemble
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.errors import SceneJobError
from scenejobs.state.messages import as_text
from serve.deliveries import Deliveries
from tests.simulation.hub import Process
from tests.simulation.ports import SimCompute

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

LETTERS = ("x", "z")  # with which the names of their executions begin
POLL_S = 10.0


class Machine:
    """One of them."""

    def __init__(self, sim: Simulation, letter: str) -> None:
        self._sim = sim
        self.compute = SimCompute(sim.hub, sim.platform.launch, sim.platform.stop, letter)
        self._letter = letter
        self._app = self._assembled()

    def _assembled(self) -> App:
        sim = self._sim
        own = MemoryBlobStore("starter", sim.hub.clock)
        return assemble(
            sim.containers, sim.queues, self.compute, replace(sim.dispatch, max_parallel_jobs=1), sim.hub.sleep,
            at_once=1, own=own, targets=sim.told.targets,
        )  # fmt: skip

    def run(self) -> None:
        hub = self._sim.hub
        while True:
            look, ends = Process(f"machine {self._letter}-{hub.steps}", mortal=True), list[str]()
            look.on_end = lambda ends=ends: ends.append("killed")
            hub.spawn(look, look.name, lambda ends=ends: self._look(ends))  # type: ignore[misc]
            while not ends:
                hub.sleep(1.0)
            if ends[0] == "killed":
                hub.note("machine lost", self._letter)
                for name in list(self.compute.executions):
                    self._sim.platform.lose(name)
                self._app = self._assembled()
            hub.sleep(POLL_S)

    def _look(self, ends: list[str]) -> None:
        """As `serve.loop.Serve`."""
        try:
            poison: Any = _Poison(self._sim)
            Deliveries("a check", self._sim.debounce, poison, self._app.on_quiet).take(lambda: True)
            self._app.sweeper.sweep()
        except SceneJobError as exc:
            self._sim.hub.note("function failed", f"look: {type(exc).__name__}")
        ends.append("done")


class _Poison:
    """Of the checks."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    def send(self, text: str) -> None:
        sim, kept = self._sim, json.loads(text)["message"]
        whole = [check for check in sim.stranger_checks if as_text(check).startswith(kept)]
        sim.hub.call("send debounce-poison", lambda: sim.debounce_poison.extend(whole or [kept]))
