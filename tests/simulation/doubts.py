"""What must be true of results that may be wrong: I17.

    I17 doubtful   a suspect result never takes the place of one that is not in doubt, and keeps its own place from none

Told from what jobs said of their results, never from what the record says of itself.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

REASON = "no training view explains the held-out ones"


@dataclass
class Doubts:
    """See the module."""

    sim: Simulation
    suspect: set[str] = field(default_factory=set)  # runs whose jobs said that their result may be wrong
    withheld: set[str] = field(default_factory=set)  # committed runs among them that are not to be published
    due: dict[str, str] = field(default_factory=dict)  # scene -> the run whose result is to be published

    def committed(self, scene: str, run: str) -> None:
        if run in self.suspect and self.due.get(scene, run) not in self.suspect:
            self.withheld.add(run)
            self.sim.hub.note("withheld", run)
        else:
            self.due[scene] = run

    def published(self, scene: str, run: str) -> None:
        if run in self.withheld:
            self.sim.hub.fail("I17", f"the suspect result {run} of {scene} took the place of a good one")

    def given_up(self, scene: str, code: str) -> None:
        if code == "CLIPS_LOST" and self.due.get(scene) in self.suspect:
            self.sim.hub.fail("I17", f"a result of {scene} was refused for what only a suspect one shows")
