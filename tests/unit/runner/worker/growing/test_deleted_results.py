"""`scenejobs delete`: the result is gone, nothing is lost, nothing makes it again unasked, wherever it was cut off."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from function_app.wiring import assemble
from scenejobs.adapters.memory import MemoryBlobStore, MemoryCompute
from scenejobs.errors import InputError
from scenejobs.ports import Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import wishes
from scenejobs.state.layout import cache_folder
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.removal.deletion import delete
from tests.commands import typed
from tests.growth import GrowingScene


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """Of two generations, with something in its cache."""
    scene = GrowingScene(tmp_path)
    for name in ("a", "b"):
        scene.upload(f"lobby/{name}.mp4", name.encode())
        scene.settle()
    scene.containers.state.write(f"{cache_folder('lobby')}entry", b"found")
    return scene


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """Carries on until so many calls that change something were made; the next one never happens."""

    def __init__(self, left: int) -> None:
        self.left = left

    def store(self, store: MemoryBlobStore) -> MemoryBlobStore:
        mortal = self

        class Dying(MemoryBlobStore):
            def write(self, *arguments: Any, **options: Any) -> str:
                mortal.step()
                return super().write(*arguments, **options)

            def delete(self, *arguments: Any, **options: Any) -> None:
                mortal.step()
                super().delete(*arguments, **options)

        dying = Dying(store.name)
        dying.__dict__ = store.__dict__  # the same blobs
        return dying

    def step(self) -> None:
        if not self.left:
            raise Killed
        self.left -= 1

    def containers(self, whole: Containers) -> Containers:
        return replace(whole, **{each.name: self.store(getattr(whole, each.name)) for each in fields(whole)})


def nothing_starts(scene: GrowingScene) -> None:
    runs = scene.cloud.jobs_run
    app = assemble(scene.containers, scene.queues, MemoryCompute(), DispatchSettings(quiet_s=0))
    for _ in range(3):
        scene.cloud.clock.advance(2 * 86400)
        report = app.sweeper.sweep()
        assert (report.sealed, report.requeued, report.resent) == (0, 0, 0)
    assert scene.cloud.jobs_run == runs


def test_the_result_goes_and_the_record_says_so(scene: GrowingScene, capsys: pytest.CaptureFixture[str]) -> None:
    files = len(scene.cloud.names("output"))
    assert typed(["delete", "lobby"], scene.containers) == 2, "nobody can be asked"
    assert typed(["delete", "lobby", "--yes"], scene.containers) == 0
    assert f"{files + 1} files removed" in capsys.readouterr().out
    assert scene.cloud.names("output") == []
    assert len(scene.cloud.names("processed")) == 2
    assert list(scene.containers.state.list(cache_folder("lobby"))) == []
    status = scene_status(scene.containers, "lobby")
    assert status.state is State.DONE
    assert status.note.startswith("deleted: its result was removed on")
    assert scene.violations() == []
    nothing_starts(scene)
    assert typed(["download", "lobby"], scene.containers) == 1
    assert "(scenejobs delete)" in capsys.readouterr().err


def test_killed_before_any_change_it_goes_on_and_the_audit_is_clean(tmp_path: Path) -> None:
    for steps in range(60):
        scene = GrowingScene(tmp_path / str(steps))
        scene.upload("lobby/a.mp4", b"a")
        scene.settle()
        scene.containers.state.write(f"{cache_folder('lobby')}entry", b"found")
        try:
            delete(Mortal(steps).containers(scene.containers), "lobby", 1)
        except Killed:
            scene.cloud.clock.advance(120)  # its lease is over
            assert scene.violations() == [], f"killed after {steps} changes"
            nothing_starts(scene)
            delete(scene.containers, "lobby", 1)
            assert scene.cloud.names("output") == []
            assert scene.violations() == []
            continue
        assert steps > 5, "it was killed at each of its steps"
        return
    raise AssertionError("it never came to its end")


def test_retry_and_a_new_clip_make_it_again(scene: GrowingScene) -> None:
    delete(scene.containers, "lobby", 1)
    wishes.again(scene.containers, scene.queues, "lobby")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    delete(scene.containers, "lobby", 1)
    scene.upload("lobby/c.mp4", b"c")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert scene.violations() == []


def test_what_is_worked_on_or_unknown_is_not_deleted(scene: GrowingScene) -> None:
    with pytest.raises(InputError, match="there is no scene attic"):
        delete(scene.containers, "attic", 1)
    lease = scene.containers.state.lease("scenes/lobby.json", 30)
    with pytest.raises(InputError, match="is being worked on"):
        delete(scene.containers, "lobby", 1)
    lease.release()
    assert scene.published() == ["a.mp4", "b.mp4"]
