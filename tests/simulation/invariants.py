"""What must be true: I1 to I6, I8 and I11 after every change, I7, I9 and I10 at rest.

Told from the stores, and from what was seen of them: uploads, versions of records, starts of work. The statements are
those of the protocol; `Checker.changed` is called after every change of a store, whoever made it.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from scenejobs.errors import UnreadableMessage
from scenejobs.names import is_companion, is_pose_file, is_video, refusal, scene_of
from scenejobs.ports import QueueMessage
from scenejobs.state import codec, layout
from scenejobs.state.blobs import OutputFile
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord
from tests.invariants import assert_result_is_whole
from tests.runner_world import Cloud
from tests.simulation.hub import Process
from tests.simulation.seen import Commit, Version

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

MAX_ATTEMPTS, MAX_PREEMPTIONS = 3, 3  # of the simulated runner: platform.RUNNER
HOPELESS = frozenset({"NOT_A_VIDEO", "NO_VIDEO", "BUG"})  # given up at once; a bug the second time
ONCE = frozenset({"calm", "doubled", "skewed", "senders"})  # profiles in which everything has to happen exactly once
MOVED = ("processed", "error")


class Checker:
    """See the module."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim
        self.versions: dict[str, Version] = {}
        self.records: dict[str, dict[str, Any]] = {}  # scene -> the last version seen
        self.commits: list[Commit] = []
        self.given_up: dict[str, tuple[str, int]] = {}  # etag -> scene and generation that was dead-lettered with it
        self._removed: set[str] = set()  # names that their user deleted, and that no run has taken since
        self._started: Counter[tuple[str, int]] = Counter()
        self._listed: Counter[tuple[str, str]] = Counter()  # process, scene -> versions there were when it listed
        self._reasons: dict[str, int] = {}  # scene -> generation whose error.json lies there

    # ---- what happened ----------------------------------------------------------------------------------------------

    def before_user_change(self, name: str) -> None:
        """The user is about to replace or delete what lies there: superseded, unless it was archived already."""
        old = self._sim.stores["input"].blobs.get(name)
        if old is not None and not self._copies().get(old.etag):
            self.versions[old.etag].superseded = True

    def uploaded(self, name: str, etag: str, data: bytes) -> None:
        self.versions[etag] = Version(name, etag, data)
        self._no_loss()

    def changed(self, container: str, verb: str, name: str) -> None:
        if verb == "user":  # deleted: a run that began before it was sent again lacks it rightly
            self._removed.add(name)
        if container == "state":
            if name.startswith("scenes/"):
                self._record_changed(name)
            elif name.startswith("batches/"):
                self._batch_changed(name)
        elif container == "output":
            self._output_changed(verb, name)
        else:
            if container == "error" and name.endswith(f"/{layout.ERROR_DOCUMENT}"):
                self._reason_changed(name)
            self._no_loss()

    def listed(self, container: str, prefix: str) -> None:
        """What this process knows of a scene's uploads: those there were until now."""
        if container == "input" and prefix.endswith("/"):
            self._listed[self._sim.hub.process.name, prefix.removesuffix("/")] = len(self.versions)

    def works(self, process: Process, scene: str) -> None:
        """The job of this runner goes on: it has just been told that the scene is its own."""
        if not self._holds_lease(process, layout.record_name(scene)):
            self.fail("I6", f"{process.name} works on {scene}, whose lease it does not hold")

    def goes_on(self, scene: str, made_of: str, saved: dict[str, Any]) -> None:
        """I2: what an attempt finds is what an earlier one of the same uploads achieved."""
        self._sim.hub.note("goes on", scene)
        if saved["made_of"] != made_of:
            self.fail("I2", f"an attempt at {scene} found what {saved['by']} made of other uploads")

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
        if self._pointed_at(scene):
            return  # a paused runner settles its message when another works on the scene, with a message of its own
        known = self._listed[self._sim.hub.process.name, scene]
        left = (record is None or record["attempts"]) and self._has_uploads(scene, known)
        if left or (record and record["phase"] != "idle"):
            self.fail("I8", f"the message of {scene} left the queue, and nothing points at it: {record}")

    # ---- after every change -----------------------------------------------------------------------------------------

    def _no_loss(self) -> None:
        """I1, and of I3 and I4 what the archive shows."""
        copies, input_blobs = self._copies(), self._sim.stores["input"].blobs
        committed = {etag for commit in self.commits for etag in commit.etags}
        for version in self.versions.values():
            there = input_blobs.get(version.name)
            found = copies.get(version.etag, [])
            if any(data != version.data for _, _, data in found):
                self.fail("I1", f"{version.name} ({version.etag}) has other bytes in the archive than were uploaded")
            if not version.superseded and not found and (there is None or there.etag != version.etag):
                self.fail("I1", f"{version.name} ({version.etag}) is lost: neither in input nor in the archive")
        for etag, found in copies.items():
            for kind, name, _ in found:
                if kind == "processed" and etag not in committed:
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
        if stored is not None and all(is_companion(item["name"]) for item in json.loads(stored.data)["blobs"]):
            self.fail("I9", f"{blob} was sealed without a video")

    def _record_changed(self, blob: str) -> None:
        new = json.loads(self._sim.stores["state"].blobs[blob].data)
        scene = new["scene"]
        old = self.records.get(scene)
        self.records[scene] = new
        process = self._sim.hub.process
        if old is None:
            return
        if not self._holds_lease(process, blob):
            self.fail("I6", f"{process.name} changed the record of {scene}, whose lease it does not hold")
        generation = new["generation"]
        if generation not in (old["generation"], old["generation"] + 1):
            self.fail("I2", f"the generation of {scene} went from {old['generation']} to {generation}")
        if generation != old["generation"] and old["phase"] not in ("committed", "failing"):
            self.fail("I2", f"generation {old['generation']} of {scene} ended without an outcome")
        if new["phase"] == "running" and _attempt(new) != _attempt(old):
            self._started[scene, generation] += 1
        began = self._started[scene, generation]
        if began > MAX_ATTEMPTS + MAX_PREEMPTIONS or new["preemptions"] > MAX_PREEMPTIONS:
            self.fail("I5", f"{began} attempts at {scene} began, {new['preemptions']} of them were given back")
        if new["phase"] == "committed" and old["phase"] != "committed":
            self._committed(new)
        if new["phase"] == "failing" and old["phase"] != "failing":
            self._given_up(new, began)

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
        names = frozenset(item["name"] for item in files if is_video(item["name"]))
        before = next((commit for commit in reversed(self.commits) if commit.scene == scene), None)
        known = {etag for commit in self.commits for etag in commit.etags}  # a newer one of a name may come meanwhile
        kept = {version.name for version in self.versions.values() if not version.superseded and version.etag in known}
        if before is not None and (lost := (before.names & kept) - names - self._removed):
            self.fail("I11", f"generation {generation} of {scene} lacks {sorted(lost)}")
        self.commits.append(Commit(scene, generation, record["run"], etags, outputs, names))
        self._removed -= names
        self._run_is_whole(self.commits[-1])
        used = [item for item in files if is_video(item["name"])]
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
        self._published_is_whole(scene)
        process = self._sim.hub.process
        if not self._holds_lease(process, layout.record_name(scene)):
            self._was_already_so(scene, file, verb, process)

    def _was_already_so(self, scene: str, file: str, verb: str, process: Process) -> None:
        """I6: who lost the lease in the middle of publishing may finish the step, as long as nobody came after."""
        last = max((commit for commit in self.commits if commit.scene == scene), key=lambda c: c.generation)
        blob = self._sim.stores["output"].blobs.get(f"{scene}/{file}")
        whole = self._sim.stores["output"].blobs.get(f"{layout.run_folder(scene, last.run)}{file}")
        if verb == "delete" or (blob and whole and blob.metadata.get("source_etag") != whole.etag):
            record = self.records[scene]
            if record["generation"] != last.generation or record["phase"] != "committed":
                self.fail("I6", f"{process.name} lost {scene} and changed the published {file} all the same ({verb})")

    def _run_is_whole(self, commit: Commit) -> None:
        folder, blobs = layout.run_folder(commit.scene, commit.run), self._sim.stores["output"].blobs
        for file in commit.outputs:
            blob = blobs.get(folder + file.name)
            if blob is None or (len(blob.data), _sha256(blob.data)) != (file.size_bytes, file.sha256):
                self.fail("I3", f"{folder}{file.name} of a committed run is missing or was changed")

    def _published_is_whole(self, scene: str) -> None:
        store = self._sim.stores["output"]
        blob = store.blobs.get(f"{scene}/{layout.MANIFEST}")
        if blob is None or store.head(f"{scene}/{layout.MANIFEST}").copy:
            return
        manifest = json.loads(blob.data)
        if layout.PUBLISHING in manifest and not manifest["outputs"]:
            return
        if manifest["job_id"] not in {commit.run for commit in self.commits}:
            self.fail("I3", f"the published manifest of {scene} is of run {manifest['job_id']}, which is not committed")
        for entry in manifest["outputs"]:
            found = store.blobs.get(f"{scene}/{entry['name']}")
            if found is None or _sha256(found.data) != entry["sha256"]:
                self.fail("I3", f"the published manifest of {scene} names {entry['name']}, which is another file")

    def _reason_changed(self, name: str) -> None:
        document = json.loads(self._sim.stores["error"].blobs[name].data)
        if not all(document.get(key) for key in ("code", "cause", "run")):
            self.fail("I4", f"error/{name} gives no reason")
        if len((document["cause"] + document["advice"]).encode()) > 2048:
            self.fail("I4", f"the reason in error/{name} is longer than 2 KiB")
        if document["generation"] != self.records[document["scene"]]["generation"]:
            self.fail("I6", f"error/{name} was replaced by the reason of an older generation")
        self._reasons[document["scene"]] = document["generation"]

    # ---- at rest ----------------------------------------------------------------------------------------------------

    def at_rest(self) -> None:
        """I7, I9 and what else has to be true in the end."""
        sim = self._sim
        copies = self._copies()
        self._no_loss()
        for version in self.versions.values():
            found = copies.get(version.etag, [])
            waits = is_companion(version.name) and version.name in sim.stores["input"].blobs
            if len(found) > 1 or (not version.superseded and not waits and len(found) != 1):
                self.fail("I7", f"{version.name} ({version.etag}) lies in {[f'{k}/{n}' for k, n, _ in found]}")
        for scene in self.records:
            self._published_is_whole(scene)
        self._last_results_are_published()
        poison = [json.loads(message.text)["text"] for message in sim.poison.queue.messages]
        for text in sim.stranger_jobs:
            if text not in poison:
                self.fail("I8", f"the message {text[:40]!r} is not in the poison queue")
        for text in sim.stranger_checks:
            if text not in sim.debounce_poison:
                self.fail("I8", f"the check {text[:40]!r} is not in its poison queue")
        if sim.options.profile in ONCE and sim.options.crash_at is None:
            self._everything_once()

    def _last_results_are_published(self) -> None:
        """As the tests of the runner have it: `tests.invariants`."""
        last = {commit.scene: commit for commit in self.commits}
        for scene, commit in last.items():
            record = SceneRecord.from_json(self.records[scene])
            try:
                assert_result_is_whole(cast(Cloud, self._sim), replace(record, run=commit.run, outputs=commit.outputs))
            except AssertionError as exc:
                self.fail("I7", f"the result of {scene}: {exc}")

    def _everything_once(self) -> None:
        """I9: without a fault, one message and one run with all uploads of a scene; nothing is tried twice."""
        sim = self._sim
        scenes = {scene_of(version.name) for version in self.versions.values()}
        if sim.jobs.sent != len(scenes):
            self.fail("I9", f"{sim.jobs.sent} messages for {len(scenes)} scenes")
        if sorted(commit.scene for commit in self.commits) != sorted(scenes) or sim.jobs_run != len(scenes):
            self.fail("I9", f"{len(self.commits)} results of {sim.jobs_run} runs for {len(scenes)} scenes")
        if sim.compute.starts > len(scenes) or sim.compute.most > 2:
            self.fail("I9", f"{sim.compute.starts} executions for {len(scenes)} scenes, {sim.compute.most} at once")

    def all_idle(self) -> bool:
        """Whether every record is idle and free: the lease of a dead runner or sweep ends by itself."""
        return all(
            record["phase"] == "idle" and not self._leased(layout.record_name(scene))
            for scene, record in self.records.items()
        )

    def nothing_left(self) -> bool:
        """Whether the input holds only what is refused, and markers and poses whose videos have not come yet."""
        left = [name for name in self._sim.stores["input"].blobs if name not in self._sim.refused]
        return all(is_companion(name) for name in left)

    def no_saved_work(self) -> bool:
        """Nothing is kept for scenes that are done. (Of uploads that were taken away the sweep keeps it for days.)"""
        names = [name for name in self._sim.stores["state"].blobs if name.startswith(layout.RESUME_FOLDER)]
        records = [json.loads(self._sim.stores["state"].blobs[layout.record_of_resume(name)].data) for name in names]
        return all(record["attempts"] or record["preemptions"] or record["failures"] for record in records)

    def all_refused_known(self) -> bool:
        return all(layout.refused_name(name) in self._sim.stores["state"].blobs for name in self._sim.refused)

    def phases(self) -> dict[str, str]:
        return {scene: record["phase"] for scene, record in self.records.items()}

    # ---- what the stores show ---------------------------------------------------------------------------------------

    def _copies(self) -> dict[str, list[tuple[str, str, bytes]]]:
        """Where each version lies whole in the archive: source ETag -> container, name, bytes."""
        found: dict[str, list[tuple[str, str, bytes]]] = {}
        for kind in MOVED:
            store = self._sim.stores[kind]
            for name, blob in store.blobs.items():
                etag = blob.metadata.get("source_etag")
                if etag is None or (blob.copy is not None and store.head(name).copy):
                    if etag is None and not name.endswith((layout.ERROR_DOCUMENT, layout.RUN_LOG)):
                        self.fail("I3", f"{kind}/{name} came from nowhere")
                    continue
                found.setdefault(etag, []).append((kind, name, blob.data))
        return found

    def _leased(self, name: str) -> bool:
        blob = self._sim.stores["state"].blobs[name]
        return blob.lease_id is not None and blob.lease_until is not None and blob.lease_until > self._sim.hub.clock()

    def _holds_lease(self, process: Process, name: str) -> bool:
        blob = self._sim.stores["state"].blobs.get(name)
        return blob is not None and self._leased(name) and self._sim.state.holders.get(blob.lease_id or "") is process

    def works_on(self, process: Process) -> list[str]:
        """The scenes whose lease it holds."""
        return [scene for scene in self.records if self._holds_lease(process, layout.record_name(scene))]

    def _has_uploads(self, scene: str, known: int) -> bool:
        """Whether one of the first `known` versions ever uploaded lies in the input yet. A newer one has an event.

        Poses and markers whose videos were taken away wait for others; nothing has to point at them.
        """
        blobs = self._sim.stores["input"].blobs
        versions = itertools.islice(self.versions.values(), known)
        theirs = [v for v in versions if not refusal(v.name) and not is_companion(v.name) and scene_of(v.name) == scene]
        return any(v.name in blobs and blobs[v.name].etag == v.etag for v in theirs)

    def _pointed_at(self, scene: str) -> bool:
        queues = (self._sim.jobs.queue, self._sim.debounce.queue)
        return any(f'"scene":"{scene}"' in message.text for queue in queues for message in queue.messages)

    def fail(self, invariant: str, text: str) -> None:
        self._sim.hub.fail(invariant, text)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _attempt(record: dict[str, Any]) -> tuple[Any, ...]:
    return record["phase"], record["run"], record["attempts"]
