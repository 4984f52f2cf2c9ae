"""A look at the folders asks about what has something to do; what has finished costs it nothing, and is counted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from function_app.wiring import assemble
from scenejobs.adapters.folder import Places
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.adapters.open import open_folders
from scenejobs.errors import Failure
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.state import generations, layout
from scenejobs.state.messages import JobMessage
from scenejobs.state.record import SceneRecord
from tests.counting import Counts
from watch.http_server import health
from watch.loop import Watch
from watch.problems import Kind
from watch.status import WatchStatus

SETTINGS = DispatchSettings(quiet_s=60, max_wait_s=float("inf"), max_parallel_jobs=1)


@pytest.fixture
def looked(status: WatchStatus) -> tuple[Watch, Counts, Places]:
    assert status.places is not None
    storage, counts = open_folders(status.places), Counts()
    containers = counts.containers(storage.containers)
    app = assemble(containers, storage.queues, MemoryCompute(), SETTINGS, at_once=1)
    compute = MemoryCompute()
    compute.trouble = ""  # type: ignore[attr-defined]  # as LocalCompute has it
    compute.knows = {"watch-ours"}.__contains__  # type: ignore[attr-defined]
    watch = Watch(containers, storage.queues, app, compute, status, WatchSettings(), 1, status.places)  # type: ignore[arg-type]
    return watch, counts, status.places


def finish(containers: object, scene: str, now: object, doubt: Failure | None = None, execution: str = "") -> None:
    state = containers.state  # type: ignore[attr-defined]
    record = SceneRecord(scene).attempted("run-1", (), now).committed((), doubt=doubt)  # type: ignore[arg-type]
    generations.note(state, record, {}, execution)
    state.write(layout.record_name(scene), b"{}", metadata={"phase": "idle"})


def test_a_look_lists_nothing_that_has_finished(looked: tuple[Watch, Counts, Places], status: WatchStatus) -> None:
    watch, counts, places = looked
    storage = open_folders(places)
    for number in range(30):
        finish(storage.containers, f"scene{number}", storage.containers.state.now())
    watch.poll()  # the first look of a day, which looks at every record
    watch.poll()
    counts.clear()
    watch.poll()
    assert status.last_error == ""
    assert counts.listed == 0
    assert status.succeeded == 0, "they ended before this program began"


@pytest.mark.parametrize("doubt", [None, Failure("clean_up", "POSES_SUSPECT", "14 dB", "film again")])
def test_a_scene_that_ended_since_the_last_look_is_counted(
    looked: tuple[Watch, Counts, Places],
    status: WatchStatus,
    doubt: Failure | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A suspect one as a success, and by itself; the line about it and the health page say so."""
    caplog.set_level("INFO")
    watch, _, places = looked
    clip = Path(places.input, "lobby", "a.mp4")
    clip.parent.mkdir()
    clip.write_bytes(b"video")
    watch.poll()
    storage = open_folders(replace(places))
    finish(storage.containers, "lobby", storage.containers.state.now(), doubt)
    clip.unlink()
    watch.poll()
    watch.poll()
    assert (status.succeeded, status.suspect) == (1, int(doubt is not None))
    assert json.loads(health(status, 5.0).body)["jobs_suspect"] == status.suspect
    assert "scene lobby: succeeded" + (", suspect" if doubt else "") in caplog.messages


def test_of_several_instances_each_counts_what_it_ended(
    looked: tuple[Watch, Counts, Places], status: WatchStatus
) -> None:
    """On the same folders both see every scene."""
    watch, _, places = looked
    clips = [Path(places.input, name, "a.mp4") for name in ("theirs", "ours")]
    for clip in clips:
        clip.parent.mkdir()
        clip.write_bytes(b"video")
    watch.poll()
    storage = open_folders(places)
    for clip in clips:
        name = clip.parent.name
        finish(storage.containers, name, storage.containers.state.now(), execution=f"watch-{name}")
        clip.unlink()
    watch.poll()
    watch.poll()
    assert status.succeeded == 1
    assert status.last is not None
    assert status.last.scene == "ours"


def test_the_end_of_a_worker_is_a_problem_for_as_long_as_work_waits(
    looked: tuple[Watch, Counts, Places], status: WatchStatus
) -> None:
    watch, _, places = looked
    watch._compute.trouble = "worker watch-1 ended with exit code -9"
    queues = open_folders(places).queues
    queues.jobs.send(JobMessage("lobby", "", datetime.now(UTC)).to_json())
    watch.poll()
    assert [each.kind for each in status.problems(10.0)] == [Kind.WORKER]
    message = queues.jobs.receive(60)
    assert message is not None
    queues.jobs.complete(message)
    watch.poll()
    assert status.problems(10.0) == ()
