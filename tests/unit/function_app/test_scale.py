"""A scene of ten thousand uploads is snapshot, recorded and moved like one of two.

Counted in calls and bytes, not in time. How long it takes on the emulator is in benchmarks/results/scale.md.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

from runner.worker.ending.archive import AT_ONCE
from scenejobs.adapters.memory import MemoryBlobStore
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.layout import record_name
from scenejobs.state.record import Phase
from tests.doubles.faults import Fault, Killed, Rule
from tests.runner_world import PAST_EVERYTHING_S, Cloud

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
        with pytest.raises(Killed):
            cloud.worker(plan=cloud.plan(_AtMove(cloud.stores["input"], moved))).drain()
        assert UPLOADS - moved - AT_ONCE <= len(cloud.names("input")) <= UPLOADS - moved + 1
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
    plan = cloud.plan()
    cloud.worker(plan=plan).drain()
    counts = Counter(call.split()[0] for call in plan.calls)
    assert counts["copy"] == UPLOADS + 2  # and the published files; their manifest is written
    assert counts["delete"] == UPLOADS + 2  # and the scene's marker and progress
    # among them the saved work and the uploads that are done with, twice, what an older run published, and the batches
    assert counts["list"] <= 17
    assert counts["head"] < 50


class _AtMove(Rule):
    """Kills the runner when so many inputs have left the input container, counted over all runners."""

    def __init__(self, uploads: MemoryBlobStore, moved: int) -> None:
        super().__init__(Fault.KILLED_BEFORE, "delete", "input/")
        self._uploads, self._moved = uploads, moved

    def takes(self, verb: str, name: str, now: datetime) -> bool:
        return self.matches(verb, name) and len(self._uploads.blobs) <= UPLOADS - self._moved
