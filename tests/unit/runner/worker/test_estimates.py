"""What a scene took is remembered when it is committed, as far as its job told; nothing else hangs on it."""

from __future__ import annotations

from typing import Any

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.worker.estimates import finished
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import estimates
from scenejobs.state.layout import ESTIMATES_RECORD
from tests.doubles.faults import Fault, Rule
from tests.runner_world import Cloud, echo_job

TOLD: dict[str, Any] = {
    "backend": "cpu", "preset": "laptop", "cores": 2.0, "prior_s": {"poses": 100.0}, "took_s": {"poses": 150.0},
    "total_s": {"low": 60.0, "high": 240.0},
}  # fmt: skip
SUMMARY = {"images_total": 50, "estimate": TOLD, "resumed": None, "reused": None}


def telling_job(job: Job, supervision: Supervision) -> dict[str, Any]:
    return echo_job(job, supervision) | SUMMARY


def test_the_next_scene_knows_what_the_last_one_took(cloud: Cloud) -> None:
    seen = []

    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        seen.append(job.finished)
        return telling_job(job, supervision)

    cloud.pipeline = PipelineSettings(backend="cpu")
    cloud.settle(job)
    (one,) = estimates.load(cloud.stores["state"])
    assert (one.took_s, one.low_s, one.high_s, one.whole) == ({"poses": 150.0}, 60.0, 240.0, True)
    cloud.upload("hall/a.mp4", b"other")
    cloud.queue("hall")
    cloud.settle(job)
    assert [[each.run for each in finished] for finished in seen] == [[], [one.run]]


def test_a_run_that_took_work_over_says_so() -> None:
    one = finished("r1", SUMMARY | {"reused": {"surveys of videos": 2}})
    assert one is not None
    assert not one.whole


@pytest.mark.parametrize(
    "estimate",
    [None, {}, 5, TOLD | {"cores": -1}, TOLD | {"took_s": {"poses": "long"}}, TOLD | {"total_s": {}},
     TOLD | {"preset": "x" * 1000}],
)  # fmt: skip
def test_what_a_job_that_was_taken_over_tells_is_not_believed(estimate: Any) -> None:
    assert finished("r1", SUMMARY | {"estimate": estimate}) is None


def test_a_state_that_cannot_remember_it_loses_no_scene(cloud: Cloud) -> None:
    plan = cloud.plan(Rule(Fault.BUSY, "write", ESTIMATES_RECORD, times=100))
    cloud.worker(telling_job, plan).drain()
    assert "lobby/manifest.json" in cloud.names("output")
