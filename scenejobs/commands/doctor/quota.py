"""Whether Azure lets the job's executions have what they take: lines of `scenejobs doctor`."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from scenejobs.commands.doctor.line import Line, of_error
from scenejobs.errors import SceneJobError
from scenejobs.settings.groups import ComputeSettings
from scenejobs.settings.reader import read

if TYPE_CHECKING:
    from scenejobs.adapters.azure.quotas import JobQuotas, Need, Quota

WHAT = "quota"
JOB_SETTINGS = ("AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "RUNNER_JOB_NAME")
ASK_REGION = (
    "ask for more (portal: Quotas, provider Azure Container Apps, {counter} in {where}; it may take days), or deploy "
    "with another AZURE_LOCATION or GPU_PROFILE_TYPE"
)
ASK_ENVIRONMENT = "ask for more ({counter}: portal, the page Quota of {where}, or a support request for Container Apps)"


def looked_at(env: Mapping[str, str], max_parallel: int) -> Iterator[Line]:
    """A line for each counter of each job; "unknown" whatever cannot be read. max_parallel: MAX_PARALLEL_JOBS."""
    missing = [name for name in JOB_SETTINGS if not env.get(name, "").strip()]
    if missing:
        yield Line(WHAT, f"not looked at: {', '.join(missing)} not set", "set what names the job", unknown=True)
        return
    try:
        job = read(ComputeSettings, env)
    except SceneJobError as exc:
        yield of_error(WHAT, exc, unknown=True)
        return
    yield from _of_job(job, max_parallel)
    if job.fallback_job_name:
        group = job.fallback_resource_group or job.resource_group
        yield from _of_job(replace(job, job_name=job.fallback_job_name, resource_group=group), max_parallel)


def _of_job(job: ComputeSettings, max_parallel: int) -> Iterator[Line]:
    what = f"{WHAT} of job {job.job_name}"
    try:
        # Heavy, and not in the runner's image, where nobody starts jobs.
        from scenejobs.adapters.azure import quotas
    except ImportError as exc:
        yield Line(what, f"not looked at: {exc.name} is not installed", "pip install azure-mgmt-appcontainers", True)
        return
    try:
        with _told_by_the_line():
            found = quotas.read(job)
    except SceneJobError as exc:
        yield of_error(what, exc, unknown=True)
        return
    if found.need is None:
        yield Line(what, f"not looked at: nothing is known here of the counters of profile {found.profile}")
        return
    for quota in found.quotas:
        yield of_counter(f"{what} in {quota.where}", found, found.need, quota, max_parallel)
    for error in found.unread:
        yield of_error(what, error, unknown=True)


@contextmanager
def _told_by_the_line() -> Iterator[None]:
    """Without the library's own twenty lines on each way to log in that it tried."""
    library = logging.getLogger("azure.identity")
    before = library.level
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.setLevel(before)


def of_counter(what: str, found: JobQuotas, need: Need, quota: Quota, max_parallel: int) -> Line:
    """Enough, none left, or not told."""
    ask = (ASK_REGION if quota.where.startswith("region") else ASK_ENVIRONMENT).format(
        counter=quota.counter, where=quota.where
    )
    if quota.limit is None:
        look = f"look there: portal, Quotas, provider Azure Container Apps, {quota.where}"
        return Line(what, f"the service tells no {quota.counter}", look, unknown=True)
    each = f"an execution on {found.profile} takes {need.amount:g}"
    said = f"{quota.used:g} of {quota.limit:g} {need.unit} in use ({quota.counter}), {each}"
    if quota.limit < need.amount:
        return Line(what, f"{said}: none can start, ever", ask)
    if quota.limit - quota.used < need.amount:
        if found.running:  # what this job holds comes back
            return Line(what, f"{said}, {found.running} are running: the next waits until one ends")
        return Line(what, f"{said}: none is left, and no execution of this job has them", ask)
    at_once = int(quota.limit // need.amount) if need.amount else max_parallel
    fewer = f": no more than {at_once} run at once, whatever MAX_PARALLEL_JOBS ({max_parallel}) says"
    return Line(what, said + (fewer if at_once < max_parallel else ""))
