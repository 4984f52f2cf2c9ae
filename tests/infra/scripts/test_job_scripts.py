"""run-job.sh and deploy-job.sh: an execution of the job, and a new image for it."""

from __future__ import annotations

import json

import pytest

from scenejobs.state.messages import JobMessage
from tests.infra.containers.kernels import tag, there
from tests.infra.scripts.scripted import Bench, option


def started(bench: Bench, *states: str) -> Bench:
    bench.answer("blob list .*--prefix active/", "active/lobby.json\n")
    bench.answer("job start", "job-dev-abc\n")
    for state in states[:-1]:
        bench.answer("job execution show", f"{state}\n", times=1)
    bench.answer("job execution show", f"{states[-1]}\n")
    return bench


@pytest.mark.parametrize(
    ("states", "code"),
    [
        (["Processing", "Running", "Succeeded"], 0),
        (["Running", "Failed"], 1),
        (["Unknown", "Stopped"], 1),
        (["Degraded"], 1),
        (["Brandnew", "Succeeded"], 0),
    ],
)
def test_waiting_ends_with_the_executions_own_end(states: list[str], code: int, provisioned: Bench) -> None:
    ended = started(provisioned, *states).run("scripts/run-job.sh", "--wait")
    assert ended.code == code, ended.err
    assert len(ended.called("execution show")) == len(states)
    assert ended.called("job update") == []


def test_the_image_that_does_nothing_is_not_started(bench: Bench) -> None:
    """It would succeed, and nothing would have come of the scene, which was put into the queue before."""
    bench.values = {
        "AZURE_RESOURCE_GROUP": "rg-dev",
        "RUNNER_JOB_NAME": "job-dev",
        "AZURE_STORAGE_ACCOUNT_NAME": "stdev",
    }
    bench.answer("containerapp job show", "mcr.microsoft.com/k8se/quickstart-jobs:latest\n")
    ended = started(bench, "Succeeded").run("scripts/run-job.sh", "--scene", "lobby", "--wait")
    assert ended.code == 2
    assert "azd deploy runner" in ended.err
    assert ended.called("job start|message put") == []


def test_one_failed_look_does_not_end_the_waiting(provisioned: Bench) -> None:
    provisioned.answer("job execution show", err="ERROR: connection reset\n", code=1, times=2)
    assert started(provisioned, "Succeeded").run("scripts/run-job.sh", "--wait").code == 0


def test_a_wait_has_an_end(provisioned: Bench) -> None:
    ended = started(provisioned, "Running").run("scripts/run-job.sh", "--wait", "--timeout", "0")
    assert ended.code == 3
    assert "still 'Running'" in ended.err


def test_a_scene_goes_by_a_message_that_the_runner_reads(provisioned: Bench) -> None:
    ended = started(provisioned, "Succeeded").run("scripts/run-job.sh", "--scene", "lobby/", "--logs")
    assert ended.code == 0, ended.err
    (put,) = ended.called("storage message put")
    assert JobMessage.from_json(option(put, "--content")).scene == "lobby"
    assert (option(put, "--queue-name"), option(put, "--time-to-live")) == ("jobs", "-1")
    assert ended.calls.index(put) < ended.calls.index(ended.called("job start")[0])


def test_the_log_is_read_without_an_extension(provisioned: Bench) -> None:
    """`az containerapp job logs` belongs to one; the published parser does not know it."""
    provisioned.values["LOG_ANALYTICS_WORKSPACE_ID"] = "workspace-1"
    provisioned.env["LOG_WAIT_S"] = "30"
    provisioned.answer("^az rest", "", times=1)  # not there yet
    provisioned.answer("^az rest", "line one\nline two\n")
    ended = started(provisioned, "Failed").run("scripts/run-job.sh", "--logs")
    assert ended.code == 1, "the execution's"
    assert "line one\nline two\n" in ended.out
    call = ended.called("^az rest")[-1]
    assert "/workspaces/workspace-1/query" in option(call, "--url")
    assert "job-dev-abc" in json.loads(option(call, "--body"))["query"]


def test_the_log_of_a_named_scene_is_its_run_log(provisioned: Bench) -> None:
    provisioned.answer("blob list .*error .*--prefix lobby/run.log", "lobby/run.log\n")
    ended = started(provisioned, "Succeeded").run("scripts/run-job.sh", "--scene", "lobby", "--logs")
    assert ended.code == 0, ended.err
    assert "error/lobby/run.log" in ended.out
    assert ended.called("^az rest") == []


def test_where_nothing_waits_no_gpu_is_started(provisioned: Bench) -> None:
    """It said `succeeded`, on an empty queue."""
    provisioned.answer("job start", "job-dev-abc\n")
    ended = provisioned.run("scripts/run-job.sh", "--wait")
    assert (ended.code, ended.called("job start")) == (1, [])
    assert "nothing waits" in ended.err


def test_uploads_that_have_just_arrived_are_waited_for(provisioned: Bench) -> None:
    """upload-testdata.sh, then run-job.sh --wait, as the guide prints them: the execution found an empty queue."""
    provisioned.answer("blob list .*input ", "lobby/a.mp4\n")
    provisioned.answer("blob list .*--prefix active/", "", times=1)
    provisioned.answer("blob list .*--prefix active/", "active/lobby.json\nactive/lobby.check\n", times=1)
    ended = started(provisioned, "Succeeded").run("scripts/run-job.sh", "--wait")
    assert ended.code == 0, ended.err
    assert len(ended.called("--prefix active/")) == 3
    assert "Waiting for uploads" in ended.out


def test_without_waiting_it_says_that_the_execution_may_find_nothing(provisioned: Bench) -> None:
    provisioned.answer("blob list .*input ", "lobby/a.mp4\n")
    provisioned.answer("blob list .*--prefix active/", "active/lobby.check\n", times=1)
    ended = started(provisioned, "Succeeded").run("scripts/run-job.sh")
    assert ended.code == 0
    assert "may find nothing" in ended.err


@pytest.mark.parametrize("scene", ['a","scene":"b', "../x", "/x", "a b", "a//b"])
def test_a_scene_that_is_no_name_is_refused(scene: str, provisioned: Bench) -> None:
    ended = provisioned.run("scripts/run-job.sh", "--scene", scene)
    assert (ended.code, ended.calls) == (2, [])


def test_a_new_image_is_given_by_digest_and_remembered(provisioned: Bench) -> None:
    digest = "sha256:" + "a" * 64
    provisioned.answer("acr repository show ", f"{digest}\n")
    there(provisioned)
    ended = provisioned.run("scripts/deploy-job.sh", "--tag", "v1")
    assert ended.code == 0, ended.err
    (build,) = ended.called("acr build")
    assert option(build, "--image") == "runner:v1"
    assert option(build, "--file").endswith("/runner/image/Dockerfile.code")
    assert option(build, "--build-arg") == f"KERNELS=crdev.azurecr.io/kernels:{tag()}"
    image = f"crdev.azurecr.io/runner@{digest}"
    assert option(ended.called("job update")[0], "--image") == image
    assert ended.called("azd env set") == [["azd", "env", "set", "SERVICE_RUNNER_IMAGE_NAME", image]]


def test_a_failed_build_changes_nothing(provisioned: Bench) -> None:
    there(provisioned)
    provisioned.answer("acr build", err="ERROR: step 9 failed\n", code=1)
    ended = provisioned.run("scripts/deploy-job.sh")
    assert ended.code == 3
    assert "step 9 failed" in ended.err
    assert ended.called("job update|azd env set") == []


def test_without_a_build_the_newest_image_is_taken_and_none_is_an_error(provisioned: Bench) -> None:
    assert provisioned.run("scripts/deploy-job.sh", "--skip-build").code == 1
    provisioned.answer("show-tags", "v7\n")
    provisioned.answer("acr repository show ", "sha256:" + "b" * 64 + "\n")
    ended = provisioned.run("scripts/deploy-job.sh", "--skip-build")
    assert ended.code == 0, ended.err
    assert ended.called("acr build") == []
    assert "runner:v7" in option(ended.called("repository show ")[-1], "--image")
