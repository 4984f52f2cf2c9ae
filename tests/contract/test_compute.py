"""The Container Apps adapter against a server that answers as the management service does, the SDK included."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from scenejobs.adapters.azure.container_apps import ContainerAppsCompute
from scenejobs.errors import AccessDenied, ComputeError, ConfigurationError, NotDeployed, StartUnknown
from scenejobs.ports import Execution
from scenejobs.settings.groups import ComputeSettings
from tests.contract.jobs_api import Answer, jobs_api

JOB = "/subscriptions/11111111-2222-3333-4444-555555555555/resourceGroups/rg/providers/Microsoft.App/jobs/runner"
RESULTS = "/subscriptions/x/providers/Microsoft.App/locations/westeurope/containerappsjobOperationResults/abc"


def job(image: str) -> Answer:
    """As the service tells of a job, as far as it is read."""
    container = {"name": "runner", "image": image, "resources": {"cpu": 8.0, "memory": "56Gi"}}
    return Answer(200, {"id": JOB, "name": "runner", "properties": {"template": {"containers": [container]}}})


OURS = job("crdev.azurecr.io/runner@sha256:0123")


def refusal(status: int, code: str, **headers: str) -> Answer:
    body = {"error": {"code": code, "message": f"The service says {code}."}}
    return Answer(status, body, {name.replace("_", "-"): value for name, value in headers.items()})


@pytest.mark.parametrize(
    ("answer", "name"),
    [
        (Answer(200, {"name": "runner-abc", "id": f"{JOB}/executions/runner-abc"}), "runner-abc"),
        (Answer(202, {"name": "runner-abc"}, {"Location": RESULTS}), "runner-abc"),
        (Answer(202, None, {"Location": RESULTS}), ""),
        (Answer(202, None, {"Location": f"{JOB}/executions/runner-xyz?api-version=1"}), "runner-xyz"),
        (Answer(202, None), ""),
        (Answer(200, ["not", "an", "object"]), ""),
    ],
    ids=["200 with a body", "202 with a body", "202 empty", "202 with the execution's address", "202 bare", "odd body"],
)
def test_whatever_is_accepted_has_started(answer: Answer, name: str) -> None:
    """One start, without a template (it would replace the container), and no poll of a place we may not read."""
    with jobs_api(OURS, answer) as api:
        assert ContainerAppsCompute(api.settings).start() == name
    assert api.requests == [("GET", JOB, ""), ("POST", f"{JOB}/start", "")]


def test_the_image_that_does_nothing_never_meets_a_scene() -> None:
    """It would end with 0, on a GPU, and the scene would be as before; nothing is started until ours is there."""
    with jobs_api(job("mcr.microsoft.com/k8se/quickstart-jobs:latest")) as api:
        compute = ContainerAppsCompute(api.settings)
        for _ in range(2):
            with pytest.raises(NotDeployed, match="azd deploy runner"):
                compute.start()
        assert {method for method, _, _ in api.requests} == {"GET"}
        api.answers[:] = [OURS, Answer(200, {"name": "a"}), Answer(200, {"name": "b"})]
        assert (compute.start(), compute.start()) == ("a", "b")
    assert [method for method, _, _ in api.requests] == ["GET", "GET", "GET", "POST", "POST"]


def test_a_job_that_cannot_be_read_is_not_started() -> None:
    with jobs_api(Answer(200, hang=True)) as api, pytest.raises(ComputeError) as error:
        ContainerAppsCompute(api.settings, read_timeout_s=0.1).start()
    assert not isinstance(error.value, StartUnknown), "nothing was sent that starts something"
    assert [method for method, _, _ in api.requests] == ["GET"]


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_identity_is_access_denied(status: int) -> None:
    with jobs_api(OURS, refusal(status, "AuthorizationFailed")) as api, pytest.raises(AccessDenied) as error:
        ContainerAppsCompute(api.settings).start()
    assert "AuthorizationFailed" in error.value.cause
    assert "Container Apps Jobs Operator" in error.value.advice
    assert len(api.requests) == 2


def test_a_missing_job_names_the_settings() -> None:
    with jobs_api(OURS, refusal(404, "ResourceNotFound")) as api, pytest.raises(ComputeError, match="RUNNER_JOB_NAME"):
        ContainerAppsCompute(api.settings).start()
    assert len(api.requests) == 2


@pytest.mark.parametrize(("status", "code"), [(409, "Conflict"), (500, "InternalError"), (503, "Unavailable")])
def test_a_start_that_failed_is_not_repeated_here(status: int, code: str) -> None:
    """It may have started all the same; the dispatcher looks before it asks again."""
    with jobs_api(OURS, refusal(status, code)) as api, pytest.raises(ComputeError) as error:
        ContainerAppsCompute(api.settings).start()
    assert not isinstance(error.value, StartUnknown), "the service answered"
    assert error.value.retry_after_s is None
    assert len(api.requests) == 2


def test_a_throttled_start_says_when_to_come_back() -> None:
    with jobs_api(OURS, refusal(429, "TooManyRequests", Retry_After="17")) as api, pytest.raises(ComputeError) as error:
        ContainerAppsCompute(api.settings).start()
    assert error.value.retry_after_s == 17
    assert len(api.requests) == 2


@pytest.mark.parametrize(
    "answer",
    [Answer(200, hang=True), Answer(200, {"name": "runner-abc"}, cut=0), Answer(200, {"name": "runner-abc"}, cut=5)],
    ids=["no answer", "hung up", "cut off in the body"],
)
def test_a_start_whose_answer_was_lost_may_have_happened(answer: Answer) -> None:
    """Which is told apart from a refusal, and not repeated: the service may be running it."""
    with jobs_api(OURS, answer) as api, pytest.raises(StartUnknown, match="starting job runner"):
        ContainerAppsCompute(api.settings, read_timeout_s=0.5).start()
    assert len(api.requests) == 2


def test_nobody_there_is_an_error_and_nothing_was_started() -> None:
    with jobs_api(Answer(200)) as api:
        settings = api.settings
    with pytest.raises(ComputeError, match="reading job runner") as error:
        ContainerAppsCompute(settings).start()
    assert not isinstance(error.value, StartUnknown)


def test_a_listing_without_an_answer_started_nothing() -> None:
    with jobs_api(Answer(200, hang=True)) as api, pytest.raises(ComputeError) as error:
        ContainerAppsCompute(api.settings, read_timeout_s=0.05).live()
    assert not isinstance(error.value, StartUnknown)


def execution(name: str, status: str, start: str | None = "2026-11-01T10:00:00Z") -> dict[str, object]:
    return {"name": name, "id": f"{JOB}/executions/{name}", "properties": {"status": status, "startTime": start}}


def test_live_lists_what_has_not_ended() -> None:
    """Over several pages; ended executions stay in the service's list for long."""
    with jobs_api() as api:
        api.answers += [
            Answer(200, {
                "value": [execution("a", "Running"), execution("b", "Succeeded"), execution("c", "Failed")],
                "nextLink": f"{api.url}{JOB}/executions?page=2",
            }),
            Answer(200, {"value": [
                execution("d", "Processing", None), execution("e", "Unknown"), execution("f", "Stopped"),
                execution("g", "Degraded"),
            ]}),
        ]  # fmt: skip
        live = ContainerAppsCompute(api.settings).live()
    start = datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert live == (
        Execution("a", "Running", start),
        Execution("d", "Processing", None),
        Execution("e", "Unknown", start),
    )
    assert [method for method, _, _ in api.requests] == ["GET", "GET"]


def test_listing_without_rights_is_access_denied() -> None:
    with jobs_api(refusal(403, "AuthorizationFailed")) as api, pytest.raises(AccessDenied):
        ContainerAppsCompute(api.settings).live()


def test_stopping_asks_for_that_execution() -> None:
    with jobs_api(Answer(202, None, {"Location": RESULTS})) as api:
        ContainerAppsCompute(api.settings).stop("runner-abc")
    assert api.requests == [("POST", f"{JOB}/executions/runner-abc/stop", "")]


def test_stopping_what_has_ended_is_quiet() -> None:
    with jobs_api(refusal(404, "JobExecutionNotFound")) as api:
        ContainerAppsCompute(api.settings).stop("runner-abc")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (refusal(403, "AuthorizationFailed"), AccessDenied),
        (refusal(429, "TooManyRequests"), ComputeError),
        (refusal(503, "Unavailable"), ComputeError),
        (Answer(202, hang=True), ComputeError),
    ],
)
def test_a_stop_that_is_refused_or_not_answered_is_told_after_one_request(
    answer: Answer, error: type[Exception]
) -> None:
    """The starter asks with a lease in hand that does not outlast a second one; its next look asks again."""
    with jobs_api(answer) as api, pytest.raises(error, match="stopping execution runner-abc"):
        ContainerAppsCompute(api.settings, read_timeout_s=0.2).stop("runner-abc")
    assert len(api.requests) == 1


@pytest.mark.parametrize("endpoint", ["http://management.example.org", "ftp://127.0.0.1", "http://127.0.0.1.evil.org"])
def test_an_endpoint_that_is_not_encrypted_is_refused(endpoint: str) -> None:
    """Only a server on this machine is asked without a token and without TLS."""
    with pytest.raises(ConfigurationError, match="ARM_ENDPOINT"):
        ContainerAppsCompute(ComputeSettings("sub", "rg", "runner", endpoint))
