"""How requests to the storage service are sent: timeouts, retries with backoff, and a last check of the path.

The SDK's own retries wait 15 s and more, ignore Retry-After and do not retry 429 at all (azure-storage-blob 12.31).
"""

from __future__ import annotations

import email.utils
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import unquote, urlsplit

from azure.core.exceptions import IncompleteReadError, ServiceRequestError, ServiceResponseError
from azure.core.pipeline import PipelineRequest, PipelineResponse
from azure.core.pipeline.policies import HTTPPolicy

from scenejobs.errors import StorageError

MAX_RETRY_AFTER_S = 86_400.0  # nobody waits longer, whatever a header says
RETRIED_STATUS = frozenset({408, 429, 500, 502, 503, 504})
# Options that the storage clients set for the SDK's own retry policy; the transport would not understand them.
_SDK_RETRY_OPTIONS = (
    "retry_total", "retry_connect", "retry_read", "retry_status", "retry_to_secondary", "retry_hook", "location_mode",
    "hosts",
)  # fmt: skip


@dataclass(frozen=True)
class Patience:
    """How long one storage operation may take before it is an error."""

    connect_s: float = 5.0
    read_s: float = 20.0  # between two packets, not for the whole answer
    attempts: int = 5
    budget_s: float = 45.0  # no attempt starts later than this after the first: less than a lease of 60 s
    base_wait_s: float = 0.4  # doubles with each attempt
    max_wait_s: float = 8.0

    def for_one_request(self) -> dict[str, Any]:
        """Options of one operation, to use this patience instead of its client's."""
        return {"patience": self, "connection_timeout": self.connect_s, "read_timeout": self.read_s}


NORMAL = Patience()
HEARTBEAT = Patience(connect_s=3.0, read_s=5.0, attempts=1, budget_s=5.0)  # the next heartbeat is the retry
# Acquiring and releasing a lease: a lost answer must not leave a lease that nobody knows of, and the shortest lease
# must not end while we are still asking for it.
LEASING = Patience(connect_s=3.0, read_s=5.0, attempts=4, budget_s=10.0)
# A loop that looks again in a moment anyhow, and tells meanwhile that it cannot.
SHORT = Patience(connect_s=3.0, read_s=10.0, attempts=3, budget_s=10.0)
START_UP = Patience(connect_s=3.0, read_s=10.0, attempts=2, budget_s=10.0)  # a wrong account name should show at once


class Retry(HTTPPolicy[Any, Any]):
    """Retries transient failures: exponential backoff with full jitter; Retry-After is obeyed.

    A Retry-After that does not fit into the budget ends the retries: the caller decides when to try again.
    """

    def __init__(
        self,
        patience: Patience,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        super().__init__()
        self._patience = patience
        self._clock, self._sleep, self._jitter = clock, sleep, jitter

    def send(self, request: PipelineRequest[Any]) -> PipelineResponse[Any, Any]:
        patience: Patience = request.context.options.pop("patience", None) or self._patience
        sdk_options = {name: request.context.options.pop(name, None) for name in _SDK_RETRY_OPTIONS}
        hook = request.context.options.get("raw_request_hook")
        answer_hook = request.context.options.pop("raw_response_hook", None)
        if (
            answer_hook is not None
        ):  # the SDK sets it itself, but only after an answer: after a lost answer it would be missing
            request.context["response_callback"] = answer_hook
        started = self._clock()
        body = request.http_request.body
        start_of_body = body.tell() if hasattr(body, "seek") and hasattr(body, "tell") else None
        attempt = 0
        while True:
            attempt += 1
            if hook is not None:  # the SDK removes it at the first try; `Sent` counts every try
                request.context.options["raw_request_hook"] = hook
            try:
                response = self.next.send(request)
                wait_s = self._wait_s(patience, attempt, _retry_after_s(response))
                final = response.http_response.status_code not in RETRIED_STATUS
                if final or self._is_over(patience, attempt, started, wait_s):
                    response.http_response.location_mode = sdk_options["location_mode"] or "primary"
                    return response
            except (ServiceRequestError, ServiceResponseError, IncompleteReadError):
                wait_s = self._wait_s(patience, attempt, None)
                if self._is_over(patience, attempt, started, wait_s):
                    raise
            self._sleep(wait_s)
            if start_of_body is not None:
                body.seek(start_of_body)

    def _wait_s(self, patience: Patience, attempt: int, asked_s: float | None) -> float:
        if asked_s is not None:
            return asked_s
        longest_s: float = min(patience.max_wait_s, patience.base_wait_s * 2 ** (attempt - 1))
        return self._jitter() * longest_s

    def _is_over(self, patience: Patience, attempt: int, started: float, wait_s: float) -> bool:
        return attempt >= patience.attempts or self._clock() + wait_s - started > patience.budget_s


def _retry_after_s(response: PipelineResponse[Any, Any]) -> float | None:
    return parse_retry_after(response.http_response.headers.get("Retry-After"))


def parse_retry_after(value: str | None) -> float | None:
    """Seconds of a Retry-After header, which holds seconds or a date; None where it is missing or unreadable."""
    if not value:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            seconds = (email.utils.parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds()
        except (TypeError, ValueError, OverflowError):
            return None
    return max(0.0, min(seconds, MAX_RETRY_AFTER_S)) if seconds == seconds else None


class Sent:
    """Request hook of one operation: counts the tries, and refuses a path that would be resolved.

    Below us, urllib3 resolves `..` in paths: `a/../b` would address another blob, `../other/b` another container. Names
    are refused long before; this is the last look.
    """

    def __init__(self) -> None:
        self.times = 0

    def __call__(self, request: PipelineRequest[Any]) -> None:
        segments = unquote(urlsplit(request.http_request.url).path).replace("\\", "/").split("/")
        if any(segment in (".", "..") for segment in segments):
            raise StorageError(
                "a request whose path holds a dot segment was not sent", advice="this is a bug: report it"
            )
        self.times += 1
