"""The runner around the pipeline, on stores in memory: what a user would notice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.worker.loop import MAX_DEQUEUES
from scenejobs.errors import (
    Code,
    ConfigurationError,
    InputError,
    Interrupted,
    LeaseLost,
    ResourceError,
    RunnerError,
)
from scenejobs.settings.groups import PipelineSettings
from scenejobs.state.layout import USAGE, record_name
from scenejobs.state.record import Outcome, Phase
from tests.doubles.faults import Fault, Killed, Meanwhile, Rule
from tests.invariants import assert_at_rest
from tests.runner_world import PAST_EVERYTHING_S, Cloud, echo_job


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    """A cloud with one scene of two videos, queued."""
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/view1.mp4", b"first")
    cloud.upload("lobby/cam2/view2.mov", b"second")
    cloud.queue("lobby")
    return cloud


def broken_disk(job: Job, supervision: Supervision) -> dict[str, object]:
    raise ResourceError("no space left", advice="a larger disk", stage="training")


def bad_video(job: Job, supervision: Supervision) -> dict[str, object]:
    raise InputError("view1.mp4 is no video", advice="upload a video", stage="frame_extraction")


def test_a_scene_is_processed_published_and_archived(cloud: Cloud) -> None:
    assert cloud.worker().drain() == 0
    assert_at_rest(cloud)
    assert cloud.names("processed") == ["lobby/cam2/view2.mov", "lobby/view1.mp4"]
    assert cloud.json("output", "lobby/manifest.json")["videos"] == ["cam2/view2.mov", "view1.mp4"]
    ending = cloud.record("lobby").ending
    assert ending is not None
    assert (ending.generation, ending.outcome) == (1, Outcome.SUCCEEDED)
    assert ending.archived["lobby/view1.mp4"] == "processed/lobby/view1.mp4"


@pytest.mark.parametrize(("job", "end"), [(echo_job, "processed"), (bad_video, "error")])
def test_poses_are_given_to_the_job_and_archived_with_their_batch(cloud: Cloud, job, end: str) -> None:
    """Those in a place where they are read reach the job, of the others it is told; all end where the videos end."""
    poses = ["lobby/notes/transforms.json", "lobby/sparse/0/cameras.bin", "lobby/sparse/0/images.bin"]
    for name in poses:
        cloud.upload(name, b"poses")
    given: list[str] = []
    told: list[str] = []

    def look(one: Job, supervision: Supervision) -> dict[str, object]:
        given.extend(clip.name for clip in one.clips)
        told.extend(one.warnings)
        return job(one, supervision)

    cloud.worker(look).drain()
    (warning,) = told
    assert warning.startswith("no camera poses are read from notes/transforms.json: ")
    assert given == ["cam2/view2.mov", "view1.mp4", "sparse/0/cameras.bin", "sparse/0/images.bin"]
    archived = [name for name in cloud.names(end) if name not in ("lobby/error.json", "lobby/run.log")]
    assert archived == sorted(["lobby/cam2/view2.mov", "lobby/view1.mp4", *poses])
    assert cloud.names("input") == []
    assert_at_rest(cloud)


def test_poses_that_come_too_late_wait_in_the_input_whatever_messages_say(cloud: Cloud) -> None:
    cloud.worker().drain()
    cloud.upload("lobby/transforms.json", b"poses")
    cloud.queue("lobby")
    cloud.worker().drain()
    assert cloud.jobs_run == 1
    assert cloud.names("input") == ["lobby/transforms.json"]
    assert cloud.names("error") == []


def test_the_log_of_a_run_lies_with_its_outputs(cloud: Cloud, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    cloud.worker().drain()
    run = cloud.record("lobby").run
    assert b"attempt 1 of 3" in cloud.stores["output"].read(f"lobby/runs/{run}/run.log")[0]


def test_a_second_message_for_a_finished_scene_does_nothing(cloud: Cloud) -> None:
    cloud.queue("lobby")
    cloud.worker().drain()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_scenes_are_never_mixed(cloud: Cloud) -> None:
    cloud.upload("lobby2/a.mp4", b"other")
    cloud.worker().drain()
    assert cloud.names("input") == ["lobby2/a.mp4"]
    assert cloud.json("output", "lobby/manifest.json")["videos"] == ["cam2/view2.mov", "view1.mp4"]


def test_one_execution_takes_all_waiting_scenes(cloud: Cloud) -> None:
    cloud.upload("hall/a.mp4", b"hall")
    cloud.queue("hall")
    cloud.worker().drain()
    assert cloud.jobs_run == 2
    assert_at_rest(cloud)


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
    assert processed.read("lobby/2/view1.mp4")[0] == b"newer"


def test_a_second_runner_leaves_a_scene_that_is_worked_on(cloud: Cloud) -> None:
    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        if cloud.jobs_run == 1:
            cloud.queue("lobby")
            assert cloud.worker(job).drain() == 0
            assert cloud.jobs_run == 1, "two runners worked on one scene"
            assert cloud.queues["jobs"].total() == 2, "nobody would come back if the first runner died"
        return echo_job(job, supervision)

    cloud.worker(job).drain()
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_a_runner_that_was_started_for_nothing_ends_and_changes_nothing(cloud: Cloud) -> None:
    """Two starters, the dispatcher and KEDA, saw the same message. Only for how long it ran is told."""

    def etags() -> dict[str, str]:
        infos = (info for store in cloud.stores.values() for info in store.list())
        return {info.name: info.etag for info in infos if not info.name.startswith(USAGE)}

    def job(job: Job, supervision: Supervision) -> dict[str, object]:
        before = etags()
        assert cloud.worker(job).drain() == 0
        assert etags() == before
        return echo_job(job, supervision)

    cloud.worker(job).drain()
    assert cloud.jobs_run == 1
    assert cloud.queues["jobs"].total() == 0


def test_a_failure_of_the_world_is_retried_with_growing_waits(cloud: Cloud) -> None:
    worker = cloud.worker(broken_disk, retry_base_s=5.0)
    worker.drain()
    record = cloud.record("lobby")
    assert (record.phase, record.attempts, cloud.jobs_run) == (Phase.IDLE, 1, 1)
    assert record.failures[0].failure.code == Code.DISK_FULL
    cloud.clock.advance(4.9)
    worker.drain()
    assert cloud.jobs_run == 1, "tried again before the wait was over"
    cloud.clock.advance(0.2)
    worker.drain()
    assert cloud.jobs_run == 2
    cloud.clock.advance(9.9)
    worker.drain()
    assert cloud.jobs_run == 2, "the second wait is not longer than the first"
    cloud.settle()
    assert_at_rest(cloud)
    assert cloud.names("error") == []


def test_attempts_are_capped_and_all_reasons_kept(cloud: Cloud) -> None:
    cloud.settle(broken_disk)
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)
    document = cloud.json("error", "lobby/error.json")
    assert {key: document[key] for key in ("stage", "code", "cause", "advice", "scene")} == {
        "stage": "training", "code": "DISK_FULL", "cause": "no space left", "advice": "a larger disk", "scene": "lobby",
    }  # fmt: skip
    assert len(document["attempts"]) == 3
    assert {blob["name"] for blob in document["inputs"]} == {"lobby/view1.mp4", "lobby/cam2/view2.mov"}
    assert b"no space left" in cloud.stores["error"].read("lobby/run.log")[0]


def test_runners_that_vanish_use_up_attempts_too(cloud: Cloud) -> None:
    def killed(job: Job, supervision: Supervision) -> dict[str, object]:
        raise Killed

    for _ in range(3):
        with pytest.raises(Killed):
            cloud.worker(killed).drain()
        cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.settle(killed)
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)
    document = cloud.json("error", "lobby/error.json")
    assert document["code"] == Code.TOO_MANY_ATTEMPTS
    assert "vanished" in document["cause"]
    assert [attempt["code"] for attempt in document["attempts"]] == ["JOB_CRASHED"] * 3 + ["TOO_MANY_ATTEMPTS"]


def test_an_input_that_cannot_work_is_not_retried(cloud: Cloud) -> None:
    assert cloud.worker(bad_video).drain() == 0
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)
    assert cloud.names("error") == [
        "lobby/cam2/view2.mov", "lobby/error.json", "lobby/run.log", "lobby/view1.mp4",
    ]  # fmt: skip


def test_a_bug_is_retried_once(cloud: Cloud) -> None:
    def bug(job: Job, supervision: Supervision) -> dict[str, object]:
        raise RunnerError("KeyError at train.py:7", code=Code.BUG, stage="training")

    cloud.settle(bug, max_attempts=5)
    assert cloud.jobs_run == 2
    assert_at_rest(cloud)


def test_the_reason_is_written_before_the_first_input_moves(cloud: Cloud) -> None:
    seen = []
    look = Meanwhile(lambda: seen.append("lobby/error.json" in cloud.names("error")), "copy", "error/", times=9)
    cloud.worker(bad_video, cloud.plan(meanwhile=[look])).drain()
    assert seen == [True, True]


def test_a_scene_without_a_video_is_a_dead_letter(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("notes/readme.txt", b"text")
    cloud.queue("notes")
    cloud.worker().drain()
    assert_at_rest(cloud)
    assert cloud.json("error", "notes/error.json")["code"] == Code.NO_VIDEO


def test_a_video_beyond_the_limit_of_bytes_is_refused_before_it_is_downloaded(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    cloud.upload("lobby/a.mp4", b"x" * 101)
    cloud.queue("lobby")
    cloud.worker(plan=plan, pipeline=PipelineSettings(backend="mock", max_bytes=100)).drain()
    assert (cloud.json("error", "lobby/error.json")["code"], cloud.jobs_run) == (Code.TOO_LARGE, 0)
    assert not any(call.startswith("download input/") for call in plan.calls)


def test_more_videos_than_a_scene_may_have_are_refused_before_any_is_downloaded(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    for number in range(3):
        cloud.upload(f"lobby/{number}.mp4", b"x")
    cloud.queue("lobby")
    cloud.worker(plan=plan, pipeline=PipelineSettings(backend="mock", max_videos=2)).drain()
    reason = cloud.json("error", "lobby/error.json")
    assert reason["code"] == Code.TOO_LARGE
    assert "3 videos; 2 are allowed" in reason["cause"]
    assert not any(call.startswith("download input/") for call in plan.calls)


def test_photos_are_downloaded_like_videos_and_under_names_of_ours(tmp_path: Path) -> None:
    cloud, seen = Cloud(tmp_path), []
    for name in ("lobby/IMG_1.HEIC", "lobby/a.mp4", "lobby/near/IMG_1.jpg", "lobby/notes.txt"):
        cloud.upload(name, name.encode())
    cloud.queue("lobby")

    def run(job, supervision):  # type: ignore[no-untyped-def]
        seen.extend((clip.name, clip.path.name, clip.path.read_bytes()) for clip in job.clips)
        raise InputError("that is all", stage="frame_extraction")

    cloud.worker(run).drain()
    assert seen == [
        ("IMG_1.HEIC", "0001.heic", b"lobby/IMG_1.HEIC"),
        ("a.mp4", "0002.mp4", b"lobby/a.mp4"),
        ("near/IMG_1.jpg", "0003.jpg", b"lobby/near/IMG_1.jpg"),
    ]


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"max_photos": 2}, "3 photos; 2 are allowed"),
        ({"max_photo_bytes": 10}, "0.jpg has 11 bytes; 10 bytes are allowed"),
    ],
)
def test_photos_have_limits_of_their_own_that_hold_before_any_is_downloaded(
    tmp_path: Path, limits: dict[str, int], words: str
) -> None:
    cloud = Cloud(tmp_path)
    plan = cloud.plan()
    for number in range(3):
        cloud.upload(f"lobby/{number}.jpg", b"x" * 11)
    cloud.upload("lobby/a.mp4", b"x" * 11)
    cloud.queue("lobby")
    cloud.worker(plan=plan, pipeline=PipelineSettings(backend="mock", max_videos=1, **limits)).drain()
    reason = cloud.json("error", "lobby/error.json")
    assert reason["code"] == Code.TOO_LARGE
    assert words in reason["cause"]
    assert not any(call.startswith("download input/") for call in plan.calls)


def test_an_upload_called_like_our_documents_does_not_replace_them(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("lobby/a.mp4", b"a")
    cloud.upload("lobby/error.json", b"{}")
    cloud.queue("lobby")
    cloud.worker(bad_video).drain()
    assert cloud.json("error", "lobby/error.json")["cause"] == "view1.mp4 is no video"
    assert cloud.stores["error"].read("lobby/1/error.json")[0] == b"{}"
    assert cloud.names("input") == []


def test_a_preemption_gives_the_attempt_and_the_message_back(cloud: Cloud) -> None:
    def stopped(job: Job, supervision: Supervision) -> dict[str, object]:
        cloud.stop.set()
        assert supervision.stop_requested()
        raise Interrupted("told to stop", stage="training")

    with pytest.raises(Interrupted):
        cloud.worker(stopped).drain()
    record = cloud.record("lobby")
    assert (record.phase, record.attempts, record.preemptions) == (Phase.IDLE, 0, 1)
    assert cloud.queues["jobs"].waiting() == 1, "another runner has to wait for the message"
    cloud.stop = type(cloud.stop)()
    cloud.settle()
    assert_at_rest(cloud)


def test_preemptions_without_end_are_a_dead_letter_with_the_reason(cloud: Cloud) -> None:
    def stopped(job: Job, supervision: Supervision) -> dict[str, object]:
        raise Interrupted("told to stop", stage="training")

    for _ in range(5):  # the fifth counts
        with pytest.raises(Interrupted):
            cloud.worker(stopped, max_preemptions=4, max_attempts=2).drain()
        cloud.clock.advance(PAST_EVERYTHING_S)
    cloud.settle(stopped, max_preemptions=4, max_attempts=2)
    assert cloud.jobs_run == 6
    assert_at_rest(cloud)
    assert cloud.json("error", "lobby/error.json")["code"] == Code.INTERRUPTED


def test_a_stop_after_the_commit_leaves_the_rest_to_the_next_runner(cloud: Cloud) -> None:
    stop = Meanwhile(cloud.stop.set, "copy", "processed/")
    with pytest.raises(Interrupted):
        cloud.worker(plan=cloud.plan(meanwhile=[stop])).drain()
    assert cloud.record("lobby").phase is Phase.COMMITTED
    cloud.stop = type(cloud.stop)()
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


def test_wrong_settings_stop_the_runner_and_cost_no_attempt(cloud: Cloud) -> None:
    def no_gpu(job: Job, supervision: Supervision) -> dict[str, object]:
        raise ConfigurationError("no GPU", code=Code.NO_GPU)

    with pytest.raises(ConfigurationError):
        cloud.worker(no_gpu).drain()
    assert cloud.record("lobby").attempts == 0
    assert cloud.queues["jobs"].total() == 1
    cloud.settle()
    assert_at_rest(cloud)


def test_a_lost_lease_settles_nothing(cloud: Cloud) -> None:
    before: list[object] = []

    def paused(job: Job, supervision: Supervision) -> dict[str, object]:
        cloud.clock.advance(61)  # longer than the lease
        cloud.stores["state"].lease(record_name("lobby"), 60)
        before.append(cloud.record("lobby"))
        return echo_job(job, supervision)

    with pytest.raises(LeaseLost):
        cloud.worker(paused).drain()
    assert cloud.record("lobby") == before[0]
    assert (cloud.queues["jobs"].total(), cloud.queues["jobs"].waiting()) == (1, 0), "the message was touched"
    assert cloud.names("processed") == []
    assert not [name for name in cloud.names("output") if "/runs/" not in name]
    cloud.settle()
    assert_at_rest(cloud)


def test_a_paused_runner_cannot_undo_what_its_successor_did(cloud: Cloud) -> None:
    def paused(job: Job, supervision: Supervision) -> dict[str, object]:
        cloud.clock.advance(PAST_EVERYTHING_S)
        cloud.worker().drain()  # takes the scene over and finishes it
        cloud.upload("lobby/view1.mp4", b"a new version")
        return echo_job(job, supervision)

    with pytest.raises(LeaseLost):
        cloud.worker(paused).drain()
    assert cloud.names("input") == ["lobby/view1.mp4"]
    cloud.queue("lobby")
    cloud.settle()
    assert_at_rest(cloud)


def test_a_lost_pop_receipt_does_not_stop_the_work(cloud: Cloud) -> None:
    def receipt_lost(job: Job, supervision: Supervision) -> dict[str, object]:
        for message in cloud.queues["jobs"].messages:
            message.receipt = "of somebody else"
        return echo_job(job, supervision)

    assert cloud.worker(receipt_lost).drain() == 0
    assert cloud.names("input") == []
    cloud.settle()
    assert cloud.jobs_run == 1
    assert_at_rest(cloud)


@pytest.mark.parametrize(
    "text",
    [
        "not json",
        "[" * 5000,
        json.dumps({"v": 2, "scene": "lobby"}),
        json.dumps({"v": 1, "scene": "../state/scenes", "batch": "", "sent_at": "2026-01-01T00:00:00+00:00"}),
        json.dumps({"v": 1, "scene": "", "batch": "", "sent_at": "2026-01-01T00:00:00+00:00"}),
        "\u202e" * 8000,
    ],
)
def test_an_unreadable_message_goes_to_the_poison_queue_and_the_next_is_served(cloud: Cloud, text: str) -> None:
    cloud.queues["jobs"].send(text)
    cloud.queues["jobs"].messages.reverse()  # the bad one first
    assert cloud.worker().drain() == 0
    assert cloud.jobs_run == 1
    (poison,) = cloud.queues["poison"].messages
    body = json.loads(poison.text)
    assert body["reason"]
    assert text.startswith(body["text"])
    assert cloud.queues["jobs"].total() == 0


def test_a_message_that_goes_round_in_circles_is_poison(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages[0].dequeue_count = MAX_DEQUEUES
    cloud.worker().drain()
    assert cloud.queues["poison"].total() == 1


def test_a_message_without_uploads_is_removed(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.queue("ghost")
    assert cloud.worker().drain() == 0
    assert_at_rest(cloud)


def test_trouble_with_the_store_outside_an_attempt_gives_the_message_back(cloud: Cloud) -> None:
    assert cloud.worker(plan=cloud.plan(Rule(Fault.BUSY, "lease", "state/"))).drain() == 3
    assert cloud.queues["jobs"].total() == 1
    cloud.settle()
    assert_at_rest(cloud)


# ---- batch mode -----------------------------------------------------------------------------------------------------


def test_batch_mode_processes_one_prefix_without_a_message(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert cloud.worker(batch_prefix="lobby/", mode="batch", job_id="nightly").batch() == 0
    assert cloud.record("lobby").run.startswith("nightly-")
    assert_at_rest(cloud)


def test_batch_mode_takes_a_nested_prefix(tmp_path: Path) -> None:
    cloud = Cloud(tmp_path)
    cloud.upload("building/floor1/a.mp4", b"a")
    cloud.upload("building/floor2/a.mp4", b"b")
    assert cloud.worker(batch_prefix="building/floor1").batch() == 0
    assert cloud.names("input") == ["building/floor2/a.mp4"]
    assert "building/floor1/floor1.ply" in cloud.names("output")


def test_batch_mode_names_the_prefix_and_container_that_hold_nothing(cloud: Cloud) -> None:
    with pytest.raises(InputError, match="no blobs with prefix hall/ in container input"):
        cloud.worker(batch_prefix="hall").batch()


def test_batch_mode_retries_by_itself_and_ends_with_1_for_a_dead_letter(cloud: Cloud) -> None:
    cloud.queues["jobs"].messages.clear()
    assert cloud.worker(broken_disk, batch_prefix="lobby", retry_base_s=0.0).batch() == 1
    assert cloud.jobs_run == 3
    assert_at_rest(cloud)


@pytest.mark.parametrize("prefix", ["../x", "a//b", "/", "a\\b"])
def test_batch_mode_refuses_a_prefix_that_is_no_name(cloud: Cloud, prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="BATCH_INPUT_PREFIX"):
        cloud.worker(batch_prefix=prefix).batch()
