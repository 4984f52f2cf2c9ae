"""A look at the folders asks about what has something to do; what has finished costs it nothing, and is counted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from function_app.wiring import assemble
from scenejobs.adapters.folder import Places
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.adapters.open import open_folders
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.state import generations, layout
from scenejobs.state.record import SceneRecord
from tests.counting import Counts
from watch.loop import Watch
from watch.status import WatchStatus

SETTINGS = DispatchSettings(quiet_s=60, max_wait_s=float("inf"), max_parallel_jobs=1)


@pytest.fixture
def looked(status: WatchStatus) -> tuple[Watch, Counts, Places]:
    storage, counts = open_folders(status.places), Counts()
    containers = counts.containers(storage.containers)
    app = assemble(containers, storage.queues, MemoryCompute(), SETTINGS, at_once=1)
    watch = Watch(containers, storage.queues, app, MemoryCompute(), status, WatchSettings(), 1, status.places)  # type: ignore[arg-type]
    return watch, counts, status.places


def finish(containers: object, scene: str, now: object) -> None:
    state = containers.state  # type: ignore[attr-defined]
    record = SceneRecord(scene).attempted("run-1", (), now).committed(())  # type: ignore[arg-type]
    generations.note(state, record, {})
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


def test_a_scene_that_ended_since_the_last_look_is_counted(
    looked: tuple[Watch, Counts, Places], status: WatchStatus
) -> None:
    watch, _, places = looked
    clip = Path(places.input, "lobby", "a.mp4")
    clip.parent.mkdir()
    clip.write_bytes(b"video")
    watch.poll()
    storage = open_folders(replace(places))
    finish(storage.containers, "lobby", storage.containers.state.now())
    clip.unlink()
    watch.poll()
    watch.poll()
    assert status.succeeded == 1
