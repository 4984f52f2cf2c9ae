"""What must be true after every change: I1 to I6 and I8. Of scenes that grow: `growth.py`. Of suspect results:
`doubts.py`. Of two jobs: `two_jobs.py`. Of scenes that are called off: `called_off.py`. At rest: `at_rest.py`.

Told from the stores, and from what was seen of them: uploads, versions of records, starts of work. The statements are
those of the protocol; `Checker.changed` is called after every change of a store, whoever made it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from scenejobs.errors import UnreadableMessage
from scenejobs.names import is_companion, is_pose_file, is_scene_file, is_video, refusal, scene_of
from scenejobs.ports import QueueMessage
from scenejobs.state import codec, layout
from scenejobs.state.blobs import OutputFile
from scenejobs.state.messages import JobMessage
from tests.simulation.called_off import CalledOff
from tests.simulation.doubts import Doubts
from tests.simulation.growth import Growth
from tests.simulation.hub import Process
from tests.simulation.seen import Commit, Version
from tests.simulation.stores import Stores
from tests.simulation.two_jobs import TwoJobs

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

MAX_ATTEMPTS, MAX_PREEMPTIONS = 3, 3  # of the simulated runner: platform.RUNNER
# given up at once; a bug the second time
HOPELESS = frozenset({"NOT_A_VIDEO", "NO_VIDEO", "BUG", "CLIPS_LOST", "ARCHIVE_GONE", "BAD_SETTINGS"})


class Checker:
    """See the module."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.stores, self.growth, self.doubts, self.two_jobs = Stores(sim), Growth(sim), Doubts(sim), TwoJobs(sim)
        self.called_off = CalledOff(sim)
        self.versions: dict[str, Version] = {}
        self.records: dict[str, dict[str, Any]] = {}  # scene -> the last version seen
        self.commits: list[Commit] = []
        self.given_up: dict[str, tuple[str, int]] = {}  # etag -> scene and generation that was dead-lettered with it
        self._started: Counter[tuple[str, int]] = Counter()
        self._listed: Counter[tuple[str, str]] = Counter()  # process, scene -> versions there were when it listed
        self._reasons: dict[str, int] = {}  # scene -> generation whose error.json lies there
        self.duplicates: set[str] = set()  # ETags of uploads that were put away without a run
        self._notes: set[str] = set()  # of generations
        self._batches: set[str] = set()

    # ---- what happened ----------------------------------------------------------------------------------------------

    def before_user_change(self, name: str) -> None:
        """The user is about to replace or delete what lies there: superseded, unless it was archived already."""
        old = self._sim.stores["input"].blobs.get(name)
        if old is not None and not self.stores.copies().get(old.etag):
            self.versions[old.etag].superseded = True

    def uploaded(self, name: str, etag: str, data: bytes) -> None:
        self.versions[etag] = Version(name, etag, data)
        self.called_off.uploaded(name)
        self.check_no_loss()

    def changed(self, container: str, verb: str, name: str) -> None:
        if container == "state":
            self._state_changed(verb, name)
        elif container == "output":
            self._output_changed(verb, name)
        else:
            if container == "error" and name.endswith(f"/{layout.ERROR_DOCUMENT}"):
                self._reason_changed(name)
            self.check_no_loss()

    def _state_changed(self, verb: str, name: str) -> None:
        folder = name.partition("/")[0] + "/"
        if folder == layout.RECORDS:
            self._record_changed(name)
        elif folder == layout.BATCHES:
            self._batch_changed(name)
        elif folder == layout.CANCELLED:
            self.called_off.note_changed(name)
        elif folder == layout.ACTIVE and verb == "delete":
            self.growth.marker_removed(name)
        elif folder == layout.DUPLICATES and verb == "write":
            self.duplicates.add(json.loads(self._sim.stores["state"].blobs[name].data)["etag"])
            self.growth.duplicate_noted(name)
        elif folder == layout.GENERATIONS and verb == "write":
            self.growth.note_written(name, name in self._notes)
            self._notes.add(name)

    def listed(self, container: str, prefix: str) -> None:
        """What this process knows of a scene's uploads: those there were until now."""
        if container == "input":
            self.growth.listed_input(prefix)
        if container == "input" and prefix.endswith("/"):
            self._listed[self._sim.hub.process.name, prefix.removesuffix("/")] = len(self.versions)

    def works(self, process: Process, scene: str) -> None:
        """The job of this runner goes on: it has just been told that the scene is its own."""
        self.two_jobs.works(process, scene)
        self.called_off.works(process, scene)
        if not self.stores.holds_lease(process, layout.record_name(scene)):
            self.fail("I6", f"{process.name} works on {scene}, whose lease it does not hold")

    def goes_on(self, scene: str, made_of: str, saved: dict[str, Any]) -> None:
        """I2: what an attempt finds is what an earlier one of the same uploads achieved."""
        self._sim.hub.note("goes on", scene)
        if saved["made_of"] != made_of:
            self.fail("I2", f"an attempt at {scene} found what {saved['by']} made of other uploads")

    def received(self, message: QueueMessage) -> None:
        """A runner takes it."""
        with suppress(UnreadableMessage):
            self.growth.received(JobMessage.from_json(message.text).scene)

    def completed(self, message: QueueMessage) -> None:
        """I8: a message leaves the queue when what it asked for is durable, or it lies in the poison queue."""
        try:
            scene = JobMessage.from_json(message.text).scene
        except UnreadableMessage:
            scene = ""
        if not scene or refusal(scene):
            if not any(message.id in poison.text for poison in self._sim.poison.queue.messages):
                self.fail("I8", "a message nobody can act on left the queue and is not in the poison queue")
            return
        record = self.records.get(scene)
        if self.called_off.covers(scene) and (record is None or record["phase"] == "idle"):
            return  # it asks for nothing
        if self.stores.pointed_at(scene):
            return  # a paused runner settles its message when another works on the scene, with a message of its own
        known = self._listed[self._sim.hub.process.name, scene]
        left = (record is None or record["attempts"]) and self._has_uploads(scene, known)
        if left or (record and record["phase"] != "idle"):
            self.fail("I8", f"the message of {scene} left the queue, and nothing points at it: {record}")

    # ---- after every change -----------------------------------------------------------------------------------------

    def check_no_loss(self) -> None:
        """I1, and of I3 and I4 what the archive shows."""
        copies, input_blobs = self.stores.copies(), self._sim.stores["input"].blobs
        committed = {etag for commit in self.commits for etag in commit.etags}
        for version in self.versions.values():
            there = input_blobs.get(version.name)
            found = copies.get(version.etag, [])
            if any(data != version.data for _, _, data in found):
                self.fail("I1", f"{version.name} ({version.etag}) has other bytes in the archive than were uploaded")
            if not (version.superseded or version.expired or version.erased or found) and (
                there is None or there.etag != version.etag
            ):
                self.fail("I1", f"{version.name} ({version.etag}) is lost: neither in input nor in the archive")
        for etag, found in copies.items():
            for kind, name, _ in found:
                if kind == "processed" and etag not in committed and etag not in self.duplicates:
                    self.fail("I3", f"processed/{name} belongs to no committed run")
                if kind == "error":
                    scene, generation = self.given_up.get(etag, ("", 0))
                    if not scene:
                        self.fail("I4", f"error/{name} was never given up")
                    elif self._reasons.get(scene, 0) < generation:
                        self.fail("I4", f"error/{name} lies there without a reason")

    def _batch_changed(self, blob: str) -> None:
        """Of I9: markers and poses alone become no job."""
        stored = self._sim.stores["state"].blobs.get(blob)
        if stored is None:
            return
        batch = json.loads(stored.data)
        if all(self.waits_for_clips(item["name"]) for item in batch["blobs"]):
            self.fail("I9", f"{blob} was sealed without a video")
        if blob not in self._batches:
            self._batches.add(blob)
            self.growth.batch_sealed(batch)

    def waits_for_clips(self, name: str) -> bool:
        """Whether an upload is nothing alone: new settings of a scene that has files are something."""
        scene = scene_of(name)
        contents = self.records.get(scene, {}).get("contents") or []
        has_files = any(not is_companion(item["name"]) for item in contents)
        return is_companion(name) and not (is_scene_file(name, scene) and has_files)

    def _record_changed(self, blob: str) -> None:
        new = json.loads(self._sim.stores["state"].blobs[blob].data)
        scene = new["scene"]
        old = self.records.get(scene)
        self.records[scene] = new
        process = self._sim.hub.process
        if old is None:
            return
        if not self.stores.holds_lease(process, blob):
            self.fail("I6", f"{process.name} changed the record of {scene}, whose lease it does not hold")
        generation = new["generation"]
        if generation not in (old["generation"], old["generation"] + 1):
            self.fail("I2", f"the generation of {scene} went from {old['generation']} to {generation}")
        if generation != old["generation"] and old["phase"] not in ("committed", "failing"):
            self.fail("I2", f"generation {old['generation']} of {scene} ended without an outcome")
        begins = new["phase"] == "running" and _attempt(new) != _attempt(old)
        self._started[scene, generation] += begins
        if begins:
            self.two_jobs.begins(process, scene)
        if old["phase"] == "running" and new["phase"] == "idle" and new["attempts"] < old["attempts"]:
            self._started[scene, generation] -= new["preemptions"] == old["preemptions"]  # all of it was known
        began = self._started[scene, generation]
        if began > MAX_ATTEMPTS + MAX_PREEMPTIONS or new["preemptions"] > MAX_PREEMPTIONS:
            self.fail("I5", f"{began} attempts at {scene} began, {new['preemptions']} of them were given back")
        if new["phase"] == "committed" and old["phase"] != "committed":
            self._committed(new)
        if new["phase"] == "failing" and old["phase"] != "failing":
            self._given_up(new, began)
        self.called_off.record_changed(old, new, begins)
        if new.get("held") and new["attempts"] < old["attempts"]:  # it is forgotten with all else
            self._started[scene, generation] = 0
        self.growth.record_changed(old, new, begins)

    def _committed(self, record: dict[str, Any]) -> None:
        """I2, and that the result is made of exactly the versions it names."""
        scene, generation = record["scene"], record["generation"]
        etags = tuple(item["etag"] for item in record["manifest"])
        self._none_twice(scene, etags, "committed")
        if any(scene_of(item["name"]) != scene for item in record["manifest"]):
            self.fail("I2", f"the run of {scene} took uploads of another scene")
        if any(commit.scene == scene and commit.generation == generation for commit in self.commits):
            self.fail("I2", f"generation {generation} of {scene} was committed twice")
        outputs = tuple(codec.from_json(item, OutputFile) for item in record["outputs"])
        files = sorted([*record["manifest"], *record.get("carried", [])], key=lambda item: str(item["name"]))
        self.commits.append(Commit(scene, generation, record["run"], etags, outputs))
        self._run_is_whole(self.commits[-1])
        self.doubts.committed(scene, record["run"])
        media, old = dict[bytes, str](), {item["name"]: item["generation"] for item in record.get("carried", [])}
        for item in sorted(files, key=lambda item: old.get(item["name"], generation)):  # of the same bytes the first
            if is_video(item["name"]):
                media.setdefault(self.versions[item["etag"]].data, item["name"])
        used = [item for item in files if item["name"] in media.values()]
        used += [item for item in files if is_pose_file(item["name"])]  # a job gets them last
        data = b"".join(self.versions[item["etag"]].data for item in used)
        expected = f"ply {hashlib.sha256(data).hexdigest()}".encode()
        ply = self._sim.stores["output"].blobs.get(f"{layout.run_folder(scene, record['run'])}{scene}.ply")
        if ply is not None and ply.data != expected:
            self.fail("I2", f"the result of {scene} was not made of the versions in its manifest")

    def _given_up(self, record: dict[str, Any], began: int) -> None:
        """I5 the other way round: not before every attempt was used up, unless trying again cannot help."""
        scene, code = record["scene"], record["failures"][-1]["code"]
        charged = began - record["preemptions"]
        if code not in HOPELESS and charged < MAX_ATTEMPTS:
            self.fail("I5", f"{scene} was given up ({code}) after {charged} of {MAX_ATTEMPTS} attempts")
        self.doubts.given_up(scene, code)
        etags = [item["etag"] for item in record["manifest"]]
        self._none_twice(scene, etags, "given up")
        for etag in etags:
            self.given_up[etag] = (scene, record["generation"])

    def _none_twice(self, scene: str, etags: Any, how: str) -> None:
        committed = Counter(etag for commit in self.commits for etag in commit.etags)
        for etag in etags:
            if etag in committed or etag in self.given_up:
                self.fail("I2", f"{self.versions[etag].name} ({etag}) of {scene} was {how}, and had an outcome before")

    def _output_changed(self, verb: str, name: str) -> None:
        """I3: what a committed run names is there; what the published manifest names is there. I6 for publishing."""
        scene, _, file = name.partition("/")
        if file.startswith("runs/"):
            for commit in self.commits:
                if name.startswith(layout.run_folder(commit.scene, commit.run)):
                    self._run_is_whole(commit)
            return
        self.check_published(scene)
        process = self._sim.hub.process
        if not self.stores.holds_lease(process, layout.record_name(scene)):
            self._was_already_so(scene, file, verb, process)

    def _was_already_so(self, scene: str, file: str, verb: str, process: Process) -> None:
        """I6: who lost the lease in the middle of publishing may finish the step, as long as nobody came after."""
        last = next(commit for commit in self.commits if commit.run == self.doubts.due[scene])
        blob = self._sim.stores["output"].blobs.get(f"{scene}/{file}")
        whole = self._sim.stores["output"].blobs.get(f"{layout.run_folder(scene, last.run)}{file}")
        if verb == "delete" or (blob and whole and blob.metadata.get("source_etag") != whole.etag):
            record = self.records[scene]
            if record["generation"] != last.generation or record["phase"] != "committed":
                self.fail("I6", f"{process.name} lost {scene} and changed the published {file} all the same ({verb})")

    def _run_is_whole(self, commit: Commit) -> None:
        if self.called_off.is_gone(commit):
            return
        folder, blobs = layout.run_folder(commit.scene, commit.run), self._sim.stores["output"].blobs
        for file in commit.outputs:
            blob = blobs.get(folder + file.name)
            if blob is None or (len(blob.data), _sha256(blob.data)) != (file.size_bytes, file.sha256):
                self.fail("I3", f"{folder}{file.name} of a committed run is missing or was changed")

    def check_published(self, scene: str) -> None:
        store = self._sim.stores["output"]
        blob = store.blobs.get(f"{scene}/{layout.MANIFEST}")
        if blob is None or store.head(f"{scene}/{layout.MANIFEST}").copy:
            return
        manifest = json.loads(blob.data)
        if layout.PUBLISHING in manifest and not manifest["outputs"]:
            return
        if manifest["job_id"] not in {commit.run for commit in self.commits}:
            self.fail("I3", f"the published manifest of {scene} is of run {manifest['job_id']}, which is not committed")
        self.doubts.published(scene, manifest["job_id"])
        for entry in manifest["outputs"]:
            found = store.blobs.get(f"{scene}/{entry['name']}")
            if found is None or _sha256(found.data) != entry["sha256"]:
                self.fail("I3", f"the published manifest of {scene} names {entry['name']}, which is another file")

    def _reason_changed(self, name: str) -> None:
        if name not in self._sim.stores["error"].blobs:
            self._reasons.pop(name.rpartition("/")[0], None)
            return
        document = json.loads(self._sim.stores["error"].blobs[name].data)
        if not all(document.get(key) for key in ("code", "cause", "run")):
            self.fail("I4", f"error/{name} gives no reason")
        if len((document["cause"] + document["advice"]).encode()) > 2048:
            self.fail("I4", f"the reason in error/{name} is longer than 2 KiB")
        if document["generation"] != self.records[document["scene"]]["generation"]:
            self.fail("I6", f"error/{name} was replaced by the reason of an older generation")
        self._reasons[document["scene"]] = document["generation"]

    def seen_by(self, process: Process, scene: str) -> list[Version]:
        """The versions that there were when this process last listed the uploads of a scene."""
        return list(itertools.islice(self.versions.values(), self._listed[process.name, scene]))

    # ---- for others -------------------------------------------------------------------------------------------------

    def phases(self) -> dict[str, str]:
        return {scene: record["phase"] for scene, record in self.records.items()}

    def works_on(self, process: Process) -> list[str]:
        """The scenes whose lease it holds, and that are not at their end."""
        active = [scene for scene, record in self.records.items() if record["phase"] != "idle"]
        return [scene for scene in active if self.stores.holds_lease(process, layout.record_name(scene))]

    def _has_uploads(self, scene: str, known: int) -> bool:
        """Whether one of the first `known` versions ever uploaded lies in the input yet. A newer one has an event.

        Poses and markers whose videos were taken away wait for others; nothing has to point at them.
        """
        blobs = self._sim.stores["input"].blobs
        versions = itertools.islice(self.versions.values(), known)
        theirs = [v for v in versions if not refusal(v.name) and not is_companion(v.name) and scene_of(v.name) == scene]
        return any(v.name in blobs and blobs[v.name].etag == v.etag for v in theirs)

    def fail(self, invariant: str, text: str) -> None:
        self._sim.hub.fail(invariant, text)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _attempt(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["phase"], record["run"], record["attempts"]
