"""OUTPUT_RETENTION_DAYS: a result that was removed for its age is not lost, and nothing makes it again unasked."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from function_app.wiring import assemble
from scenejobs.adapters.memory import MemoryBlobStore, MemoryCompute
from scenejobs.commands.download import download
from scenejobs.errors import AccessDenied, InputError
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.reader import read
from scenejobs.state import records, wishes
from scenejobs.state.overview.status import State, scene_status
from scenejobs.state.removal.expiry import expire
from tests.commands import typed
from tests.growth import GrowingScene
from watch.retention import prune

DAYS = 30.0


@pytest.fixture
def scene(tmp_path: Path) -> GrowingScene:
    """A scene of two generations, whose results are older than the limit."""
    scene = GrowingScene(tmp_path)
    for name in ("a", "b"):
        scene.upload(f"lobby/{name}.mp4", name.encode())
        scene.settle()
    scene.cloud.clock.advance((DAYS + 1) * 86400)
    return scene


def expired(scene: GrowingScene, days: float = DAYS) -> tuple[int, int]:
    return expire(scene.containers, 1, scene.containers.state.now() - timedelta(days=days))


def test_old_results_go_with_all_runs_and_the_record_says_so(scene: GrowingScene) -> None:
    files = len(scene.cloud.names("output"))
    assert expired(scene) == (1, files)
    assert scene.cloud.names("output") == []
    record = scene.cloud.record("lobby")
    assert record.expired is not None
    assert record.published is not None
    assert (record.expired.generation, record.expired.run) == (2, record.published.run)
    status = scene_status(scene.containers, "lobby")
    assert status.state is State.DONE
    assert status.note.startswith("expired: its result was removed on")
    with pytest.raises(InputError, match="was removed on"):
        download(scene.containers, "lobby", Path("nowhere"))
    assert scene.violations() == [], "the audit knows that it is not lost"
    assert expired(scene) == (0, 0)


def test_no_sweep_makes_it_again_nor_the_same_clip(scene: GrowingScene) -> None:
    expired(scene)
    runs = scene.cloud.jobs_run
    app = assemble(scene.containers, scene.queues, MemoryCompute(), DispatchSettings(quiet_s=0, output_days=DAYS))
    for _ in range(3):
        scene.cloud.clock.advance(2 * 86400)
        report = app.sweeper.sweep()
        assert (report.sealed, report.requeued, report.resent) == (0, 0, 0)
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    assert scene.cloud.jobs_run == runs, "it is part of what was made, and was not asked for again"
    assert scene.cloud.names("input") == []
    assert scene.violations() == []


def test_a_late_clip_extends_it_and_retry_makes_it_again(scene: GrowingScene) -> None:
    expired(scene)
    wishes.again(scene.containers, scene.queues, "lobby")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert not scene.cloud.record("lobby").is_expired
    assert scene.violations() == []
    scene.cloud.clock.advance((DAYS + 1) * 86400)
    expired(scene)
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert scene.violations() == []


def test_a_late_clip_is_made_of_what_is_left_where_the_archive_is_gone_too(scene: GrowingScene) -> None:
    """Without that it would be held for files of a result that nobody has any more."""
    expired(scene)
    removed = prune(scene.containers, 1, scene.containers.state.now() - timedelta(days=DAYS))
    assert removed == 2
    assert scene.cloud.record("lobby").expired, "what was removed is told for as long as anybody may ask"
    scene.upload("lobby/c.mp4", b"late")
    scene.settle()
    assert scene.published() == ["c.mp4"]


def test_what_is_young_in_work_or_waited_for_stays(scene: GrowingScene) -> None:
    """The age is that of the newest file of the scene."""
    assert expired(scene, days=DAYS + 2) == (0, 0)
    scene.upload("lobby/c.mp4", b"waits")
    assert expired(scene) == (0, 0)
    scene.settle()
    assert expired(scene) == (0, 0), "its newest result is young"
    scene.cloud.clock.advance((DAYS + 1) * 86400)
    wishes.again(scene.containers, scene.queues, "lobby")
    assert expired(scene) == (0, 0)


def test_killed_after_the_record_the_next_time_removes_the_rest(scene: GrowingScene) -> None:
    assert expire(scene.containers, 1, scene.containers.state.now(), lambda: False) == (0, 0)
    state = scene.containers.state
    expired_record = scene.cloud.record("lobby").expiring(state.now())
    lease = state.lease("scenes/lobby.json", 30)
    stored = records.load(state, "lobby")
    assert stored is not None
    records.save(state, stored, expired_record, lease)
    lease.release()
    assert scene.violations() == []
    assert expired(scene)[0] == 1
    assert scene.cloud.names("output") == []


def test_the_sweep_removes_them_daily_where_it_is_asked_to(scene: GrowingScene) -> None:
    for days, left in ((0.0, True), (DAYS, False)):
        app = assemble(scene.containers, scene.queues, MemoryCompute(), DispatchSettings(quiet_s=0, output_days=days))
        for _ in range(2):  # the first sweep of all finds nothing old
            scene.cloud.clock.advance(2 * 86400)
            app.sweeper.sweep()
        assert bool(scene.cloud.names("output")) is left


def test_a_result_that_was_made_since_the_listing_stays(scene: GrowingScene) -> None:
    """Between the listing and a scene's turn lie the scenes before it: time enough for a run."""

    def meanwhile() -> bool:
        scene.upload("lobby/c.mp4", b"late")
        scene.settle()
        return True

    before = scene.containers.state.now() - timedelta(days=DAYS)
    assert expire(scene.containers, 1, before, meanwhile) == (0, 0)
    assert scene.published() == ["a.mp4", "b.mp4", "c.mp4"]
    assert not scene.cloud.record("lobby").is_expired
    assert scene_status(scene.containers, "lobby").note == ""


def test_tidy_shows_and_removes_them_where_it_is_told_the_age(
    scene: GrowingScene, capsys: pytest.CaptureFixture[str]
) -> None:
    """For whoever has the right that the function app has not."""
    told = "1 scenes: their results are older than OUTPUT_RETENTION_DAYS=30"
    aged = {"OUTPUT_RETENTION_DAYS": "30"}
    steps: list[tuple[dict[str, str], list[str], bool, bool]] = [
        ({}, ["--apply"], False, True), (aged, [], True, True), (aged, ["--apply"], True, False),
    ]  # fmt: skip
    for env, words, shown, left in steps:
        assert typed(["tidy", *words], scene.containers, scene.queues, read(DispatchSettings, env)) == 0
        assert (told in capsys.readouterr().out) is shown
        assert bool(scene.cloud.names("output")) is left
    assert scene.cloud.record("lobby").is_expired
    assert scene.violations() == []


class _Kept(MemoryBlobStore):
    """Gives an identity that may read and write no right to remove."""

    def delete(self, name: str, *, if_match: str | None = None) -> None:
        raise AccessDenied(f"{name} may not be removed", advice="assign the role")


def test_a_result_that_nobody_may_remove_is_not_told_as_removed(
    scene: GrowingScene, caplog: pytest.LogCaptureFixture
) -> None:
    """The function app's identity reads and writes `output` and removes nothing there."""
    output = scene.containers.output
    kept = _Kept("output", scene.cloud.clock)
    kept.__dict__.update(vars(output))
    containers = replace(scene.containers, output=kept)
    app = assemble(containers, scene.queues, MemoryCompute(), DispatchSettings(quiet_s=0, output_days=DAYS))
    for _ in range(2):
        scene.cloud.clock.advance(2 * 86400)
        app.sweeper.sweep()
    assert "OUTPUT_RETENTION_DAYS is set, and results cannot be removed" in caplog.text
    assert scene.cloud.record("lobby").expired is None
    assert scene.published() == ["a.mp4", "b.mp4"]
    assert scene_status(scene.containers, "lobby").note == ""
