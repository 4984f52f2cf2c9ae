"""A first look is there while its run goes on, and gone when that ends, however it ends; never among results."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.scene.progress import Report
from scenejobs.errors import InputError, Interrupted, ResourceError
from scenejobs.names import PREVIEW_FILES, PREVIEW_FOLDER
from scenejobs.ports import Containers
from scenejobs.state import previews
from scenejobs.state.layout import PREVIEWS, preview_name
from scenejobs.state.overview.status import State, scene_status
from tests.commands import typed
from tests.doubles.faults import Killed
from tests.runner_world import ByHand, Cloud, echo_job


@pytest.fixture
def cloud(cloud: Cloud) -> Cloud:
    cloud.by_hand = ByHand()
    return cloud


def looking(cloud: Cloud, then: Callable[[], None], seen: list[Any]) -> Callable[[Job, Supervision], dict[str, Any]]:
    """A job that leaves a first look, notes what `seen` of it is stored, and ends as `then` says."""

    def run(job: Job, supervision: Supervision) -> dict[str, Any]:
        assert cloud.by_hand is not None
        folder = job.workspace / PREVIEW_FOLDER
        folder.mkdir(parents=True, exist_ok=True)
        for name in PREVIEW_FILES:
            cloud.by_hand.acts["first look"]()  # not whole yet
            (folder / name).write_text(f"{name} of {job.job_id}")
        before = cloud.names("state", PREVIEWS)
        cloud.by_hand.acts["first look"]()
        cloud.by_hand.acts["first look"]()
        supervision.on_progress(Report("training", 0.2))
        cloud.by_hand.acts["progress"]()
        seen.append((before, cloud.names("state", PREVIEWS), scene_status(Containers(**cloud.stores), "lobby")))
        then()
        return echo_job(job, supervision)

    return run


def ending(error: BaseException | None) -> Callable[[], None]:
    def end() -> None:
        if error is not None:
            raise error

    return end


@pytest.mark.parametrize(
    "error",
    [None, InputError("no video", stage="training"), ResourceError("no space", stage="training"),
     Interrupted("told to stop", stage="training")],
    ids=["done", "failed", "retried", "given back"],
)  # fmt: skip
def test_it_is_there_during_the_run_and_gone_after_it(cloud: Cloud, error: BaseException | None) -> None:
    seen: list[Any] = []
    try:
        cloud.worker(looking(cloud, ending(error), seen)).drain()
    except Interrupted:
        assert isinstance(error, Interrupted)
    ((before, during, status),) = seen
    assert before == []
    assert sorted(name.rpartition("/")[2] for name in during) == sorted(PREVIEW_FILES)
    assert (status.state, status.first_look) == (State.RUNNING, True)
    assert "scenejobs open lobby --preview" in status.line()
    assert cloud.names("state", PREVIEWS) == []
    assert not any("preview" in name for name in cloud.names("output"))


def test_one_of_a_runner_that_was_killed_goes_with_the_next_attempt(cloud: Cloud) -> None:
    seen: list[Any] = []
    with pytest.raises(Killed):
        cloud.worker(looking(cloud, ending(Killed()), seen)).drain()
    cloud.stores["state"].write(preview_name("lobby", "older", "preview.json"), b"{}")
    cloud.clock.advance(3600)
    runs: list[Any] = []
    cloud.worker(looking(cloud, ending(None), runs)).drain()
    (_, during, _) = runs[0]
    assert len({name.split("/")[2] for name in during}) == 1, "at most one"
    assert cloud.names("state", PREVIEWS) == []


def test_a_published_result_stays_what_is_shown(cloud: Cloud) -> None:
    cloud.settle()
    published = cloud.stores["output"].read("lobby/manifest.json")[0]
    cloud.upload("lobby/late.mp4", b"late")
    cloud.queue("lobby")
    during = []

    def look() -> None:
        during.append(cloud.stores["output"].read("lobby/manifest.json")[0])

    cloud.worker(looking(cloud, look, [])).drain()
    assert during == [published]


def test_it_is_opened_by_a_link_as_long_as_it_is_there(
    cloud: Cloud, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    containers, env = Containers(**cloud.stores), {"DATA_PATH": str(tmp_path)}
    codes = []

    def look() -> None:
        codes.append(typed(["open", "lobby", "--preview", "--json"], containers, env=env))

    cloud.worker(looking(cloud, look, [])).drain()
    url = json.loads(capsys.readouterr().out)["url"]
    run = cloud.json("output", "lobby/manifest.json")["job_id"]
    assert url.endswith(preview_name("lobby", run, "viewer.html"))
    codes.append(typed(["open", "lobby", "--preview"], containers, env=env))
    assert codes == [0, 1]
    assert "there is no first look at scene lobby" in capsys.readouterr().err


def test_half_of_one_is_none(cloud: Cloud) -> None:
    state = cloud.stores["state"]
    state.write(preview_name("lobby", "r1", "preview.spz"), b"")
    assert previews.of_run(state, "lobby", "r1") == {}
