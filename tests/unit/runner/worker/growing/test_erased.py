"""`scenejobs delete --all-generations`: nothing is left but a record that says so, wherever it was cut off."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import InputError, StorageError
from scenejobs.state.layout import cache_folder, record_name
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.removal.erasure import erase
from tests.commands import typed
from tests.growth import GrowingScene
from tests.runner_world import bad_video
from tests.unit.runner.worker.growing.test_deleted_results import Killed, Mortal, nothing_starts


def scene_of(folder: Path) -> GrowingScene:
    """With a result, a dead letter, an upload that waits, and something in its cache. Another scene lies beside it."""
    scene = GrowingScene(folder)
    for number, job in enumerate((None, bad_video)):
        scene.upload(f"lobby/{number}.mp4", str(number).encode())
        scene.settle(job) if job else scene.settle()
    scene.upload("lobby2/a.mp4", b"another")
    scene.settle()
    scene.containers.state.write(f"{cache_folder('lobby')}entry", b"found")
    scene.upload("lobby/late.mp4", b"late")
    return scene


def left(scene: GrowingScene) -> list[str]:
    """Every blob of the scene."""
    every = [
        f"{kind}/{name}"
        for kind in ("input", "output", "processed", "error", "state")
        for name in scene.cloud.names(kind)
    ]
    return [name for name in every if "/lobby/" in name or "lobby.json" in name]


def test_nothing_is_left_and_the_record_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene = scene_of(tmp_path)
    others = [name for kind in ("output", "processed") for name in scene.cloud.names(kind, "lobby2/")]
    assert typed(["delete", "lobby", "--all-generations"], scene.containers) == 2, "nobody can be asked"
    assert "scenejobs delete lobby --all-generations --yes" in capsys.readouterr().err
    assert typed(["delete", "lobby", "--all-generations", "--yes"], scene.containers) == 0
    assert left(scene) == [f"state/{record_name('lobby')}"]
    assert [name for kind in ("output", "processed") for name in scene.cloud.names(kind, "lobby2/")] == others
    status = scene_status(scene.containers, "lobby")
    assert status.state is State.UNKNOWN
    assert "(scenejobs delete --all-generations)" in status.note
    assert scene.violations() == []
    nothing_starts(scene)
    assert typed(["delete", "lobby", "--all-generations", "--yes"], scene.containers) == 0, "said again"
    assert typed(["delete", "nowhere", "--all-generations", "--yes"], scene.containers) == 1


def test_killed_before_any_change_it_goes_on_and_the_audit_is_clean(tmp_path: Path) -> None:
    for steps in range(80):
        scene = scene_of(tmp_path / str(steps))
        scene.cloud.clock.advance(60)
        try:
            erase(Mortal(steps).containers(scene.containers), "lobby", 1)
        except Killed:
            runs = scene.cloud.jobs_run
            if scene.cloud.record("lobby").held:
                scene.settle()
                assert scene.cloud.jobs_run == runs, f"a run began on what was left after {steps} changes"
            scene.cloud.clock.advance(120)
            evidence = collect(scene.containers, scene.queues, scene.dispatch_settings, 3, scene.cloud.clock())
            found = [each for each in audit(evidence).violations if "nobody finished what holds it" not in each.what]
            assert found == [], f"killed after {steps} changes"
            erase(scene.containers, "lobby", 1)
            assert left(scene) == [f"state/{record_name('lobby')}"]
            assert scene.violations() == []
            continue
        assert steps > 12, "it was killed at each of its steps"
        return
    raise AssertionError("it never came to its end")


def test_a_new_upload_makes_a_new_scene(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    erase(scene.containers, "lobby", 1)
    generation = scene.cloud.record("lobby").generation
    scene.upload("lobby/anew.mp4", b"anew")
    scene.settle()
    assert scene.published() == ["anew.mp4"]
    assert scene.cloud.record("lobby").generation == generation + 1
    assert scene.violations() == []
    erase(scene.containers, "lobby", 1)
    assert left(scene) == [f"state/{record_name('lobby')}"]


def test_what_cannot_be_deleted_keeps_the_scene_held_until_it_can(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    guards = scene.cloud.stores["processed"].guards("lobby/0.mp4")
    guards.legal_hold = True
    with pytest.raises(StorageError, match=r"1 blobs of scene lobby cannot be deleted: processed/lobby/0\.mp4"):
        erase(scene.containers, "lobby", 1)
    assert scene_status(scene.containers, "lobby").state is not State.DONE
    scene.upload("lobby/anew.mp4", b"anew")
    runs = scene.cloud.jobs_run
    scene.settle()
    assert scene.cloud.jobs_run == runs
    guards.legal_hold = False
    erase(scene.containers, "lobby", 1)
    assert left(scene) == [f"state/{record_name('lobby')}"]


def test_a_scene_that_is_worked_on_is_refused(tmp_path: Path) -> None:
    scene = scene_of(tmp_path)
    lease = scene.containers.state.lease(record_name("lobby"), 60)
    before = left(scene)
    with pytest.raises(InputError, match="being worked on"):
        erase(scene.containers, "lobby", 1)
    assert left(scene) == before
    lease.release()
