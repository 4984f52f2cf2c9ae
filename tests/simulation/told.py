"""Somebody who is told about scenes, over a line that breaks, and what must be true in the end: I21.

I21 told    each generation that ended was told as queued, started and ended, at least once, and as nothing else; an
            event has the same id and the same bytes however often it comes. How a generation ended was told to the
            target that the settings of its last run named, too, and to nobody else
"""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from scenejobs.ports import NAMED, NoticeTarget
from scenejobs.state import layout

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

LOST = timedelta(hours=1)  # what was not told by then is told no more


class _Target:
    """See scenejobs.ports.NoticeTarget. events: what it got, by id."""

    def __init__(self, sim: Simulation, events: dict[str, str]) -> None:
        self._sim, self._events = sim, events

    def send(self, id: str, event: str, /) -> None:
        def taken() -> None:
            if self._events.setdefault(id, event) != event:
                self._sim.hub.fail("I21", f"the event {id} came twice, and differs: {event}")

        self._sim.hub.call("tell", taken)


class Told:
    """See the module."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self._events: dict[str, str] = {}  # by id
        self._of_team: dict[str, str] = {}
        self.named: dict[str, bool] = {}  # by the run of a job that began: whether its settings name the team
        self.targets: dict[str, NoticeTarget] = {}
        if sim.profile.notices:
            self.targets = {"hook": _Target(sim, self._events), f"{NAMED}team": _Target(sim, self._of_team)}

    def all_told(self) -> bool:
        """Whether no outbox holds anything that is still to be told. What has no outbox is told, or lost; so is that
        whose outbox has not changed for an hour."""
        state = self._sim.stores["state"]
        found = [(json.loads(blob.data), blob.modified) for name, blob in state.blobs.items()
                 if name.startswith(layout.NOTICES)]  # fmt: skip
        outboxes, told = [outbox for outbox, _ in found], self._told()
        last = {outbox["scene"]: max(modified, self._changed(outbox["scene"])) for outbox, modified in found}
        scenes = {scene for scene, at in last.items() if state.now() - at < LOST}
        waits = any(how not in told[key] for key, how in self._ended().items() if key[0] in scenes)
        return not waits and not any(outbox["pending"] for outbox in outboxes)

    def _changed(self, scene: str) -> datetime:
        """When its record was last written."""
        record = self._sim.stores["state"].blobs.get(layout.record_name(scene))
        return record.modified if record else datetime.min.replace(tzinfo=UTC)

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
        for id, text in self._events.items():
            event = json.loads(text)
            kind, run = event["type"].partition(".")[2], event["data"].get("run_id", "")
            if kind not in ("SceneCompleted", "SceneFailed"):
                wanted: bool | None = False
            else:
                wanted = self.named.get(run)  # None: its settings were not read, or it never came to its work
            if wanted is not None and wanted != (id in self._of_team):
                self._sim.hub.fail("I21", f"{kind}, run {run}: the team is named: {wanted}, and was told otherwise")
        if alien := self._of_team.keys() - self._events.keys():
            self._sim.hub.fail("I21", f"the team was told what nobody else was: {sorted(alien)}")

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
