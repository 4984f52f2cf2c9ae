"""What must be true of scenes that were called off or deleted: I19 and I20.

    I19 cancelled   nothing begins for a scene whose uploads are called off, no execution is started for it, and an
                    attempt that works on it stops; a new upload, or a retry, starts it
    I20 deleted     what is deleted was said before, in the record, by whoever holds its lease: of results those of
                    earlier generations, of everything the uploads that were there; until it is done nothing begins

That a cancelled scene keeps its uploads is I1, that it runs once it is wanted again is I10.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scenejobs.errors import UnreadableMessage
from scenejobs.names import scene_of, upload_refusal
from scenejobs.state import layout
from scenejobs.state.incoming.undeleted import version
from scenejobs.state.messages import JobMessage
from tests.simulation.hub import Process

if TYPE_CHECKING:
    from tests.simulation.seen import Commit
    from tests.simulation.world import Simulation

GRACE_S = 60.0  # who looked before a note was written is done by then, and every heartbeat has looked since


@dataclass
class CalledOff:
    """See the module."""

    sim: Simulation
    noted_at: dict[str, float] = field(default_factory=dict)  # scene -> when its note was written
    void: set[str] = field(default_factory=set)  # scenes into which something was uploaded since its user looked
    gone: dict[str, int] = field(default_factory=dict)  # scene -> the last generation whose result was deleted

    def fail(self, invariant: str, text: str) -> None:
        self.sim.hub.fail(invariant, text)

    # ---- what happened ----------------------------------------------------------------------------------------

    def note_changed(self, name: str) -> None:
        blob = self.sim.stores["state"].blobs.get(name)
        for scene in [scene for scene in self.noted_at if layout.cancelled_name(scene) == name]:
            del self.noted_at[scene]
            if blob is None:
                self._removed(scene)
        if blob is not None:
            scene = json.loads(blob.data)["scene"]
            self.noted_at[scene] = self.sim.hub.now
            (self.void.discard if self.covers(scene) else self.void.add)(scene)

    def _removed(self, scene: str) -> None:
        """The note: by a user who wants the scene, or where it covers nothing any more."""
        by_user = self.sim.hub.process.name.startswith(("user-", "operator-"))
        if not by_user and scene not in self.void and self._uploads(scene):
            self.fail("I19", f"{self.sim.hub.process.name} removed the note that {scene} is called off, and it counts")

    def uploaded(self, name: str) -> None:
        self.void.add(scene_of(name))

    def wanted(self, scene: str, since: float) -> None:
        """A retry that began then has come to its end."""
        if self.noted_at.get(scene, since) < since:
            self.fail("I19", f"{scene} was retried, and is called off all the same")

    def record_changed(self, old: dict[str, Any], new: dict[str, Any], begins: bool) -> None:
        scene = new["scene"]
        if begins and old.get("held"):
            self.fail("I20", f"an attempt at {scene} began while it is held: {old['held']}")
        for item in new["manifest"] if begins else ():
            if self.sim.checker.versions[item["etag"]].erased:
                self.fail("I20", f"an attempt at {scene} began with {item['name']}, which was to be deleted")
        if begins and self.is_off(scene):
            self.fail("I19", f"an attempt at {scene} began, whose uploads are called off")
        said = new.get("expired") or {}
        if said.get("deleted") and said != old.get("expired"):
            self.gone[scene] = said["generation"]
            self.sim.hub.note("erased" if said.get("everything") else "result deleted", scene)
            if said.get("everything"):
                self._everything_goes(scene)

    def _everything_goes(self, scene: str) -> None:
        """What was uploaded until now may go; what a scene consists of is nothing from now on."""
        checker = self.sim.checker
        for each in checker.seen_by(self.sim.hub.process, scene):
            each.erased |= scene_of(each.name) == scene
        growth = checker.growth
        growth.members.pop(scene, None)
        growth.forget(scene)
        checker.doubts.due.pop(scene, None)

    def works(self, process: Process, scene: str) -> None:
        since = max(self.noted_at.get(scene, self.sim.hub.now), process.paused_until)
        if self.sim.hub.now - since > GRACE_S and not self._delayed:
            self.fail(
                "I19", f"{process.name} works on {scene}, which was called off {self.sim.hub.now - since:.0f} s ago"
            )

    def starting(self) -> None:
        """An execution is about to be started."""
        scenes = set[str]()
        for message in self.sim.jobs.queue.messages:
            try:
                scenes.add(JobMessage.from_json(message.text).scene)
            except UnreadableMessage:
                return
        if scenes and all(self.is_off(scene) for scene in scenes):
            self.fail("I19", f"an execution is started, and all that waits is called off: {sorted(scenes)}")

    # ---- what is known ------------------------------------------------------------------------------------------

    @property
    def _delayed(self) -> bool:
        """A thread may stand still between its look and what it does."""
        return bool(self.sim.profile.pause or self.sim.profile.slow)

    def is_off(self, scene: str) -> bool:
        """Whether that is known to everybody who looks."""
        noted_at = self.noted_at.get(scene)
        if noted_at is None or self.sim.hub.now - noted_at <= GRACE_S or self._delayed:
            return False
        record = self.sim.checker.records.get(scene)
        return self.covers(scene) and (record is None or record["phase"] in ("idle", "running"))

    def covers(self, scene: str) -> bool:
        """Whether a note covers all of a scene's uploads that lie there."""
        note = self.sim.stores["state"].blobs.get(layout.cancelled_name(scene))
        if note is None:
            return False
        known = set(json.loads(note.data)["versions"])
        return all(each in known for each in self._uploads(scene))

    def _uploads(self, scene: str) -> list[str]:
        """The versions that lie there, as notes name them."""
        blobs = self.sim.stores["input"].blobs
        own = [name for name in blobs if upload_refusal(name) is None and scene_of(name) == scene]
        return [version(name, blobs[name].etag) for name in own]

    def keeps(self, name: str) -> bool:
        """Whether an upload that lies there is one that nothing is started for."""
        return upload_refusal(name) is None and self.covers(scene_of(name))

    def is_gone(self, commit: Commit) -> bool:
        """Whether a committed result was deleted because somebody said so."""
        return commit.generation <= self.gone.get(commit.scene, 0)
