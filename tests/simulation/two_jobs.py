"""What must be true where there is a fallback job, for days on which the first gets no machine: I18.

    I18 one job    no scene is worked on in both jobs at once

That the work ends all the same is I10: in half of the schedules the first job never gets a machine again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.simulation.hub import Process

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

FALLBACK = "y"  # the first letter of the names of its executions; those of the first job are called x1, x2, ...


class TwoJobs:
    """Told of every attempt at a scene, and of every step of it."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._newest: dict[str, Process] = {}  # scene -> who began the last attempt at it

    def begins(self, process: Process, scene: str) -> None:
        """An attempt: it is in the record."""
        self._newest[scene] = process

    def works(self, process: Process, scene: str) -> None:
        """One step of an attempt."""
        newest = self._newest[scene]
        if is_fallback(newest) is not is_fallback(process):
            self._sim.hub.fail(
                "I18", f"{process.name} works on {scene}, which {newest.name} of the other job has begun"
            )


def is_fallback(process: Process) -> bool:
    """Whether a runner is one of the fallback job."""
    return process.name.startswith(FALLBACK)
