"""Users who upload while a runner works on the scene: no version is lost, none is used twice."""

from __future__ import annotations

from runner.job.request import Job
from runner.job.supervise import Supervision
from scenejobs.state.record import Phase
from tests.doubles.faults import Meanwhile
from tests.invariants import assert_at_rest
from tests.runner_world import Cloud, echo_job


def test_an_upload_during_the_run_stays_for_the_next_job(cloud: Cloud) -> None:
    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        if cloud.jobs_run == 1:
            cloud.upload("lobby/late.mp4", b"late")
        return echo_job(job, supervision)

    cloud.worker(job).drain()
    assert cloud.names("input") == ["lobby/late.mp4"]
    assert cloud.queues["debounce"].total() == 1, "nobody would look at the late upload"
    cloud.settle(job)
    assert_at_rest(cloud)
    assert cloud.record("lobby").generation == 3


def test_a_new_upload_of_a_name_before_its_download_restarts_without_costing_an_attempt(cloud: Cloud) -> None:
    upload = Meanwhile(lambda: cloud.upload("lobby/view1.mp4", b"first again"), "download")
    cloud.worker(plan=cloud.plan(meanwhile=[upload])).drain()
    assert cloud.jobs_run == 0
    record = cloud.record("lobby")
    assert (record.phase, record.attempts) == (Phase.IDLE, 0)
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_a_new_upload_of_a_name_during_the_run_is_the_next_job(cloud: Cloud) -> None:
    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        if cloud.jobs_run == 1:
            cloud.upload("lobby/view1.mp4", b"first again")
        return echo_job(job, supervision)

    cloud.worker(job).drain()
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert ending.archived["lobby/view1.mp4"] == "superseded"
    cloud.settle(job)
    assert_at_rest(cloud)
    assert cloud.stores["processed"].read("lobby/view1.mp4")[0] == b"first again"


def test_a_new_upload_between_copy_and_delete_survives(cloud: Cloud) -> None:
    processed = cloud.stores["processed"]
    upload = Meanwhile(
        lambda: cloud.upload("lobby/view1.mp4", b"newer"), "await copy", "processed/lobby/view1.mp4", after=True
    )
    cloud.worker(plan=cloud.plan(meanwhile=[upload])).drain()
    assert cloud.stores["input"].read("lobby/view1.mp4")[0] == b"newer"
    cloud.settle()
    assert_at_rest(cloud)
    assert processed.read("lobby/view1.mp4")[0] == b"first", "an archived version was overwritten"
    assert processed.read("lobby/generation~2/view1.mp4")[0] == b"newer"
