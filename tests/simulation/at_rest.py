"""When a schedule has come to rest, and what must be true then: I7, I9 and I10."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, cast

from scenejobs.errors import UnreadableMessage
from scenejobs.names import is_companion, refusal, scene_of
from scenejobs.state import layout
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord
from tests.invariants import assert_result_is_whole
from tests.runner_world import Cloud

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

KEPT = (layout.RESUME_FOLDER, layout.ACTIVE, layout.PREVIEWS)
ONCE = frozenset({"calm", "doubled", "skewed", "senders"})  # profiles in which everything has to happen exactly once
# A message hidden for longer than any runner hides the one that it works on waits for a try that has been overtaken:
# another message brought its scene to rest meanwhile. It costs one execution, in which nothing is left to do.
OVERTAKEN = timedelta(seconds=400)


class Rest:
    """See the module."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    # ---- whether it has come ----------------------------------------------------------------------------------------

    def has_come(self) -> bool:
        """Nobody works, no message is about to come, and nothing that lies there asks for work."""
        sim = self._sim
        if self._job_messages() or sim.debounce.queue.messages or sim.invocations:
            return False
        if any(compute.executions for compute in sim.computes) or sim.users or not sim.hub.is_quiet():
            return False
        if not sim.told.all_told():
            return False
        return self._nothing_left() and self._no_saved_work() and self._all_idle() and self._all_refused_known()

    def what_is_left(self) -> str:
        """For the person who asks why it has not."""
        sim = self._sim
        blobs = sim.stores["state"].blobs
        return (
            f"input {sorted(sim.stores['input'].blobs)}, {len(self._job_messages())} job messages, "
            f"{len(sim.debounce.queue.messages)} checks, {sim.invocations} functions, "
            f"executions {[*sim.computes[0].executions, *sim.computes[1].executions]}, "
            f"records {sim.checker.phases()}, "
            f"wishes {[scene for scene, record in sim.checker.records.items() if record.get('wish')]}, "
            f"kept {[name for name in blobs if name.startswith(KEPT)]}"
        )

    def _job_messages(self) -> list[str]:
        until = self._sim.hub.clock() + OVERTAKEN
        waiting = [message.text for message in self._sim.jobs.queue.messages if message.visible_at <= until]
        return [text for text in waiting if not self._asks_for_nothing(text)]

    def _asks_for_nothing(self, text: str) -> bool:
        """Whether the message is about a scene that is cancelled: the next execution takes it out."""
        try:
            scene = JobMessage.from_json(text).scene
        except UnreadableMessage:
            return False
        return refusal(scene) is None and self._sim.checker.called_off.covers(scene)

    def _all_idle(self) -> bool:
        """Whether every record is idle and free: the lease of a dead runner or sweep ends by itself. Without marks."""
        stores = self._sim.checker.stores
        return not any(
            record["phase"] != "idle"
            or record.get("wish")
            or stores.leased(layout.record_name(scene))
            or stores.has_marker(scene)
            for scene, record in self._sim.checker.records.items()
        )

    def _nothing_left(self) -> bool:
        """Whether the input holds only what is refused or cancelled, and what waits for videos to come."""
        left = [name for name in self._sim.stores["input"].blobs if name not in self._sim.refused]
        checker = self._sim.checker
        return all(checker.waits_for_clips(name) or checker.called_off.keeps(name) for name in left)

    def _no_saved_work(self) -> bool:
        """Nothing is kept for scenes that are done. (Of uploads that were taken away the sweep keeps it for days. A
        first look that could not be removed, or whose runner was killed, goes with the daily look: it is asked for
        where nothing fails.)"""
        blobs = self._sim.stores["state"].blobs
        if self._sim.options.profile in ONCE and any(name.startswith(layout.PREVIEWS) for name in blobs):
            return False
        names = [name for name in blobs if name.startswith(layout.RESUME_FOLDER)]
        records = [json.loads(blobs[layout.record_of_resume(name)].data) for name in names]
        return all(record["attempts"] or record["preemptions"] or record["failures"] for record in records)

    def _all_refused_known(self) -> bool:
        return all(layout.refused_name(name) in self._sim.stores["state"].blobs for name in self._sim.refused)

    # ---- what must be true then -------------------------------------------------------------------------------------

    def check(self) -> None:
        """I7, I9 and what else has to be true in the end."""
        sim, checker = self._sim, self._sim.checker
        copies = checker.stores.copies()
        checker.check_no_loss()
        for version in checker.versions.values():
            found = copies.get(version.etag, [])
            there = sim.stores["input"].blobs.get(version.name)
            waits = there is not None and (is_companion(version.name) or checker.called_off.keeps(version.name))
            gone = version.superseded or version.expired or version.erased or waits
            if len(found) > 1 or (not gone and len(found) != 1):
                sim.hub.fail("I7", f"{version.name} ({version.etag}) lies in {[f'{k}/{n}' for k, n, _ in found]}")
        for scene in checker.records:
            checker.check_published(scene)
        self._last_results_are_published()
        sim.told.check()
        poison = [json.loads(message.text)["text"] for message in sim.poison.queue.messages]
        for text in sim.stranger_jobs:
            if text not in poison:
                sim.hub.fail("I8", f"the message {text[:40]!r} is not in the poison queue")
        for text in sim.stranger_checks:
            if text not in sim.debounce_poison:
                sim.hub.fail("I8", f"the check {text[:40]!r} is not in its poison queue")
        if sim.options.profile in ONCE and sim.options.crash_at is None:
            self._everything_once()

    def _last_results_are_published(self) -> None:
        """As the tests of the runner have it: `tests.invariants`. And nothing of another run beside it."""
        sim = self._sim
        due = sim.checker.doubts.due
        shown = [commit for commit in sim.checker.commits if not sim.checker.called_off.is_gone(commit)]
        last = {commit.scene: commit for commit in shown if commit.run == due[commit.scene]}
        for scene, commit in last.items():
            record = SceneRecord.from_json(sim.checker.records[scene])
            try:
                assert_result_is_whole(cast(Cloud, sim), replace(record, run=commit.run, outputs=commit.outputs))
            except AssertionError as exc:
                sim.hub.fail("I7", f"the result of {scene}: {exc}")
            known = {f"{scene}/{file.name}" for file in commit.outputs}
            for name in sim.stores["output"].blobs:
                if name.startswith(f"{scene}/") and name.count("/") == 1 and name not in known:
                    sim.hub.fail("I7", f"{name} is published, and run {commit.run} of {scene} did not write it")

    def _everything_once(self) -> None:
        """I9: without a fault, one message and one run with all uploads of a scene; nothing is tried twice."""
        sim, commits = self._sim, self._sim.checker.commits
        scenes = {scene_of(version.name) for version in sim.checker.versions.values()}
        if sim.jobs.sent != len(scenes):
            sim.hub.fail("I9", f"{sim.jobs.sent} messages for {len(scenes)} scenes")
        if sorted(commit.scene for commit in commits) != sorted(scenes) or sim.jobs_run != len(scenes):
            sim.hub.fail("I9", f"{len(commits)} results of {sim.jobs_run} runs for {len(scenes)} scenes")
        if sim.compute.starts > len(scenes) or sim.compute.most > 2:
            sim.hub.fail("I9", f"{sim.compute.starts} executions for {len(scenes)} scenes, {sim.compute.most} at once")
