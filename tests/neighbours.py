"""What one version of the program leaves behind is taken up by another: this file runs under both.

    PYTHONPATH=CHECKOUT python -P tests/neighbours.py make > documents.json     leaves work in many states behind
    PYTHONPATH=CHECKOUT python -P tests/neighbours.py go_on < documents.json    loads it, and lets dispatcher, sweep and
                                                                                runners work for two hours

It uses only what the versions have in common: tests/days.py, tests/doubles/faults.py and the in-memory stores.
tests/unit/scenejobs/test_neighbouring_versions.py tells what must come out.
"""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from scenejobs.adapters.memory.blobs import _Blob
from scenejobs.adapters.memory.queues import _Message
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import StorageError
from scenejobs.ports import Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records
from scenejobs.state.messages import JobMessage
from tests.days import Days
from tests.doubles.faults import Fault, FaultPlan, Killed, Rule
from tests.runner_world import bad_video, echo_job

RECORD = "scenes/"  # in the names of records
LATER_S = 700.0  # locks of messages and leases are over


def job(job_: Any, supervision: Any) -> Any:
    """Scenes of this name fail, or are in doubt, where the version knows doubt."""
    if job_.name.startswith("bad"):
        return bad_video(job_, supervision)
    summary = echo_job(job_, supervision)
    if job_.name.startswith("doubtful") and len(job_.clips) > 1:
        told = {"code": "POSES_SUSPECT", "reasons": ["two halves do not fit"]}
        summary["doubt"] = told
    return summary


class Worlds:
    """Each of them a cloud with work in a certain state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.made: dict[str, Days] = {}

    def new(self, name: str) -> Days:
        days = self.made[name] = Days(self.folder / name, job)
        return days

    def make(self) -> None:
        days = self.new("uploads that wait")
        days.upload("lobby/a.mp4", b"1")
        days.upload("lobby/ready.txt", b"")
        days.upload("attic/cam 1/ü.mp4", b"2")
        days = self.new("sealed")
        days.upload("lobby/a.mp4", b"1")
        days.pass_time(75)
        days = self.new("done, with more on the way")
        days.upload("lobby/a.mp4", b"1")
        days.upload("bad/a.mp4", b"2")
        days.pass_time(300)
        days.upload("lobby/b.mp4", b"3")
        days.pass_time(300)
        days.upload("lobby/c.mp4", b"4")
        for count in range(1, 20):  # after each record that is written, of a second generation
            if not self.crash(f"killed after record {count}", Rule(Fault.KILLED_AFTER, "write", RECORD, count - 1)):
                break
        self.crash("killed in the archive", Rule(Fault.KILLED_AFTER, "copy_from", ""))
        self.crash("killed in a failure", Rule(Fault.KILLED_AFTER, "write", RECORD, 2), scene="bad")
        self.crash("killed with doubt", Rule(Fault.KILLED_AFTER, "write", RECORD, 2), scene="doubtful")
        before, records.INLINE_BYTES = records.INLINE_BYTES, 64
        try:
            self.crash("killed with long lists", Rule(Fault.KILLED_AFTER, "write", RECORD, 1))
        finally:
            records.INLINE_BYTES = before

    def crash(self, name: str, rule: Rule, scene: str = "lobby") -> bool:
        """A scene with one generation that ended, whose second is cut off. False: it was not."""
        days = self.new(name)
        days.upload(f"{scene}/a.mp4", b"1")
        days.pass_time(300)
        for number in range(3):
            days.upload(f"{scene}/more-{number}.mp4", f"{number}".encode())
        days.clock.advance(70)
        while (message := days.queues["debounce"].receive(60)) is not None:
            days.app.on_quiet(message.text.encode())
            days.queues["debounce"].complete(message)
        plan = FaultPlan(days.clock, [rule])
        try:
            days.worker({kind: plan.store(store) for kind, store in days.stores.items()}).drain()
        except Killed:
            return True
        del self.made[name]
        return False


def dumped(days: Days) -> dict[str, Any]:
    """Everything that lies in a cloud, as JSON."""
    return {
        "now": days.clock().isoformat(),
        "stores": {
            kind: {
                name: {
                    "data": base64.b64encode(blob.data).decode(), "etag": blob.etag,
                    "modified": blob.modified.isoformat(), "metadata": blob.metadata, "content_md5": blob.content_md5,
                }
                for name, blob in sorted(store.blobs.items())
            }
            for kind, store in days.stores.items()
        },
        "queues": {
            name: [[message.text, message.visible_at.isoformat(), message.dequeue_count] for message in queue.messages]
            for name, queue in days.queues.items()
        },
    }  # fmt: skip


def loaded(body: Any, folder: Path) -> Days:
    """A cloud that holds what was dumped."""
    days = Days(folder, job)
    days.clock.time = datetime.fromisoformat(body["now"])
    for kind, blobs in body["stores"].items():
        for name, blob in blobs.items():
            days.stores[kind].blobs[name] = _Blob(
                base64.b64decode(blob["data"]), blob["etag"], datetime.fromisoformat(blob["modified"]),
                dict(blob["metadata"]), blob["content_md5"],
            )  # fmt: skip
    for name, messages in body["queues"].items():
        for number, (text, visible_at, count) in enumerate(messages):
            days.queues[name].messages.append(
                _Message(f"{name}-{number}", text, datetime.fromisoformat(visible_at), "", count)
            )
    return days


def went_on(body: Any, folder: Path) -> dict[str, Any]:
    """What a cloud looks like after the dispatcher, the sweep and runners had two hours."""
    days = loaded(body, folder)
    days.clock.advance(LATER_S)
    end, said = days.clock() + timedelta(hours=2), set[str]()
    while days.clock() < end:
        try:
            days._step(60)
        except StorageError as exc:  # the host logs it, and the next sweep comes
            said.add(f"{type(exc).__name__}: {exc}")
    report = audit(collect(days.containers, Queues(**days.queues), DispatchSettings(), 5, days.clock()))
    return {
        "violations": [asdict(finding) for finding in report.violations],
        "names": {kind: sorted(store.blobs) for kind, store in days.stores.items()},
        "messages": {name: queue.total() for name, queue in days.queues.items()},
        "said": sorted(said),
        "ends": {str(end): count for end, count in days.ends.items()},
        "jobs_run": days.jobs_run,
        "after": dumped(days),
    }


def main(arguments: list[str]) -> int:
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        if arguments == ["make"]:
            worlds = Worlds(folder)
            worlds.make()
            found = {name: dumped(days) for name, days in worlds.made.items()}
            found["uploads that wait"]["queues"]["jobs"] += [
                [JobMessage("lobby", "", days.clock(), "00-aa-bb-00").to_json(), days.clock().isoformat(), 1]
                for days in [worlds.made["uploads that wait"]]
            ]
        else:
            given = json.load(sys.stdin)
            found = {name: went_on(body, folder / str(number)) for number, (name, body) in enumerate(given.items())}
    json.dump(found, sys.stdout, separators=(",", ":"), sort_keys=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
