"""`tidy` shows what nobody can need, removes it when told to, and touches nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.commands.tidy import remove, told
from scenejobs.errors import Busy
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records
from scenejobs.state.blobs import InputBlob
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.batches import Batch
from scenejobs.state.messages import JobMessage
from scenejobs.state.overview import tidy
from scenejobs.state.overview.tidy import Tidy
from tests.doubles.faults import Fault, Killed, Rule
from tests.runner_world import PAST_EVERYTHING_S, Cloud, bad_video

DAY_S = 86_400.0


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    return Cloud(tmp_path / "work")


def found(cloud: Cloud, gone_days: float = 90.0) -> Tidy:
    return tidy.find(Containers(**cloud.stores), 1, 30.0, gone_days, cloud.clock())


def names(cloud: Cloud) -> set[str]:
    return {f"{kind}/{name}" for kind, store in cloud.stores.items() for name in store.blobs}


def run(cloud: Cloud, scene: str = "lobby") -> None:
    cloud.upload(f"{scene}/view1.mp4", scene.encode())
    cloud.queue(scene)
    cloud.settle()


def violations(cloud: Cloud) -> list[str]:
    evidence = collect(Containers(**cloud.stores), Queues(**cloud.queues), DispatchSettings(), 3, cloud.clock())
    return [finding.line() for finding in audit(evidence).violations]


def test_a_finished_scene_leaves_nothing_to_tidy(cloud: Cloud) -> None:
    run(cloud)
    cloud.clock.advance(60 * DAY_S)
    assert [item.line() for item in found(cloud).all if not item.info.name.startswith("spend/")] == []


def test_what_a_killed_attempt_uploaded_goes_with_the_next_attempt(cloud: Cloud) -> None:
    cloud.upload("lobby/view1.mp4", b"video")
    cloud.queue("lobby")
    with pytest.raises(Killed):
        cloud.worker(plan=cloud.plan(Rule(Fault.KILLED_BEFORE, "upload", "run.log"))).drain()
    assert len({name.split("/")[2] for name in cloud.stores["output"].blobs if "/runs/" in name}) == 1
    cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.settle()
    runs = {name.split("/")[2] for name in cloud.stores["output"].blobs if "/runs/" in name}
    assert runs == {cloud.record("lobby").ending.run}, "only the committed one"


def test_a_scene_that_failed_leaves_no_folder_of_a_run(cloud: Cloud) -> None:
    cloud.upload("lobby/view1.mp4", b"video")
    cloud.queue("lobby")
    cloud.worker(plan=cloud.plan(Rule(Fault.BUSY, "upload", "run.log", times=100))).drain()
    for _ in range(5):
        cloud.clock.advance(PAST_EVERYTHING_S)
        cloud.worker(plan=cloud.plan(Rule(Fault.BUSY, "upload", "run.log", times=100))).drain()
    assert cloud.record("lobby").ending is not None
    assert [name for name in cloud.stores["output"].blobs if "/runs/" in name] == []


def test_a_scene_that_is_never_empty_keeps_no_batch_of_a_generation_that_ended(cloud: Cloud) -> None:
    state = cloud.stores["state"]
    for number in range(5):
        info = cloud.upload("lobby/view1.mp4", b"video %d" % number)
        batch = Batch("lobby", (InputBlob("lobby/view1.mp4", info.etag, 7),), cloud.clock(), "quiet")
        stored = batches.create(state, batch)
        assert stored is not None
        batches.stamp(state, stored, cloud.clock())
        cloud.queue("lobby")
        cloud.clock.advance(5)
        cloud.settle()
        cloud.upload("lobby/_READY", b"")
        assert [name for name in state.blobs if name.startswith("batches/")] == []
        assert [name for name in state.blobs if name.startswith(("active/", "progress/"))] == []


def test_a_message_for_a_scene_that_never_was_leaves_no_record(cloud: Cloud) -> None:
    for number in range(10):
        cloud.queues["jobs"].send(JobMessage(f"ghost{number}", "", cloud.clock()).to_json())
    cloud.worker().drain()
    assert cloud.queues["jobs"].total() == 0
    assert [name for name in cloud.stores["state"].blobs if name.startswith("scenes/")] == []


def test_it_shows_first_and_removes_when_told(cloud: Cloud) -> None:
    run(cloud)
    store = cloud.stores["output"]
    store.write("lobby/runs/20250101T000000Z-dead/lobby.ply", b"half")
    cloud.stores["state"].write("progress/lobby.json", b"{}")
    records.ensure(cloud.stores["state"], "ghost")
    before = names(cloud)
    cloud.clock.advance(2 * DAY_S)
    shown = found(cloud)
    assert told(shown.all) == [
        "1 blobs, 0.0 MB: a record in which nothing ever happened",
        "1 blobs, 0.0 MB: of an attempt that was not committed",
        "1 blobs, 0.0 MB: the progress of a scene that has ended",
    ]
    assert names(cloud) == before
    assert remove(shown) == 3
    assert before - names(cloud) == {
        "output/lobby/runs/20250101T000000Z-dead/lobby.ply", "state/progress/lobby.json", "state/scenes/ghost.json",
    }  # fmt: skip
    assert violations(cloud) == []


def test_what_is_young_or_in_work_is_no_leftover(cloud: Cloud) -> None:
    """Somebody may be uploading it at this moment, or about to commit it."""
    run(cloud)
    cloud.stores["output"].write("lobby/runs/20250101T000000Z-now/lobby.ply", b"half")
    assert found(cloud).all == ()
    cloud.clock.advance(2 * DAY_S)
    cloud.upload("lobby/view2.mp4", b"another")
    assert [item.info.name for item in found(cloud).all if "/runs/" in item.info.name] == []


def test_what_is_known_of_a_scene_goes_when_it_left_no_file_anywhere(cloud: Cloud) -> None:
    """The notes first, the record last: killed in between, the next time finds the rest."""
    run(cloud, "attic")
    run(cloud, "lobby")
    for kind in ("output", "processed"):
        for name in [name for name in cloud.stores[kind].blobs if name.startswith("attic/")]:
            del cloud.stores[kind].blobs[name]
    cloud.clock.advance(89 * DAY_S)
    assert [item for item in found(cloud).records] == []
    cloud.clock.advance(2 * DAY_S)
    assert [item for item in found(cloud, gone_days=0).records] == []
    shown = found(cloud)
    assert [item.info.name for item in shown.records] == ["scenes/attic.json"]
    assert "generations/attic/1.json" in [item.info.name for item in shown.first]
    remove(shown)
    assert [name for name in cloud.stores["state"].blobs if "attic" in name] == []
    assert violations(cloud) == []


def test_records_stay_as_long_as_something_else_could_not_be_removed(cloud: Cloud) -> None:
    run(cloud, "attic")
    for kind in ("output", "processed"):
        cloud.stores[kind].blobs.clear()
    cloud.clock.advance(91 * DAY_S)
    plan = cloud.plan(Rule(Fault.BUSY, "delete", "generations/", times=5))
    containers = Containers(**{**cloud.stores, "state": plan.store(cloud.stores["state"])})
    with pytest.raises(Busy):
        remove(tidy.find(containers, 1, 30.0, 90.0, cloud.clock()))
    assert "scenes/attic.json" in cloud.stores["state"].blobs


def test_a_gone_scene_whose_notes_cannot_be_read_keeps_its_runs(cloud: Cloud) -> None:
    run(cloud)
    cloud.stores["output"].write("lobby/runs/20250101T000000Z-dead/lobby.ply", b"half")
    cloud.stores["state"].write("generations/lobby/1.json", b"{")
    cloud.clock.advance(2 * DAY_S)
    assert [item.info.name for item in found(cloud).all if "/runs/" in item.info.name] == []


def test_dead_letters_are_kept_with_their_reason(cloud: Cloud) -> None:
    cloud.upload("lobby/view1.mp4", b"video")
    cloud.queue("lobby")
    cloud.settle(bad_video)
    before = {name for name in names(cloud) if name.startswith("error/")}
    assert before == {"error/lobby/view1.mp4", "error/lobby/error.json", "error/lobby/run.log"}
    cloud.clock.advance(400 * DAY_S)
    remove(found(cloud))
    assert {name for name in names(cloud) if name.startswith("error/")} == before
    assert cloud.record("lobby").ending is not None
