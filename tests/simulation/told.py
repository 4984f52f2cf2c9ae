"""Somebody who is told about scenes, over a line that breaks, and what must be true in the end: I21.

I21 told    each generation that ended was told as queued, started and ended, at least once, and as nothing else; an
            event has the same id and the same bytes however often it comes
"""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from scenejobs.ports import NoticeTarget
from scenejobs.state import layout

if TYPE_CHECKING:
    from tests.simulation.world import Simulation


class Told:
    """See the module."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.targets: dict[str, NoticeTarget] = {"hook": self} if sim.profile.notices else {}
        self._events: dict[str, str] = {}  # by id

    def send(self, id: str, event: str, /) -> None:
        """As a target."""

        def taken() -> None:
            if self._events.setdefault(id, event) != event:
                self._sim.hub.fail("I21", f"the event {id} came twice, and differs: {event}")

        self._sim.hub.call("tell", taken)

    def all_told(self) -> bool:
        """Whether no outbox holds anything that is still to be told. What has no outbox is told, or lost."""
        blobs = self._sim.stores["state"].blobs
        outboxes = [json.loads(blob.data) for name, blob in blobs.items() if name.startswith(layout.NOTICES)]
        scenes, told = {outbox["scene"] for outbox in outboxes}, self._told()
        waits = any(how not in told[key] for key, how in self._ended().items() if key[0] in scenes)
        return not waits and not any(outbox["pending"] for outbox in outboxes)

    def check(self) -> None:
        """When all is at rest."""
        if not self.targets:
            return
        told = self._told()
        for (scene, generation), how in sorted(self._ended().items()):
            found = sorted(told[scene, generation])
            begun = [each for each in found if each != "SceneStarted"]
            if found != sorted(["SceneQueued", "SceneStarted", how]) and begun != sorted(["SceneQueued", how]):
                self._sim.hub.fail("I21", f"of generation {generation} of {scene}, {how}, was told {found}")

    def _ended(self) -> dict[tuple[str, int], str]:
        """How each generation ended."""
        checker = self._sim.checker
        ended = {(commit.scene, commit.generation): "SceneCompleted" for commit in checker.commits}
        return ended | dict.fromkeys(checker.given_up.values(), "SceneFailed")

    def _told(self) -> defaultdict[tuple[str, int], list[str]]:
        told = defaultdict[tuple[str, int], list[str]](list)
        for event in map(json.loads, self._events.values()):
            told[event["subject"], event["data"]["generation"]].append(event["type"].partition(".")[2])
        return told
