"""A clip that is sent in blocks for longer than the quiet time, on the emulator: one job, of all clips."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import pytest

from function_app.wiring import App, assemble
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.incoming import batches
from scenejobs.state.messages import DebounceCheck
from scenejobs.state.overview.status import State, scene_status
from tests.blocks import commit, stage

pytestmark = pytest.mark.azurite
SETTINGS = DispatchSettings(quiet_s=1, max_wait_s=3, upload_stalled_s=6)
BLOCK = b"0" * 100_000


@pytest.fixture
def app(containers: Containers, queues: Queues) -> App:
    app = assemble(containers, queues, MemoryCompute(), SETTINGS)
    containers.input.write("lobby/small.mp4", b"video")
    app.dispatcher.on_upload("lobby/small.mp4", datetime.now(UTC))
    return app


def deliver(app: App, seconds: float) -> None:
    """As the host does, for so long; with a sweep at the end."""
    queue = app.dispatcher.queues.debounce
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        while (message := queue.receive(30)) is not None:
            app.dispatcher.on_quiet(DebounceCheck.from_json(message.text))
            queue.complete(message)
        time.sleep(0.2)
    app.sweeper.sweep()


def sealed(containers: Containers) -> list[list[str]]:
    return [[blob.name for blob in item.batch.blobs] for item in batches.of_scene(containers.state, "lobby")]


def test_the_scene_is_open_while_blocks_come_and_sealed_with_the_clip_they_make(
    app: App, containers: Containers
) -> None:
    for number in range(6):  # the quiet time and the longest wait pass
        stage(containers.input, "lobby/large.mp4", number, BLOCK)
        deliver(app, 1)
        assert sealed(containers) == []
    status = scene_status(containers, "lobby", settings=SETTINGS)
    assert status.state is State.UPLOADING
    assert "lobby/large.mp4: 0.6 MB" in status.line()
    commit(containers.input, "lobby/large.mp4", range(6))
    app.dispatcher.on_upload("lobby/large.mp4", datetime.now(UTC))
    while not sealed(containers):
        deliver(app, 1)
    assert sealed(containers) == [["lobby/large.mp4", "lobby/small.mp4"]]


def test_blocks_that_come_no_more_are_not_waited_for(app: App, containers: Containers) -> None:
    stage(containers.input, "lobby/large.mp4", 1, BLOCK)
    while not sealed(containers):
        deliver(app, 1)
    assert sealed(containers) == [["lobby/small.mp4"]]
    assert "lobby/large.mp4 stalled" in scene_status(containers, "lobby", settings=SETTINGS).line()


def test_an_end_marker_leaves_them_to_the_next_generation(app: App, containers: Containers) -> None:
    stage(containers.input, "lobby/large.mp4", 1, BLOCK)
    containers.input.write("lobby/_READY", b"")
    app.dispatcher.on_upload("lobby/_READY", datetime.now(UTC))
    deliver(app, 1)
    assert sealed(containers) == [["lobby/_READY", "lobby/small.mp4"]]
