"""What is old goes, and nothing else: never an upload, a result, or anything of a scene with work left."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records
from tests.runner_world import KINDS, Cloud, bad_video
from watch.retention import prune

DAY_S = 86_400.0


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """`done` has a result, `bad` is a dead letter, both 31 days old; `fresh` is a dead letter of today."""
    cloud = Cloud(tmp_path)
    cloud.upload("done/a.mp4", b"1")
    cloud.queue("done")
    cloud.settle()
    cloud.upload("bad/a.mp4", b"2")
    cloud.queue("bad")
    cloud.settle(bad_video)
    cloud.clock.advance(31 * DAY_S)
    cloud.upload("fresh/a.mp4", b"3")
    cloud.queue("fresh")
    cloud.settle(bad_video)
    return cloud


def pruned(cloud: Cloud) -> dict[str, set[str]]:
    """What went, by container."""
    before = {kind: set(cloud.names(kind)) for kind in KINDS}
    count = prune(Containers(**cloud.stores), 1, cloud.clock() - timedelta(days=30))
    gone = {kind: before[kind] - set(cloud.names(kind)) for kind in KINDS}
    assert count == sum(map(len, gone.values()))
    return {kind: names for kind, names in gone.items() if names}


def violations(cloud: Cloud, retention_days: float) -> list[str]:
    queues = Queues(**cloud.queues)
    found = collect(Containers(**cloud.stores), queues, DispatchSettings(), 3, cloud.clock(), retention_days)
    return [finding.where for finding in audit(found).violations]


def test_archives_and_reasons_go_and_the_state_of_what_left_nothing(cloud: Cloud) -> None:
    gone = pruned(cloud)
    assert gone.pop("processed") == {"done/a.mp4"}
    assert gone.pop("error") == {"bad/a.mp4", "bad/error.json", "bad/run.log"}
    assert {"scenes/bad.json", "generations/bad/1.json"} <= gone["state"]
    assert all("bad" in name for name in gone.pop("state"))
    assert gone == {}
    assert pruned(cloud) == {}, "a second time there is nothing left to do"


def test_uploads_that_wait_are_never_touched_however_old(cloud: Cloud) -> None:
    cloud.upload("bad/b.mp4", b"waits")
    cloud.upload("never/a.mp4", b"waits too")
    cloud.clock.advance(400 * DAY_S)
    gone = pruned(cloud)
    assert set(cloud.names("input")) == {"bad/b.mp4", "never/a.mp4"}
    assert "scenes/bad.json" not in gone["state"], "its record will be gone on with"
    assert "done/manifest.json" in cloud.names("output")


@pytest.mark.parametrize("how", ["leased", "held", "working"])
def test_a_scene_that_somebody_works_on_keeps_everything(cloud: Cloud, how: str) -> None:
    state = cloud.stores["state"]
    lease = state.lease("scenes/bad.json", 60)
    if how != "leased":
        stored = records.load(state, "bad")
        assert stored is not None
        record = stored.record.holding("taken back")
        if how == "working":
            record = stored.record.attempted("r1", (), cloud.clock())
        records.save(state, stored, record, lease)
        lease.release()
        cloud.clock.advance(31 * DAY_S)
    gone = pruned(cloud)
    assert not [name for names in gone.values() for name in names if "bad" in name]


def test_the_audit_knows_that_old_inputs_were_removed_in_order(cloud: Cloud) -> None:
    """And still misses those that went before their time."""
    pruned(cloud)
    assert violations(cloud, 30) == []
    assert violations(cloud, 0) == ["processed/done/a.mp4"]
    cloud.stores["error"].delete("fresh/a.mp4")
    assert violations(cloud, 30) == ["error/fresh/a.mp4"]
