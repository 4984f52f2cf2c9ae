"""run-job.sh and deploy-job.sh: an execution of the job, and a new image for it."""

from __future__ import annotations

import pytest

from scenejobs.state.messages import JobMessage
from tests.infra.kernels import tag, there
from tests.infra.scripted import Bench, option


def started(bench: Bench, *states: str) -> Bench:
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
    assert option(ended.called("logs show")[0], "--execution") == "job-dev-abc"


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
