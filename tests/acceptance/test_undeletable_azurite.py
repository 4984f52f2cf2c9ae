"""Uploads that cannot be deleted, and one in the archive tier: on the emulator, with runners as processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from azure.storage.blob import BlobClient, BlobServiceClient

from function_app.wiring import assemble
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.overview.status import State, scene_status
from tests.azurite_scene import Scene, names

pytestmark = pytest.mark.azurite
ROUNDS = 4  # of sweep, start and runner; each was an execution


@pytest.mark.parametrize("what", ["snapshot", "lease", "archive tier"])
def test_it_costs_no_second_execution_and_keeps_nothing_waiting(
    storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Path, what: str
) -> None:
    scene = Scene(storage, containers, queues, tmp_path)
    scene.upload("lobby/a.mp4", b"a")
    scene.upload("lobby/b.mp4", b"b")
    service = BlobServiceClient.from_connection_string(storage.connection_string)
    blob: BlobClient = service.get_blob_client(storage.input, "lobby/a.mp4")
    if what == "snapshot":
        blob.create_snapshot()
    elif what == "lease":
        blob.acquire_lease(-1)
    else:
        blob.set_standard_blob_tier("Archive")
    compute = MemoryCompute()
    app = assemble(containers, queues, compute, DispatchSettings(quiet_s=0, requeue_after_s=1))
    runs = []
    for _ in range(ROUNDS):
        app.sweeper.sweep()
        if compute.live():
            runs.append(scene.run(RETRY_MAX_DELAY_SECS="1"))
            compute.executions = []
    assert [run.returncode for run in runs] == [0]
    assert names(containers.input) == ["lobby/a.mp4"]
    assert queues.jobs.total() == 0
    status = scene_status(containers, "lobby")
    assert status.state is State.DONE
    assert ("rehydrate it" if what == "archive tier" else what) in status.line()
    assert "lobby/manifest.json" in names(containers.output)
    expected = ["lobby/b.mp4"] if what == "archive tier" else ["lobby/a.mp4", "lobby/b.mp4"]
    assert names(containers.processed) == expected
    assert ("guard.blocked" in runs[0].stdout + runs[0].stderr) == (what != "archive tier")
