"""A file in the watched folder is as young as the last change that was seen, whatever its times say."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from function_app import debounce
from function_app.debounce import Nothing, Settled, Why
from scenejobs.adapters.memory import ManualClock
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.state.messages import DebounceCheck
from watch.cli import dispatcher_settings, stable_s
from watch.stable_folder import ABANDONED, StableFolder

SETTINGS = dispatcher_settings(DispatchSettings(), WatchSettings(stable_s=60))


class Watched:
    """A folder whose clock is days ahead of its files' times, as mounts can be that bring them late."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = ManualClock(datetime.now(UTC) + timedelta(days=3))
        self.store = StableFolder(folder, "input", clock=self.clock)

    def put(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            file.write(data)

    def decide(self) -> debounce.Decision:
        blobs = list(self.store.list())
        now = self.clock()
        return debounce.decide(DebounceCheck("lobby", "", now), blobs, now, SETTINGS)

    def is_complete(self) -> bool:
        return isinstance(self.decide(), Settled)


@pytest.fixture
def watched(tmp_path: Path) -> Watched:
    return Watched(tmp_path)


def test_a_file_counts_from_when_it_was_seen_first(watched: Watched) -> None:
    watched.put("lobby/a.mp4", b"1")
    assert not watched.is_complete()
    watched.clock.advance(59)
    assert not watched.is_complete()
    watched.clock.advance(2)
    assert watched.is_complete()


def test_each_change_begins_the_wait_anew(watched: Watched) -> None:
    """For hours if need be: there is no longest wait where a file may be half there."""
    watched.put("lobby/whole.mp4", b"1")
    for _ in range(200):
        watched.put("lobby/slow.mp4", b"more")
        assert not watched.is_complete()
        watched.clock.advance(50)
    watched.clock.advance(30)
    assert watched.is_complete()


def test_a_file_that_came_and_went_is_forgotten(watched: Watched) -> None:
    """The same name later is seen for the first time."""
    watched.put("lobby/a.mp4", b"1")
    watched.is_complete()
    (watched.folder / "lobby/a.mp4").rename(watched.folder.parent / "aside")
    assert isinstance(watched.decide(), Nothing)
    (watched.folder.parent / "aside").rename(watched.folder / "lobby/a.mp4")
    watched.clock.advance(100)
    assert not watched.is_complete()


def test_an_end_marker_ends_the_wait_once_everything_was_seen_twice(watched: Watched) -> None:
    """Copied in one go, a marker may overtake a file that still grows; times of the same second do not tell."""
    watched.put("lobby/_READY", b"")
    watched.put("lobby/a.mp4", b"1")
    assert not watched.is_complete()
    watched.clock.advance(10)
    watched.put("lobby/a.mp4", b"grows")
    assert not watched.is_complete()
    watched.clock.advance(10)
    watched.put("lobby/.complete", b"")
    assert watched.decide() == Settled(Why.READY)


@pytest.mark.parametrize("name", ["a.mp4.part", "a.mp4.crdownload", "a.MP4.filepart"])
def test_what_a_tool_has_not_finished_holds_its_scene(watched: Watched, name: str) -> None:
    """Not for ever: after an hour without a change it is a file like any other."""
    watched.put("lobby/b.mp4", b"1")
    watched.put(f"lobby/{name}", b"half")
    watched.is_complete()
    watched.clock.advance(ABANDONED.total_seconds() - 1)
    assert not watched.is_complete()
    watched.clock.advance(2)
    assert watched.is_complete()


def test_an_old_time_of_a_new_file_changes_nothing(watched: Watched) -> None:
    watched.put("lobby/a.mp4", b"1")
    os.utime(watched.folder / "lobby/a.mp4", (1, 1))
    assert not watched.is_complete()


@pytest.mark.parametrize(
    ("watch", "expected"),
    [
        (WatchSettings(), 45.0),
        (WatchSettings(stable_s_old=30), 30.0),
        (WatchSettings(stable_s=20, stable_s_old=30), 20.0),
    ],
)
def test_the_names_of_the_wait_and_which_goes_first(watch: WatchSettings, expected: float) -> None:
    assert stable_s(DispatchSettings(quiet_s=45), watch) == expected
