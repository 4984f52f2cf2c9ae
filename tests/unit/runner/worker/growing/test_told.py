"""Notices: each scene is told as queued, started and ended, whatever was lost on the way, under ids that stay."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from function_app.wiring import App, assemble
from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.errors import InfrastructureError
from scenejobs.state.layout import NOTICES
from tests.growth import GrowingScene
from tests.runner_world import bad_video, echo_job


class Target:
    """See scenejobs.ports.NoticeTarget."""

    def __init__(self) -> None:
        self.got: list[tuple[str, str]] = []
        self.is_down = False

    def send(self, id: str, event: str, /) -> None:
        if self.is_down:
            raise InfrastructureError("nobody is there")
        self.got.append((id, event))

    @property
    def types(self) -> list[str]:
        return [json.loads(event)["type"].partition(".")[2] for _, event in self.got]


class ToldScene(GrowingScene):
    """Somebody is told."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.hook, self.other = Target(), Target()

    @property
    def app(self) -> App:
        return assemble(
            self.containers, self.queues, self.compute, self.dispatch_settings, self.cloud.clock.advance,
            targets={"hook": self.hook, "other": self.other},
        )  # fmt: skip

    def sweep(self, seconds: float = 60) -> None:
        self.cloud.clock.advance(seconds)
        self.app.sweeper.sweep()


@pytest.fixture
def scene(tmp_path: Path) -> ToldScene:
    return ToldScene(tmp_path)


def test_a_scene_is_told_from_queue_to_result(scene: ToldScene) -> None:
    def seen_at_work(job: Job, supervision: Supervision) -> dict[str, Any]:
        scene.sweep(1)
        assert scene.hook.types == ["SceneQueued", "SceneStarted"]
        return echo_job(job, supervision)

    scene.upload("lobby/a.mp4", b"a")
    scene.settle(seen_at_work)
    scene.sweep()
    assert scene.hook.types == ["SceneQueued", "SceneStarted", "SceneCompleted"]
    last = json.loads(scene.hook.got[-1][1])
    assert (last["subject"], last["data"]["run_id"]) == ("lobby", scene.cloud.record("lobby").run)
    assert scene.other.got == scene.hook.got
    for _ in range(3):
        scene.sweep(3600)
    assert list(scene.containers.state.list(NOTICES)) == []
    assert len(scene.hook.got) == 3
    assert scene.violations() == []


def test_a_failure_is_told_with_its_reason_also_when_nobody_looked_meanwhile(scene: ToldScene) -> None:
    scene.upload("lobby/a.mp4", b"a")
    scene.settle(bad_video)
    scene.sweep()
    assert scene.hook.types == ["SceneQueued", "SceneStarted", "SceneFailed"]
    reason = json.loads(scene.hook.got[-1][1])["data"]["reason"]
    assert (reason["code"], reason["stage"]) == ("NOT_A_VIDEO", "frame_extraction")


def test_a_target_that_is_away_gets_all_of_it_later_and_keeps_no_other_from_it(scene: ToldScene) -> None:
    scene.hook.is_down = True
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    scene.sweep()
    assert scene.other.types == ["SceneQueued", "SceneStarted", "SceneCompleted"]
    scene.hook.is_down = False
    for _ in range(6):
        scene.sweep(3600)
    assert scene.hook.got == scene.other.got
    assert list(scene.containers.state.list(NOTICES)) == []


def test_after_three_days_a_target_is_told_no_more_of_it(scene: ToldScene, caplog: pytest.LogCaptureFixture) -> None:
    scene.hook.is_down = True
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    for _ in range(6):
        scene.sweep(86400)
    assert list(scene.containers.state.list(NOTICES)) == []
    assert "a notice is given up" in caplog.text


def test_a_scene_that_no_execution_can_hold_is_told_as_refused(scene: ToldScene) -> None:
    scene.upload("lobby/a.mp4", b"a")
    app = scene.app
    unfit = replace(app.dispatcher)
    object.__setattr__(unfit, "unfit", lambda scene, blobs: "it needs 200 GB")
    scene.cloud.clock.advance(70)
    unfit.seal("lobby", tuple(scene.containers.input.list()), scene.cloud.clock(), "test")
    scene.app.sweeper.tell()
    assert scene.hook.types == ["SceneRefused"]
    assert json.loads(scene.hook.got[0][1])["data"]["reason"] == {"cause": "it needs 200 GB"}


def test_without_a_target_nothing_is_kept(tmp_path: Path) -> None:
    scene = GrowingScene(tmp_path)
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    assert list(scene.containers.state.list(NOTICES)) == []
