"""A Container Apps job as Compute."""

from __future__ import annotations

import json
import re
import time
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from azure.core.exceptions import ResourceNotFoundError
from azure.core.pipeline import PipelineResponse
from azure.core.pipeline.policies import SansIOHTTPPolicy
from azure.mgmt.appcontainers import ContainerAppsAPIClient

from scenejobs.adapters.azure.credentials import is_loopback, management_credential
from scenejobs.adapters.azure.errors import compute_errors, start_errors
from scenejobs.errors import Code, ConfigurationError, NotDeployed
from scenejobs.ports import Execution
from scenejobs.settings.groups import ComputeSettings

# A start without an answer, and the look at the job before it, have to end before the starter's lease does.
CONNECT_S, READ_S, LOOK_S = 5.0, 20.0, 5.0
LOOKED_S = 60.0  # so long a job that was seen with our image is not looked at again
PLACEHOLDER = "mcr.microsoft.com/k8se/quickstart"  # how the image begins that a job has before the first deployment
LIVE = frozenset({"Running", "Processing", "Unknown"})
_EXECUTION_IN_URL = re.compile(r"/executions/([^/?]+)", re.I)


class ContainerAppsCompute:
    """See scenejobs.ports.Compute. Starts the job as it is deployed: an override would replace its whole container."""

    def __init__(self, settings: ComputeSettings, *, read_timeout_s: float = READ_S) -> None:
        self._group, self._job = settings.resource_group, settings.job_name
        self._client = client_of(settings, read_timeout_s)
        self._look_s = min(LOOK_S, read_timeout_s)
        self._deployed_at: float | None = None  # when our image was seen last, by the monotonic clock

    def start(self) -> str:
        self._require_our_image()
        answers: list[PipelineResponse[Any, Any]] = []
        with start_errors(f"starting job {self._job}"):
            # No retry: a start whose answer was lost would be made twice. No polling: it asks a place of the
            # subscription that an identity with rights on the job alone may not read, after the job has started.
            self._client.jobs.begin_start(
                self._group, self._job, polling=False, retry_total=0, raw_response_hook=answers.append
            )
        return _execution_name(answers[-1].http_response)

    def _require_our_image(self) -> None:
        """Raises NotDeployed; ComputeError and AccessDenied where the job cannot be read. Nothing was started then."""
        if self._deployed_at is not None and time.monotonic() - self._deployed_at < LOOKED_S:
            return
        with compute_errors(f"reading job {self._job}"):
            job = self._client.jobs.get(self._group, self._job, retry_total=0, read_timeout=self._look_s)
        template = job.properties.template if job.properties is not None else None
        for container in (template.containers if template is not None else None) or ():
            if str(container.image or "").startswith(PLACEHOLDER):
                raise NotDeployed(
                    f"the job {self._job} still has the image that does nothing ({container.image})",
                    advice="azd deploy runner, or scripts/deploy-job.sh; the scene waits and then begins by itself",
                )
        self._deployed_at = time.monotonic()

    def live(self) -> tuple[Execution, ...]:
        with compute_errors(f"listing the executions of job {self._job}"):
            found = [
                Execution(str(item.name or ""), _word(item.properties.status), _utc(item.properties.start_time))
                for item in self._client.jobs_executions.list(self._group, self._job)
                if item.properties is not None
            ]
        return tuple(execution for execution in found if execution.status in LIVE)

    def stop(self, name: str) -> None:
        with compute_errors(f"stopping execution {name} of job {self._job}"):
            try:
                # No retry: the starter's lease would end meanwhile, and its next look asks again.
                self._client.jobs.begin_stop_execution(self._group, self._job, name, polling=False, retry_total=0)
            except ResourceNotFoundError:
                return


def client_of(settings: ComputeSettings, read_timeout_s: float) -> ContainerAppsAPIClient:
    """Makes no request yet. Raises ConfigurationError where the endpoint is not encrypted."""
    endpoint = settings.arm_endpoint.rstrip("/")
    options: dict[str, Any] = {"connection_timeout": CONNECT_S, "read_timeout": read_timeout_s, "retry_total": 3}
    if is_loopback(endpoint) and endpoint.startswith("http:"):  # the local jobs API
        options |= {"authentication_policy": SansIOHTTPPolicy(), "use_env_settings": False}
        credential: Any = object()  # the constructor requires one; nothing uses it
    elif urlsplit(endpoint).scheme == "https":
        credential = management_credential(settings.client_id)
        options["credential_scopes"] = [f"{endpoint}/.default"]
    else:
        raise ConfigurationError(
            f"ARM_ENDPOINT={endpoint} is not encrypted",
            code=Code.INVALID_SETTING,
            advice="use https; http only reaches this machine",
        )
    return ContainerAppsAPIClient(credential, settings.subscription_id, base_url=endpoint, **options)


def _execution_name(answer: Any) -> str:
    """The execution's name, best effort: the start was accepted, and its body may be empty."""
    try:
        return str(json.loads(answer.text())["name"])
    except (ValueError, KeyError, TypeError):
        found = _EXECUTION_IN_URL.search(answer.headers.get("Location", ""))
        return found[1] if found else ""


def _word(status: Any) -> str:
    """The SDK returns a member of its enum, or plain text for a value that it does not know."""
    return str(getattr(status, "value", status))


def _utc(time: datetime | None) -> datetime | None:
    if time is None:
        return None
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
