"""Many uploads of many scenes at once, with events in any order and more than once: each scene is run exactly once."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from function_app.dispatcher import Dispatcher
from function_app.starter import Starter
from function_app.wiring import assemble
from local.cloud import LocalCloud
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import Containers, QueueMessage, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records
from scenejobs.state.incoming import batches
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.record import Outcome
from tests.azurite import available

SCENES = [f"scene_{number}" for number in range(12)]  # scene_1 is the beginning of scene_10
VIDEOS = 8
UPLOADS = [f"{scene}/view {number}.mp4" for scene in SCENES for number in range(VIDEOS)]
QUIET_S = 15  # longer than all uploads take on a busy machine of two cores

pytestmark = [pytest.mark.azurite, pytest.mark.slow]


def shuffled_with_copies(seed: int) -> list[str]:
    """Every upload's event one to three times, in any order."""
    chance = random.Random(seed)
    events = [name for name in UPLOADS for _ in range(chance.randint(1, 3))]
    chance.shuffle(events)
    return events


def upload_all(containers: Containers, seed: int) -> None:
    names = random.Random(seed).sample(UPLOADS, len(UPLOADS))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: containers.input.write(name, f"video {name}".encode()), names))


def test_several_dispatchers_at_once_send_one_message_per_scene(containers: Containers, queues: Queues) -> None:
    """Three instances with four threads each, over the emulator; nothing is shared but storage."""
    settings = DispatchSettings(quiet_s=QUIET_S, max_parallel_jobs=3)
    compute = MemoryCompute()
    apps = [assemble(containers, queues, compute, settings) for _ in range(3)]
    upload_all(containers, seed=1)
    newest = max(blob.modified for blob in containers.input.list())
    events = shuffled_with_copies(seed=2)
    checks = [DebounceCheck(name.split("/")[0], name, datetime.now(UTC)) for name in events]
    while (containers.input.now() - newest).total_seconds() < QUIET_S:  # the service's clock cannot be moved
        time.sleep(0.5)

    def look(item: tuple[int, DebounceCheck]) -> None:
        apps[item[0] % 3].dispatcher.on_quiet(item[1])

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(look, enumerate(checks)))

    sent = Counter(JobMessage.from_json(message.text).scene for message in drained(queues))
    assert sent == Counter(SCENES)
    assert len(compute.live()) == settings.max_parallel_jobs
    for scene in SCENES:
        (stored,) = batches.of_scene(containers.state, scene)
        assert (stored.batch.sends, len(stored.batch.blobs)) == (1, VIDEOS)


def drained(queues: Queues) -> Iterator[QueueMessage]:
    while (message := queues.jobs.receive(600)) is not None:
        yield message


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    available()
    env = {
        "QUIET_SECONDS": str(QUIET_S),
        "MAX_PARALLEL_JOBS": "2",
        "LOCAL_SWEEP_SECONDS": "10",
        "BACKEND": "mock",
        "MIN_DISK_SPACE_GB": "0",
        "QUEUE_IDLE_POLLS": "2",
        "QUEUE_IDLE_WAIT_SECS": "1",
        "TEMP_PATH": str(tmp_path),
    }
    with LocalCloud(tmp_path / "cloud", env) as running:
        yield running


def test_each_scene_of_many_uploads_is_run_once(cloud: LocalCloud) -> None:
    """The whole system as processes; besides the host's own events each upload is told of again, up to three times."""
    upload_all(cloud.containers, seed=3)
    events = shuffled_with_copies(seed=4)
    settings = DispatchSettings(quiet_s=QUIET_S)
    starter = Starter(cloud.containers.state, cloud.queues.jobs, MemoryCompute(), 0)
    again = Dispatcher(cloud.containers, cloud.queues, settings, starter)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: again.on_upload(name, datetime.now(UTC)), events))

    deadline = time.monotonic() + 600
    while any(True for _ in cloud.containers.input.list()) or cloud.queues.jobs.total():
        cloud.check()
        assert time.monotonic() < deadline, "the storm did not settle"
        time.sleep(1)

    for scene in SCENES:
        stored = records.load(cloud.containers.state, scene)
        assert stored is not None
        ending = stored.record.ending
        assert ending is not None
        assert (ending.generation, ending.outcome, len(ending.archived)) == (1, Outcome.SUCCEEDED, VIDEOS)
        runs = {blob.name.split("/")[2] for blob in cloud.containers.output.list(f"{scene}/runs/")}
        assert runs == {ending.run}
        assert batches.of_scene(cloud.containers.state, scene) == [], "it went with the generation"
    assert sorted(blob.name for blob in cloud.containers.processed.list()) == sorted(UPLOADS)
    assert list(cloud.containers.error.list()) == []
