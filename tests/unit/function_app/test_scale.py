"""A scene of ten thousand uploads is snapshot, recorded and moved like one of two.

Counted in calls and bytes, not in time. How long it takes on the emulator is in benchmarks/results/scale.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.layout import record_name
from scenejobs.state.record import Phase
from tests.runner_world import PAST_EVERYTHING_S, Cloud, Faults, Killed

UPLOADS = 10_000
MIB = 1 << 20


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    for number in range(UPLOADS - 1):
        cloud.upload(f"lobby/notes of the second floor/{number:05d}.txt", b"%d" % number)
    cloud.upload("lobby/view1.mp4", b"video")
    cloud.queue("lobby")
    return cloud


def violations(cloud: Cloud) -> list[str]:
    evidence = collect(Containers(**cloud.stores), Queues(**cloud.queues), DispatchSettings(), 3, cloud.clock())
    return [finding.line() for finding in audit(evidence).violations]


def test_ten_thousand_uploads_are_moved_once_although_the_runner_is_killed_again_and_again(cloud: Cloud) -> None:
    """Each runner goes on where the last one died; the record stays small all the while."""
    assert len(cloud.queues["jobs"].messages[0].text.encode()) <= 1024
    for number in range(1, 10):
        moved = number * UPLOADS // 10
        faults = _AtMove(moved)
        with pytest.raises(Killed):
            cloud.worker(faults=faults).drain()
        assert len(cloud.names("input")) in (UPLOADS - moved, UPLOADS - moved + 1)
        assert cloud.record("lobby").phase is Phase.COMMITTED
        assert cloud.stores["state"].head(record_name("lobby")).size_bytes < MIB // 16
        if number == 5:
            cloud.clock.advance(61)
            assert violations(cloud) == []
        cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.settle()
    assert cloud.jobs_run == 1
    assert cloud.stores["state"].head(record_name("lobby")).size_bytes < MIB // 16
    archived = sorted(blob.data for blob in cloud.stores["processed"].blobs.values())
    assert archived == sorted(upload.data for upload in cloud.uploads)
    assert (cloud.names("input"), cloud.queues["jobs"].total()) == ([], 0)
    assert violations(cloud) == []


def test_a_snapshot_is_one_listing_and_a_move_asks_for_nothing_it_knows(cloud: Cloud) -> None:
    faults = Faults()
    cloud.worker(faults=faults).drain()
    counts = {
        verb: sum(f".{verb} " in call for call in faults.calls) for verb in ("list", "head", "copy_from", "delete")
    }
    assert counts["copy_from"] == UPLOADS + 2  # and the published files; their manifest is written
    assert counts["delete"] == UPLOADS
    assert counts["list"] <= 7  # among them the saved work, twice
    assert counts["head"] < 50


class _AtMove(Faults):
    """Kills the runner when so many inputs have left the input container, counted over all runners."""

    def __init__(self, moved: int) -> None:
        super().__init__()
        self._moved = moved

    def call(self, what: str, method, args, kwargs):  # type: ignore[no-untyped-def]
        if what.startswith("input.delete "):
            store = method.__self__
            if len(store.blobs) == UPLOADS - self._moved:
                raise Killed
        return super().call(what, method, args, kwargs)
