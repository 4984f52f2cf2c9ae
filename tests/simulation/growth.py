"""What must be true of scenes that grow, of uploads on their way, and of scenes that cannot go on: I13 to I16.

    I13 grown         a generation is made of everything its scene has; no result loses what the one before it showed,
                      unless it was replaced, taken out, or done without by its user's wish, or was suspect; only what
                      is part of the published result, or was archived before, is put away without a run
    I14 blocked       a scene that only somebody else can help costs at most 12 executions a day
    I15 in progress   no scene is sealed by the clock while a usable upload into it grows
    I16 found again   a record that somebody has to come back to has its marker; a generation's note is written once

Told from what users did and what jobs were given, never from what the record says of itself.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from scenejobs.names import is_media, is_pose_file, is_ready_marker, is_scene_file, is_video, scene_of, within_scene
from scenejobs.state import layout

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

MOST_A_DAY = 12  # executions for a scene that is blocked
CLOCK_GRAIN_S = 2.0  # the service tells whole seconds
BAD = b"bad "  # a clip that begins like this is refused by name

File = tuple[str, str]  # name, ETag


@dataclass(frozen=True)
class Shown:
    """A committed result."""

    run: str
    files: tuple[File, ...]  # videos that it was made from


@dataclass
class Growth:
    """See the module."""

    sim: Simulation
    members: defaultdict[str, list[File]] = field(default_factory=lambda: defaultdict(list))  # of each scene, in order
    taken_out: set[tuple[str, str]] = field(default_factory=set)  # scene, name: whom its user asked to be left out
    done_without: set[str] = field(default_factory=set)  # scenes that may go on without what retention removed
    clips: dict[str, frozenset[str]] = field(default_factory=dict)  # run -> clips of which its job has frames
    refused: set[str] = field(default_factory=set)  # ETags that a failure refused by name
    sending: dict[str, float] = field(default_factory=dict)  # names whose blocks are being sent: when the last one was
    blocked: dict[str, float] = field(default_factory=dict)  # scene -> until when its input is held by somebody else
    takers: defaultdict[str, set[str]] = field(default_factory=lambda: defaultdict(set))  # executions, by blocked scene
    _last: dict[str, Shown] = field(default_factory=dict)
    _seen: dict[str, dict[str, float]] = field(default_factory=dict)  # process -> upload -> age of its last block

    def fail(self, invariant: str, text: str) -> None:
        self.sim.hub.fail(invariant, text)

    # ---- the record -----------------------------------------------------------------------------------------

    def record_changed(self, old: dict[str, Any], new: dict[str, Any], begins: bool) -> None:
        """begins: an attempt."""
        active = new["phase"] != "idle" or new.get("wish")
        if active and not self.sim.checker.stores.has_marker(new["scene"]):
            self.fail("I16", f"{new['scene']} is {new['phase']} and has no marker")
        if begins:
            self._made_of_everything(new)
        if new["phase"] == "committed" and old["phase"] != "committed":
            self._committed(new)
        if new["generation"] != old["generation"]:
            self._closed(old)

    def _made_of_everything(self, record: dict[str, Any]) -> None:
        scene, new = record["scene"], _files(record["manifest"])
        carried, names = _files(record.get("carried", [])), {name for name, _ in new}
        every = [name for name, _ in (*carried, *new)]
        if len(every) != len(set(every)):
            self.fail("I13", f"generation {record['generation']} of {scene} holds two versions of one name: {every}")
        known = [(name, etag) for name, etag in self.members[scene] if name not in names]
        newest = dict(known)
        out = {v.data for v in self.sim.checker.versions.values() if (scene, v.name) in self.taken_out}
        data = {self._data(etag) for _, etag in (*carried, *new)} | out
        for name, etag in known:
            needed = newest[name] == etag and not self._version(etag).expired and (scene, name) not in self.taken_out
            if needed and self._data(etag) not in data:
                self.fail("I13", f"generation {record['generation']} of {scene} lacks {name} ({etag})")
        for name, etag in carried:
            is_out = (scene, name) in self.taken_out and etag in record.get("retired", [])
            if (name, etag) not in known or is_out:
                self.fail("I13", f"generation {record['generation']} of {scene} holds {name} ({etag}), which is out")

    def _committed(self, record: dict[str, Any]) -> None:
        scene, run = record["scene"], record["run"]
        every = _files([*record.get("carried", []), *record["manifest"]])
        now = Shown(run, tuple((name, etag) for name, etag in every if is_video(name)))
        doubts = self.sim.checker.doubts
        if run in doubts.withheld:
            return
        before = self._last.get(scene)
        self._last[scene] = now
        if before is None:
            return
        order = list(self.sim.checker.versions)
        newest, data = (
            {name: order.index(etag) for name, etag in now.files},
            {self._data(etag) for _, etag in now.files},
        )
        out = {self._data(etag) for name, etag in before.files if (scene, name) in self.taken_out}
        for name, etag in before.files:
            version = self._version(etag)
            excused = version.superseded or newest.get(name, -1) > order.index(etag) or self._data(etag) in data
            excused |= self._data(etag) in out or (version.expired and scene in self.done_without)
            if not excused:
                self.fail("I13", f"generation {record['generation']} of {scene} lost {name} ({etag})")
        if before.run in doubts.suspect:
            return
        offered = {within_scene(name, scene) for name, _ in now.files}
        asked = {within_scene(name, scene) for each, name in self.taken_out if each == scene}
        lost = (self._clips(before) & offered) - self._clips(now) - asked  # also of what is uploaded anew since
        if lost:
            self.fail("I13", f"the result of {scene} shows no longer {sorted(lost)}")

    def _closed(self, record: dict[str, Any]) -> None:
        scene, new = record["scene"], _files(record["manifest"])
        kept = [(name, etag) for name, etag in new if not self._version(etag).superseded and not is_ready_marker(name)]
        if record["phase"] == "committed":
            used = [(name, etag) for name, etag in kept if _is_used(name)]
            withheld = record["run"] in self.sim.checker.doubts.withheld
            before = self.members[scene] if withheld else _files(record.get("carried", []))
            self.members[scene] = [*before, *used]
        else:
            files = {f"{scene}/{name}" for name in record["failures"][-1].get("files", [])}
            self.refused |= {etag for name, etag in new if name in files}
            published = {etag for _, etag in self._last[scene].files} if scene in self._last else set()
            carried_refused = {file for file in self.members[scene] if file[0] in files and file[1] not in published}
            self.members[scene] = [file for file in self.members[scene] if file not in carried_refused]
            self.members[scene] += [file for file in kept if file[1] not in self.refused]

    def forget(self, scene: str) -> None:
        """Everything of it was deleted."""
        self._last.pop(scene, None)
        self.taken_out = {each for each in self.taken_out if each[0] != scene}

    # ---- other blobs of the state container -----------------------------------------------------------------

    def note_written(self, name: str, existed: bool) -> None:
        if existed:
            self.fail("I16", f"the note {name} of a generation was written a second time")

    def marker_removed(self, name: str) -> None:
        for scene, record in self.sim.checker.records.items():
            if layout.marker_name(scene) == name and (record["phase"] != "idle" or record.get("wish")):
                self.fail("I16", f"the marker of {scene} was removed in phase {record['phase']}")

    def duplicate_noted(self, blob: str) -> None:
        """I13: put away without a run is only what had an outcome, or is part of the published result."""
        note = json.loads(self.sim.stores["state"].blobs[blob].data)
        scene, etag = note["scene"], note["etag"]
        checker = self.sim.checker
        if etag in checker.given_up or any(etag in commit.etags for commit in checker.commits):
            return
        ending, last = checker.records[scene].get("ending"), self._last.get(scene)
        succeeded = ending is not None and ending["outcome"] == "succeeded"
        if last is not None and not _is_used(note["name"]):
            return  # nothing is made of it
        if not succeeded or last is None or self._data(etag) not in {self._data(each) for _, each in last.files}:
            self.fail("I13", f"{note['name']} ({etag}) was put away, and the published result does not hold it")

    def batch_sealed(self, batch: dict[str, Any]) -> None:
        """I15. What the process saw when it last listed the input, or counted blocks, counts."""
        if "ready" in batch["why"]:
            return
        stalled_s = self.sim.dispatch.upload_stalled_s
        for name, age_s in self._seen.get(self.sim.hub.process.name, {}).items():
            if scene_of(name) == batch["scene"] and age_s < stalled_s - CLOCK_GRAIN_S:
                self.fail("I15", f"{batch['scene']} was sealed ({batch['why']}) while {name} grew, {age_s:.0f} s ago")

    # ---- uploads and messages -------------------------------------------------------------------------------

    def listed_input(self, prefix: str) -> None:
        hub, there = self.sim.hub, self.sim.stores["input"].blobs
        seen = self._seen.setdefault(hub.process.name, {})
        for name, grew_at in self.sending.items():
            if name.startswith(prefix):
                seen.pop(name, None)
                if name not in there:
                    seen[name] = hub.now - grew_at

    def block_sent(self, name: str) -> None:
        self.sending[name] = self.sim.hub.now

    def counted(self, name: str) -> None:
        """The blocks of an upload, by a process that has listed it."""
        hub, grew_at = self.sim.hub, self.sending.get(name)
        if grew_at is not None:
            self._seen.setdefault(hub.process.name, {})[name] = hub.now - grew_at

    def received(self, scene: str) -> None:
        """I14. Holds last for less than a day; whoever uploads meanwhile has a run for it."""
        if self.blocked.get(scene, 0.0) <= self.sim.hub.now:
            return
        self.takers[scene].add(self.sim.hub.process.name)
        uploads = sum(scene_of(version.name) == scene for version in self.sim.checker.versions.values())
        found, profile = len(self.takers[scene]), self.sim.profile
        if found > MOST_A_DAY + uploads and not profile.any_before and not profile.any_after:
            self.fail("I14", f"{found} executions took {scene}, which only somebody else can help")

    # ---- what is known ----------------------------------------------------------------------------------------

    def _version(self, etag: str) -> Any:
        return self.sim.checker.versions[etag]

    def _data(self, etag: str) -> bytes:
        data: bytes = self._version(etag).data
        return data

    def _clips(self, shown: Shown) -> frozenset[str]:
        return self.clips.get(shown.run, frozenset())


def _is_used(name: str) -> bool:
    """A result may be made of it."""
    return is_media(name) or is_pose_file(name) or is_scene_file(name, scene_of(name))


def _files(items: list[dict[str, Any]]) -> list[File]:
    return [(str(item["name"]), str(item["etag"])) for item in items]
