"""Requests are sent again after failures that may pass, within a budget, and as the service asks."""

from __future__ import annotations

import io
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from azure.core.exceptions import ClientAuthenticationError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineContext, PipelineRequest, PipelineResponse
from azure.core.rest import HttpRequest

from scenejobs.adapters.azure.errors import storage_error
from scenejobs.adapters.azure.retry import HEARTBEAT, Patience, Retry, Sent, parse_retry_after
from scenejobs.errors import AccessDenied, Busy, StorageError

PATIENCE = Patience(attempts=4, budget_s=30, base_wait_s=1, max_wait_s=3)


@dataclass
class Answer:
    status_code: int
    headers: dict[str, str] = field(default_factory=dict)
    location_mode: str = ""


@dataclass
class Service:
    """Stands behind the policy: gives the answers in their order, and a clock that waiting and working move."""

    answers: list[Answer | Exception]
    work_s: float = 0.0
    time: float = 0.0
    waits: list[float] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)
    options: list[dict[str, Any]] = field(default_factory=list)  # of each request, as the transport gets them

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        hook = request.context.options.pop("raw_request_hook", None)  # as the SDK's policy does
        if hook is not None:
            hook(request)
        self.options.append(dict(request.context.options))
        self.time += self.work_s
        body = request.http_request.content
        self.bodies.append(body.read() if hasattr(body, "read") else b"")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return PipelineResponse(request.http_request, answer, request.context)

    def wait(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.time += seconds


def through(service: Service, patience: Patience = PATIENCE, content: Any = None, **options: Any) -> Any:
    retry = Retry(patience, clock=lambda: service.time, sleep=service.wait, jitter=lambda: 1.0)
    retry.next = service  # type: ignore[assignment]
    request = HttpRequest("PUT", "https://shop.blob.core.windows.net/input/a", content=content)
    request.body = content
    return retry.send(PipelineRequest(request, PipelineContext(None, **options))).http_response


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again_with_growing_waits(status: int) -> None:
    service = Service([Answer(status), Answer(status), Answer(status), Answer(201)])
    assert through(service).status_code == 201
    assert service.waits == [1, 2, 3]


@pytest.mark.parametrize("status", [200, 201, 202, 304, 400, 401, 403, 404, 409, 412, 413, 501])
def test_an_answer_is_an_answer(status: int) -> None:
    service = Service([Answer(status)])
    assert through(service).status_code == status
    assert service.waits == []


@pytest.mark.parametrize("lost", [ServiceRequestError("refused"), ServiceResponseError("cut off")])
def test_lost_requests_and_answers_are_tried_again(lost: Exception) -> None:
    service = Service([lost, lost, Answer(200)])
    assert through(service).status_code == 200
    service = Service([lost] * 4)
    with pytest.raises(type(lost)):
        through(service)
    assert len(service.waits) == 3


def test_other_errors_are_not() -> None:
    service = Service([ClientAuthenticationError("nobody is logged in")])
    with pytest.raises(ClientAuthenticationError):
        through(service)
    assert service.waits == []


def test_after_the_last_attempt_the_last_answer_counts() -> None:
    service = Service([Answer(503)] * 4)
    assert through(service).status_code == 503
    assert service.answers == []


@pytest.mark.parametrize("status", [429, 503])
def test_the_service_says_when_to_come_back(status: int) -> None:
    service = Service([Answer(status, {"Retry-After": "7"}), Answer(200)])
    assert through(service).status_code == 200
    assert service.waits == [7]


def test_a_wait_that_does_not_fit_into_the_budget_is_not_begun() -> None:
    service = Service([Answer(429, {"Retry-After": "31"})])
    assert through(service).status_code == 429
    assert service.waits == []


def test_slow_failures_use_up_the_budget() -> None:
    """Three tries of 12 s: the fourth would begin after the 30 s."""
    service = Service([ServiceResponseError("timeout")] * 4, work_s=12)
    with pytest.raises(ServiceResponseError):
        through(service)
    assert len(service.bodies) == 3
    assert service.time < 45


def test_a_heartbeat_asks_once() -> None:
    service = Service([Answer(503)])
    assert through(service, HEARTBEAT).status_code == 503


def test_a_file_is_sent_whole_each_time() -> None:
    service = Service([Answer(500), ServiceResponseError("cut off"), Answer(201)])
    file = io.BytesIO(b"headbody")
    file.seek(4)
    through(service, content=file)
    assert service.bodies == [b"body"] * 3


def test_every_try_is_seen_by_the_hook_and_no_retry_word_reaches_the_transport() -> None:
    sent = Sent()
    options: dict[str, Any] = {"hosts": {}, "location_mode": "primary", "retry_total": 3, "retry_to_secondary": False}
    service = Service([Answer(503), Answer(503), Answer(200)])
    answer = through(service, raw_request_hook=sent, **options)
    assert sent.times == 3
    assert service.options == [{}, {}, {}]
    assert answer.location_mode == "primary"


@pytest.mark.parametrize(
    ("value", "seconds"), [("0", 0), ("12", 12), ("1.5", 1.5), ("-3", 0), ("", None), (None, None), ("soon", None)]
)
def test_retry_after_in_seconds(value: str | None, seconds: float | None) -> None:
    assert parse_retry_after(value) == seconds


def test_retry_after_as_a_date() -> None:
    later = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    seconds = parse_retry_after(later)
    assert seconds is not None
    assert 50 < seconds <= 60
    assert parse_retry_after("Wed, 21 Oct 2015 07:28:00 GMT") == 0


@pytest.mark.parametrize(
    "path", ["input/../other/x", "input/a/%2e%2e/b", "input/./b", "input/a%5C..%5Cb", "input/..", "../x"]
)
def test_a_path_that_would_be_resolved_is_never_sent(path: str) -> None:
    request = HttpRequest("DELETE", f"https://shop.blob.core.windows.net/{path}")
    with pytest.raises(StorageError):
        Sent()(PipelineRequest(request, PipelineContext(None)))


@pytest.mark.parametrize("path", ["input/a..b", "input/...", "input/100%25", "input/a%252e%252e", "input?prefix=../x"])
def test_other_paths_are_sent(path: str) -> None:
    sent = Sent()
    sent(PipelineRequest(HttpRequest("GET", f"https://shop.blob.core.windows.net/{path}"), PipelineContext(None)))
    assert sent.times == 1


def test_nobody_logged_in_says_how_to_log_in() -> None:
    error = storage_error(ClientAuthenticationError("Please run 'az login'"), "listing input")
    assert isinstance(error, AccessDenied)
    assert "az login" in error.advice
    assert error.exit_code == 2


def test_an_error_shows_no_secret() -> None:
    url = "HTTPSConnectionPool: Max retries exceeded with url: /input?sv=1&sig=canary%3D (Caused by timeout)"
    error = storage_error(ServiceRequestError(url), "listing input")
    assert isinstance(error, Busy)
    assert "canary" not in str(error)
    assert "sig=[REDACTED]" in str(error)
