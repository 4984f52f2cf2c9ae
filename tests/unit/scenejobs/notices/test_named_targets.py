"""`notify` of a scene.yaml: how its scene ended is told to the targets that it names and the operator allows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from function_app.wiring import App, assemble
from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.adapters.notices.targets import open_targets
from scenejobs.adapters.notices.webhook import Webhook, secret_of
from scenejobs.errors import ConfigurationError, InfrastructureError
from scenejobs.logs.redact import redact
from scenejobs.ports import NoticeTarget
from scenejobs.settings.notices import NamedTarget, NoticeSettings, instead_of, named_targets
from scenejobs.state.notices import outbox
from tests.growth import GrowingScene
from tests.runner_world import bad_video, echo_job

OWN, SHARED = "whsec_" + "a" * 32, "whsec_" + "b" * 32
ENDED = {"SceneCompleted", "SceneFailed"}


class Receiver:
    """A target, as it is asked. away: it answers nothing."""

    def __init__(self) -> None:
        self.events: list[Any] = []
        self.away = False

    def send(self, id: str, event: str, /) -> None:
        if self.away:
            raise InfrastructureError("it does not answer")
        self.events.append(json.loads(event))

    @property
    def types(self) -> list[str]:
        return [event["type"].removeprefix("video-splat.") for event in self.events]


class Telling(GrowingScene):
    """With somebody who is told everything, and two teams. The dispatcher knows `team` and `ops`."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        super().__init__(folder, notify_targets="team=https://a.example/x,ops,away", **settings)
        self.all, self.team, self.ops = Receiver(), Receiver(), Receiver()

    @property
    def app(self) -> App:
        targets: dict[str, NoticeTarget] = {"webhook": self.all, "@team": self.team, "@ops": self.ops}
        return assemble(
            self.containers, self.queues, self.compute, self.dispatch_settings, self.cloud.clock.advance,
            targets=targets,
        )  # fmt: skip


@pytest.fixture
def scene(tmp_path: Path) -> Telling:
    return Telling(tmp_path)


def test_who_is_named_is_told_how_the_scene_ended_and_nobody_else_but_who_is_told_everything(scene: Telling) -> None:
    scene.upload("lobby/scene.yaml", b"notify: [team]")
    scene.upload("lobby/a.mp4", b"a")
    scene.upload("roof/a.mp4", b"b")
    scene.settle()
    scene.sweep_for_an_hour()
    assert sorted(scene.all.types) == sorted(2 * ["SceneQueued", "SceneStarted", "SceneCompleted"])
    assert [(event["subject"], each) for event, each in zip(scene.team.events, scene.team.types, strict=True)] == [
        ("lobby", "SceneCompleted")
    ]
    assert scene.team.events[0] in scene.all.events, "the same event, byte for byte"
    assert scene.ops.events == []


def test_a_failure_is_told_to_them_too_and_who_is_named_changes_with_the_file(scene: Telling) -> None:
    scene.upload("lobby/scene.yaml", b"notify: [team]")
    scene.upload("lobby/a.mp4", b"a")
    scene.settle(bad_video)
    scene.upload("lobby/scene.yaml", b"notify: [ops]")
    scene.upload("lobby/b.mp4", b"b")
    scene.settle()
    scene.sweep_for_an_hour()
    assert (scene.team.types, scene.ops.types) == (["SceneFailed"], ["SceneCompleted"])
    assert scene.violations() == []


def test_settings_that_are_wrong_are_told_to_those_whom_the_last_ones_named(scene: Telling) -> None:
    scene.upload("lobby/scene.yaml", b"notify: [team]")
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    scene.upload("lobby/scene.yaml", b"notify: [ops]\nnonsense: 1")
    scene.settle()
    scene.sweep_for_an_hour()
    assert (scene.team.types, scene.ops.types) == (["SceneCompleted", "SceneFailed"], [])
    assert scene.team.events[1]["data"]["reason"]["code"] == "BAD_SETTINGS"


def test_one_that_does_not_answer_is_told_later_and_keeps_no_other_waiting(scene: Telling) -> None:
    scene.team.away = True
    scene.upload("lobby/scene.yaml", b"notify: [team, ops]")
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    scene.sweep_for_an_hour()
    assert (scene.all.types[-1], scene.team.types, scene.ops.types) == ("SceneCompleted", [], ["SceneCompleted"])
    scene.team.away = False
    scene.sweep_for_an_hour()
    scene.sweep_for_an_hour()
    assert scene.team.types == scene.ops.types
    assert scene.cloud.names("state", "notices/") == []


def test_one_that_this_program_does_not_know_is_logged_and_keeps_nothing_open(
    scene: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    scene.upload("lobby/scene.yaml", b"notify: [away]")
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    scene.sweep_for_an_hour()
    scene.sweep_for_an_hour()
    said = [line for line in caplog.messages if "nobody is called away here" in line]
    assert len(said) == 1
    assert scene.cloud.names("state", "notices/") == []


@pytest.mark.parametrize("before", [True, False], ids=["sent twice", "written by somebody"])
def test_a_run_that_began_by_a_message_of_nobody_is_told_too(scene: Telling, before: bool) -> None:
    """A second message about the scene lay in the queue, or somebody wrote one: no outbox is opened for it."""
    if before:
        scene.upload("lobby/a.mp4", b"a")
        scene.settle()
        scene.sweep_for_an_hour()
        scene.sweep_for_an_hour()
    assert scene.cloud.names("state", "notices/") == []
    told = scene.all.types.count("SceneCompleted")
    scene.cloud.upload("lobby/b.mp4", b"b")
    scene.cloud.queue("lobby")

    def swept(job: Job, supervision: Supervision) -> Any:
        scene.app.sweeper.tell()  # while it runs
        return echo_job(job, supervision)

    scene.cloud.worker(swept).drain()
    assert outbox.load(scene.containers.state, "lobby") is not None
    scene.sweep_for_an_hour()
    scene.sweep_for_an_hour()
    assert scene.all.types.count("SceneCompleted") == told + 1
    assert scene.cloud.names("state", "notices/") == []


def test_a_message_that_came_twice_begins_nothing_untold_between_two_sweeps(scene: Telling) -> None:
    """It lay in the queue, and began the next generation before the quiet time ended; nobody looked while it ran."""
    scene.upload("lobby/a.mp4", b"a")
    scene.settle()
    scene.app.sweeper.sweep()
    scene.cloud.upload("lobby/b.mp4", b"b")
    scene.cloud.queue("lobby")
    scene.cloud.worker().drain()
    scene.sweep_for_an_hour()
    assert scene.all.types.count("SceneCompleted") == 2


def test_entries_are_names_with_addresses_and_keys_of_their_own() -> None:
    text = f" team=https://a.example/x?y=1 {OWN} , ops=https://b.example/ ,"
    assert named_targets(text) == (
        NamedTarget("team", "https://a.example/x?y=1", OWN), NamedTarget("ops", "https://b.example/")
    )  # fmt: skip
    assert named_targets("team,ops") == (NamedTarget("team"), NamedTarget("ops"))
    targets = open_targets(NoticeSettings(targets=text, secret=SHARED))
    assert list(targets) == ["@team", "@ops"]
    team, ops = targets["@team"], targets["@ops"]
    assert isinstance(team, Webhook)
    assert isinstance(ops, Webhook)
    assert (team.secret, ops.secret) == (secret_of(OWN), secret_of(SHARED))
    assert OWN not in redact(f"it is {OWN}")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("team", "team has no address"),
        ("team=http://a.example/", "NOTIFY_TARGETS: team is no https address"),
        ("team=https://a.example/,team=https://b.example/", "team is named twice"),
        ("=https://a.example/", "entry 1 is not name=address"),
        ("a=https://a.example/,b c=https://b.example/", "entry 2 is not name=address"),
        (f"team=https://a.example/ {OWN} more", "entry 1 is not name=address"),
        ("team=https://a.example/ whsec_short", "the key of NOTIFY_TARGETS: team is not whsec_"),
    ],
)
def test_what_is_no_target_stops_the_program_and_tells_no_address(text: str, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words) as found:
        open_targets(NoticeSettings(targets=text))
    assert "example" not in str(found.value.cause)
    assert OWN not in str(found.value)


def test_a_name_that_is_not_known_is_guessed() -> None:
    assert instead_of("tem", ("team", "ops")) == "did you mean team?"
    assert instead_of("lawyers", ("team", "ops")) == "ask the operator to add it"
    assert instead_of("team", ()) == "nobody is named there"
