"""The audit reports nothing while nothing is wrong, however far a run has come, and exactly what is wrong otherwise."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.audit.report import Report, audit
from scenejobs.audit.snapshot import Finding, collect
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import layout, records
from scenejobs.state.incoming import sending
from scenejobs.state.incoming.sending import Growth, Memory
from scenejobs.state.record import Phase
from tests.doubles.faults import Fault, Killed, Rule, killed_at
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video, echo_job

DAY_S = 86_400.0


def audited(cloud: Cloud, *, deep: bool = False) -> Report:
    containers = Containers(**cloud.stores)
    settings = DispatchSettings(max_wait_s=1800, requeue_after_s=600, sweep_interval_s=900)
    evidence = collect(containers, Queues(**cloud.queues), settings, 3, cloud.clock())
    return audit(evidence, containers.output if deep else None)


def violations(cloud: Cloud, *, deep: bool = False) -> list[tuple[str, str]]:
    return [(finding.invariant, finding.where) for finding in audited(cloud, deep=deep).violations]


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """Scene `lobby`, whose first generation failed, the second succeeded and the third did again; `attic` failed."""
    cloud = Cloud(tmp_path)
    for number, job in enumerate((bad_video, echo_job, echo_job), start=1):
        cloud.upload("lobby/view1.mp4", b"view one %d" % number)
        cloud.upload("lobby/cam2/view2.mov", b"view two %d" % number)
        cloud.queue("lobby")
        cloud.worker(job).drain()
    cloud.upload("attic/a.mp4", b"a")
    cloud.queue("attic")
    cloud.worker(bad_video).drain()
    cloud.clock.advance(PAST_EVERYTHING_S)
    return cloud


def test_what_is_well_gives_no_finding_at_all(cloud: Cloud) -> None:
    report = audited(cloud, deep=True)
    assert report.findings == ()
    assert (report.scenes, report.blobs["processed"], report.blobs["error"]) == (2, 4, 3 + 2 + 2)


def test_an_empty_account_is_clean(tmp_path: Path) -> None:
    assert audited(Cloud(tmp_path)).findings == ()


@pytest.mark.parametrize("job", [echo_job, bad_video], ids=["success", "dead letter"])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("waits_s", [0.0, 61.0], ids=["lease held", "lease over"])
def test_a_runner_killed_at_any_call_leaves_no_violation(
    cloud: Cloud, job: Callable[..., Any], after: bool, waits_s: float, tmp_path: Path
) -> None:
    def begun() -> Cloud:
        cloud = Cloud(tmp_path)
        for data in (b"older", b"newer"):
            cloud.upload("lobby/view1.mp4", data)
            cloud.upload("lobby/view2.mp4", data)
            cloud.queue("lobby")
            if data == b"older":
                cloud.worker().drain()
        return cloud

    cloud = begun()
    unbroken = cloud.plan()
    cloud.worker(job, unbroken).drain()
    for at, call in enumerate(unbroken.calls, start=1):
        cloud = begun()
        with contextlib.suppress(Killed):
            cloud.worker(job, cloud.plan(killed_at(at, after=after))).drain()
        cloud.clock.advance(waits_s)
        assert violations(cloud, deep=True) == [], f"killed {'after' if after else 'before'} {call}"
        cloud.settle(job)
        assert audited(cloud).violations == ()


# ---- planted violations: each is reported, and nothing else ----------------------------------------------------------


def drop(kind: str, name: str) -> Callable[[Cloud], None]:
    return lambda cloud: cloud.stores[kind].delete(name)


def put(kind: str, name: str, data: bytes = b"?", **metadata: str) -> Callable[[Cloud], None]:
    return lambda cloud: void(cloud.stores[kind].write(name, data, metadata=metadata))


def void(_: object) -> None:
    """A plant returns nothing."""


def torn_copy(cloud: Cloud) -> None:
    store = cloud.stores["processed"]
    store.write("lobby/view1.mp4", b"half", metadata=store.head("lobby/view1.mp4").metadata)


def second_copy(cloud: Cloud) -> None:
    store = cloud.stores["processed"]
    data, metadata = store.read("lobby/view1.mp4")[0], store.head("lobby/view1.mp4").metadata
    store.write("lobby/generation~2/view1.mp4", data, metadata=metadata)


def stale_output(cloud: Cloud) -> None:
    """A file that generation 2 wrote and the newest did not lies where people look."""
    store = cloud.stores["state"]
    note = json.loads(store.read("generations/lobby/2.json")[0])
    note["outputs"].append({"name": "viewer.html", "size_bytes": 1, "sha256": hashlib.sha256(b"x").hexdigest()})
    store.write("generations/lobby/2.json", json.dumps(note).encode())
    for name in (f"lobby/runs/{note['run']}/viewer.html", "lobby/viewer.html"):
        cloud.stores["output"].write(name, b"x", metadata={"source_etag": "of run 1"})


def left_in_input(cloud: Cloud) -> None:
    upload = cloud.uploads[-1]
    cloud.stores["input"].write(upload.name, upload.data)
    cloud.stores["input"].blobs[upload.name].etag = upload.etag


def change_record(**changes: Any) -> Callable[[Cloud], None]:
    def plant(cloud: Cloud) -> None:
        record = replace(cloud.record("lobby"), **changes)
        body = json.dumps(record.to_json()).encode()
        cloud.stores["state"].write("scenes/lobby.json", body, metadata={"phase": str(record.phase)})

    return plant


def used_twice(cloud: Cloud) -> None:
    second, third = (cloud.json("state", f"generations/lobby/{number}.json") for number in (2, 3))
    third["manifest"].append(second["manifest"][0])
    third["archived"] |= {second["manifest"][0]["name"]: "superseded"}
    cloud.stores["state"].write("generations/lobby/3.json", json.dumps(third).encode())
    ending = cloud.record("lobby").ending
    assert ending is not None
    change_record(ending=replace(ending, archived=third["archived"]))(cloud)


def changed_output(cloud: Cloud) -> None:
    run = cloud.record("lobby").run
    store, name = cloud.stores["output"], f"lobby/runs/{run}/lobby.ply"
    store.blobs[name].data = store.blobs[name].data.replace(b"ply", b"PLY")


def lost_output(cloud: Cloud) -> None:
    cloud.stores["output"].delete(f"lobby/runs/{cloud.record('lobby').run}/lobby.splat")


def mixed_publication(cloud: Cloud) -> None:
    """The file of an older run where the newest result is shown."""
    older = cloud.json("state", "generations/lobby/2.json")["run"]
    output = cloud.stores["output"]
    output.copy_from(output, f"lobby/runs/{older}/lobby.ply", "lobby/lobby.ply", source_etag=None, if_absent=False)


def forgotten_upload(cloud: Cloud) -> None:
    cloud.upload("hall/a.mp4", b"a")
    cloud.clock.advance(DAY_S)


def refused_upload(cloud: Cloud) -> None:
    cloud.stores["input"].write("x.mp4", b"1")
    cloud.stores["input"].blobs["lobby/../x.mp4"] = cloud.stores["input"].blobs.pop("x.mp4")
    cloud.clock.advance(DAY_S)


def work_nobody_points_at(cloud: Cloud) -> None:
    change_record(phase=Phase.RUNNING)(cloud)
    cloud.clock.advance(DAY_S)


def lease_of_nobody(cloud: Cloud) -> None:
    cloud.clock.advance(DAY_S)
    cloud.stores["state"].lease("scenes/lobby.json", 60)


def ledger_of_nothing(cloud: Cloud) -> None:
    cloud.stores["state"].write(layout.usage_name("2026-01-01", "x"), b"{}")


def duplicate_record(cloud: Cloud) -> None:
    data, _ = cloud.stores["state"].read("scenes/lobby.json")
    cloud.stores["state"].write("scenes/copy.json", data)


def redrive_nobody_finished(cloud: Cloud) -> None:
    change_record(held="generation 1 is being brought back")(cloud)
    cloud.clock.advance(DAY_S)


def first_look_of_an_ended_run(cloud: Cloud) -> None:
    cloud.stores["state"].write("previews/lobby/x/preview.json", b"{}")
    cloud.clock.advance(3 * DAY_S)


RUN = "<run>"  # stands for the run of the newest generation
PLANTS: list[tuple[str, Callable[[Cloud], None], list[tuple[str, str]]]] = [
    ("archived input gone", drop("processed", "lobby/view1.mp4"), [("I1", "processed/lobby/view1.mp4")]),
    ("dead letter gone", drop("error", "attic/a.mp4"), [("I1", "error/attic/a.mp4")]),
    ("archived input torn", torn_copy, [("I1", "processed/lobby/view1.mp4")]),
    ("record unreadable", put("state", "scenes/lobby.json", b"{"), [("I1", "state/scenes/lobby.json")]),
    ("record gone", drop("state", "scenes/attic.json"),
     [("I4", "error/attic/a.mp4"), ("I4", "error/attic/error.json"), ("I4", "error/attic/run.log"),
      ("I1", "state/generations/attic/1.json")]),
    ("history gone", drop("state", "generations/attic/1.json"),
     [("I2", "state/generations/attic/1.json"), ("I4", "error/attic/a.mp4")]),
    ("version in two runs", used_twice, [("I2", "input/lobby/cam2/view2.mov")]),
    ("record restored from an older day", change_record(generation=3, ending=None),
     [("I2", "state/scenes/lobby.json")] * 2),
    ("record copied", duplicate_record, [("I2", "state/scenes/copy.json")]),
    ("input without a run", put("processed", "lobby/extra.mp4"), [("I3", "processed/lobby/extra.mp4")]),
    ("committed file gone", lost_output, [("I3", f"output/lobby/runs/{RUN}/lobby.splat")]),
    ("committed bytes changed", changed_output, [("I3", f"output/lobby/runs/{RUN}/lobby.ply")]),
    ("result not published whole", drop("output", "lobby/lobby.ply"), [("I3", "output/lobby/lobby.ply")]),
    ("no reason", drop("error", "attic/error.json"), [("I4", "error/attic/error.json")]),
    ("a reason that tells nothing", put("error", "attic/error.json", b"{}"), [("I4", "error/attic/error.json")]),
    ("dead letter of no scene", put("error", "attic/other.mp4"), [("I4", "error/attic/other.mp4")]),
    ("tried too often", change_record(attempts=4), [("I5", "state/scenes/lobby.json")]),
    ("archive overwritten", put("processed", "lobby/view1.mp4", b"x", source_etag="Y"),
     [("I6", "processed/lobby/view1.mp4")]),
    ("files of two runs published", mixed_publication, [("I6", "output/lobby/lobby.ply")]),
    ("an older run's file published", stale_output, [("I6", "output/lobby/viewer.html")]),
    ("published by nobody", put("output", "hall/manifest.json"), [("I6", "output/hall/manifest.json")]),
    ("two copies", second_copy, [("I7", "processed/lobby/generation~2/view1.mp4")]),
    ("archived and still in input", left_in_input, [("I7", "input/attic/a.mp4")]),
    ("upload nobody looks at", forgotten_upload, [("I7", "input/hall/a.mp4")]),
    ("refused name nobody told of", refused_upload, [("I7", "input")]),
    ("lease of a dead runner", lease_of_nobody, [("I7", "state/scenes/lobby.json")]),
    ("checkpoint of no scene", put("state", "work/hall/latest.json"), [("I7", "state/work/hall/latest.json")]),
    ("first look of a run that ended", first_look_of_an_ended_run, [("I7", "state/previews/lobby/x/preview.json")]),
    ("unknown state", put("state", "notes.txt"), [("I7", "state/notes.txt")]),
    ("ledger entry that tells nothing", ledger_of_nothing, [("I7", "state/spend/2026-01-01/x.json")]),
    ("redrive nobody finished", redrive_nobody_finished, [("I7", "state/scenes/lobby.json")]),
    ("work without a message", work_nobody_points_at, [("I8", "state/scenes/lobby.json")]),
]  # fmt: skip


@pytest.mark.parametrize(("plant", "expected"), [row[1:] for row in PLANTS], ids=[row[0] for row in PLANTS])
def test_a_planted_violation_is_reported_and_nothing_else(
    cloud: Cloud, plant: Callable[[Cloud], None], expected: list[tuple[str, str]]
) -> None:
    run = cloud.record("lobby").run
    plant(cloud)
    assert sorted(violations(cloud, deep=True)) == sorted((id_, where.replace(RUN, run)) for id_, where in expected)


def test_what_estimates_learn_from_is_the_programs_own(cloud: Cloud) -> None:
    cloud.stores["state"].write(layout.ESTIMATES_RECORD, b"[]")
    assert audited(cloud).findings == ()


def test_every_invariant_of_the_audit_has_a_plant() -> None:
    assert {expected[0][0] for _, _, expected in PLANTS} >= {f"I{number}" for number in range(1, 9)}


# ---- notes -----------------------------------------------------------------------------------------------------------


def notes(cloud: Cloud) -> list[str]:
    return [f"{finding.where}: {finding.what}" for finding in audited(cloud).notes]


def test_work_in_progress_is_a_note(cloud: Cloud) -> None:
    cloud.upload("lobby/view3.mp4", b"three")
    cloud.queue("lobby")
    assert notes(cloud) == [
        "input/lobby/view3.mp4: 1 uploads of scene lobby wait",
        "queue jobs: 1 messages, 1 of them visible",
    ]

    def looks(job: Job, supervision: Supervision) -> dict[str, object]:
        report = audited(cloud)
        assert report.violations == ()
        assert report.notes
        return echo_job(job, supervision)

    cloud.worker(looks).drain()
    assert audited(cloud).violations == ()


def test_poses_that_wait_for_their_pictures_are_a_note_for_however_long(cloud: Cloud) -> None:
    cloud.worker().drain()
    cloud.upload("lobby/transforms.json", b"{}")
    cloud.clock.advance(30 * 86400)
    assert audited(cloud).violations == ()
    assert notes(cloud) == ["input/lobby/transforms.json: 1 files of scene lobby wait for its videos or photos"]


def test_a_scene_that_an_upload_keeps_open_for_hours_is_a_note(cloud: Cloud) -> None:
    cloud.upload("attic/small.mp4", b"video")
    for number in range(20):
        cloud.clock.advance(600)
        seen = Growth(number, cloud.clock(), cloud.clock(), blocks=True)
        sending.save(cloud.stores["state"], Memory("attic"), Memory("attic", {"attic/large.mp4": seen}))
    assert violations(cloud) == []
    cloud.clock.advance(7200)
    assert violations(cloud) == [("I7", "input/attic/small.mp4")], "it grows no more, and nothing points at the scene"


def test_what_a_run_left_that_was_not_committed_is_a_note(cloud: Cloud) -> None:
    cloud.stores["output"].write("lobby/runs/killed/lobby.ply", b"half")
    assert "nobody refers to it" in notes(cloud)[0]


def test_an_upload_that_its_user_deleted_during_the_run_is_a_note_not_a_loss(cloud: Cloud) -> None:
    cloud.upload("hall/a.mp4", b"a")
    cloud.queue("hall")
    with pytest.raises(Killed):
        cloud.worker(plan=cloud.plan(Rule(Fault.KILLED_BEFORE, "copy", "processed/"))).drain()
    cloud.remove("hall/a.mp4")
    cloud.clock.advance(61)
    report = audited(cloud)
    assert report.violations == ()
    assert "input/hall/a.mp4" in [finding.where for finding in report.notes]


def test_a_poisoned_message_is_a_note(cloud: Cloud) -> None:
    cloud.queues["poison"].send("{}")
    assert notes(cloud) == ["queue jobs-poison: 1 messages that nobody could act on"]


def test_a_finding_says_what_to_do() -> None:
    finding = Finding("I1", True, "processed/lobby/a.mp4", "it is gone", "restore it")
    assert finding.line() == "VIOLATION I1 processed/lobby/a.mp4: it is gone: restore it"


def test_a_record_with_a_long_manifest_is_understood(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    for number in range(600):
        cloud.upload(f"lobby/{'long name ' * 5}{number:04d}.txt", b"x")
    cloud.upload("lobby/a.mp4", b"a")
    cloud.queue("lobby")
    cloud.worker().drain()
    assert records.parts_in(cloud.stores["state"].head("scenes/lobby.json").metadata)
    cloud.clock.advance(PAST_EVERYTHING_S)
    assert violations(cloud) == []
