"""What Azure lets the executions of a job take: the quota of GPUs, or of processors, in its region and its environment.

Counters and their names: https://learn.microsoft.com/azure/container-apps/quotas and .../quota-requests. Those that
start with Subscription are answered for a region, those that start with ManagedEnvironment for an environment.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from azure.core.exceptions import ClientAuthenticationError
from azure.mgmt.appcontainers import ContainerAppsAPIClient
from azure.mgmt.appcontainers.models import Job, ManagedEnvironment, Usage

from scenejobs.adapters.azure.container_apps import LIVE, client_of
from scenejobs.adapters.azure.errors import compute_errors
from scenejobs.errors import AccessDenied, ComputeError, SceneJobError
from scenejobs.settings.groups import ComputeSettings

T = TypeVar("T")

READ_S = 10.0  # a person waits for the answer
CORES = "ManagedEnvironmentConsumptionCores"
AGAIN = "try again; if it stays, look at ARM_ENDPOINT, and at the quota in the portal"
_ENVIRONMENT = re.compile(r"/resourceGroups/([^/]+)/providers/Microsoft\.App/managedEnvironments/([^/]+)/*$", re.I)
_CONSUMPTION_GPU = re.compile(r"Consumption-GPU-.*?(A100|T4)", re.I)
_DEDICATED_GPU = re.compile(r"NC(24|48|96)-A100", re.I)  # machines of one, two and four GPUs
_MODEL = {"A100": "NCA100", "T4": "T4"}  # as the counters call it


@dataclass(frozen=True)
class Need:
    """What one execution takes. unit: "GPUs", "cores"; counters: the names under which that is counted."""

    amount: float
    unit: str
    counters: tuple[str, ...]


@dataclass(frozen=True)
class Quota:
    """One counter. where: "region swedencentral", "environment cae-dev"; limit: None where the service tells none."""

    where: str
    counter: str
    used: float = 0.0
    limit: float | None = None


@dataclass(frozen=True)
class JobQuotas:
    """The counters that bound a job's executions.

    profile: type of its workload profile. running: its executions that have not ended. need: None of a profile
    whose counters are not known here.
    """

    profile: str
    need: Need | None
    running: int
    quotas: tuple[Quota, ...]
    unread: tuple[SceneJobError, ...]  # what could not be asked, each with the right that is missing


def read(settings: ComputeSettings) -> JobQuotas:
    """Of the job and its environment. Makes five requests at most and changes nothing.

    Raises ComputeError, AccessDenied (naming the right) where the job or its environment cannot be read.
    """
    client = client_of(settings, READ_S)
    job = _asked(
        f"reading job {settings.job_name}",
        "Microsoft.App/jobs/read on the job (role Container Apps Jobs Operator, or Reader)",
        lambda: _job(client.jobs.get(settings.resource_group, settings.job_name, retry_total=1)),
    )
    profiles, region = _asked(
        f"reading environment {job.environment}",
        "Microsoft.App/managedEnvironments/read on the environment (role Reader)",
        lambda: _environment(client.managed_environments.get(job.group, job.environment, retry_total=1)),
    )
    profile = profiles.get(job.profile, job.profile)
    need = need_of(profile, job.cores)
    if need is None:
        return JobQuotas(profile, None, 0, (), ())
    quotas, unread = _counters(client, need, region, job)
    return JobQuotas(profile, need, _running(client, settings), quotas, unread)


def need_of(profile: str, cores: float) -> Need | None:
    """What an execution takes on a profile of this type. cores: of its container."""
    if found := _CONSUMPTION_GPU.fullmatch(profile):
        model = _MODEL[found[1].upper()]
        return Need(1, "GPUs", (f"SubscriptionConsumption{model}Gpus", f"ManagedEnvironmentConsumption{model}Gpus"))
    if found := _DEDICATED_GPU.fullmatch(profile):
        return Need(int(found[1]) // 24, "GPUs", ("SubscriptionNCA100Gpus",))
    return Need(cores, "cores", (CORES,)) if profile == "Consumption" else None


@dataclass(frozen=True)
class _Job:
    """As far as it is read. group, environment: where it runs, which may be another group than the job's."""

    group: str
    environment: str
    profile: str  # name within the environment
    cores: float


def _job(job: Job) -> _Job:
    properties = job.properties
    found = _ENVIRONMENT.search(str(properties and properties.environment_id))
    if properties is None or found is None:
        raise ValueError("it names no environment")
    template = properties.template
    cores = sum(
        float((item.resources and item.resources.cpu) or 0) for item in (template and template.containers) or ()
    )
    return _Job(found[1], found[2], properties.workload_profile_name or "Consumption", cores)


def _environment(environment: ManagedEnvironment) -> tuple[dict[str, str], str]:
    """Type of each profile by its name; the region as requests name it: it is told as "Sweden Central"."""
    properties = environment.properties
    profiles = (properties and properties.workload_profiles) or ()
    return (
        {str(item.name): str(item.workload_profile_type) for item in profiles},
        str(environment.location).replace(" ", "").lower(),
    )


def _counters(
    client: ContainerAppsAPIClient, need: Need, region: str, job: _Job
) -> tuple[tuple[Quota, ...], tuple[SceneJobError, ...]]:
    """Of the region and of the environment; one that cannot be asked leaves the other."""
    quotas: list[Quota] = []
    unread: list[SceneJobError] = []
    of_region = [counter for counter in need.counters if counter.startswith("Subscription")]
    of_environment = [counter for counter in need.counters if counter not in of_region]
    if of_region:
        where = f"region {region}"
        try:
            found = _asked(
                f"reading the quotas of {where}",
                "Microsoft.App/locations/usages/read on the subscription (role Reader)",
                lambda: _of(client.usages.list(region, retry_total=1), of_region, where),
            )
            quotas += found or [Quota(where, of_region[0])]  # the subscription's is always told: its absence is news
        except SceneJobError as exc:
            unread.append(exc)
    if of_environment:
        where = f"environment {job.environment}"
        try:  # not every environment counts GPUs by itself: no line then
            quotas += _asked(
                f"reading the quotas of {where}",
                "Microsoft.App/managedEnvironments/usages/read on the environment (role Reader)",
                lambda: _of(
                    client.managed_environment_usages.list(job.group, job.environment, retry_total=1),
                    of_environment,
                    where,
                ),
            )
        except SceneJobError as exc:
            unread.append(exc)
    return tuple(quotas), tuple(unread)


def _of(usages: Iterable[Usage], counters: Iterable[str], where: str) -> list[Quota]:
    known = {counter.lower(): counter for counter in counters}
    return [
        Quota(where, known[called], float(item.current_value or 0), float(item.limit or 0))
        for item in usages
        if item.name is not None and (called := str(item.name.value or "").lower()) in known
    ]


def _running(client: ContainerAppsAPIClient, settings: ComputeSettings) -> int:
    """Executions that have not ended; 0 where they cannot be listed: they only explain who uses the quota."""
    try:
        with compute_errors("listing executions"):
            found = client.jobs_executions.list(settings.resource_group, settings.job_name, retry_total=1)
            return sum(_status(item) in LIVE for item in found)
    except SceneJobError:
        return 0


def _status(item: Any) -> str:
    status = item.properties.status if item.properties is not None else ""
    return str(getattr(status, "value", status))


def _asked(doing: str, right: str, ask: Callable[[], T]) -> T:
    """The answer. Raises AccessDenied that names the right, ComputeError."""
    try:
        with compute_errors(doing):
            return ask()
    except AccessDenied as exc:
        nobody = isinstance(exc.__cause__, ClientAuthenticationError) and exc.__cause__.response is None
        advice = "log in (az login), or run this where an identity is" if nobody else f"this needs {right}"
        raise AccessDenied(exc.cause, advice=advice) from exc
    except ComputeError as exc:
        raise ComputeError(exc.cause, advice=exc.advice or AGAIN) from exc
    except (AttributeError, TypeError, ValueError) as exc:  # what the SDK's models raise for another document
        raise ComputeError(f"{doing}: the answer cannot be read: {exc}", advice=AGAIN) from exc
