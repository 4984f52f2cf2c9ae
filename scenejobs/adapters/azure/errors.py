"""The one place where exceptions of the Azure SDK become ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    DecodeError,
    HttpResponseError,
    IncompleteReadError,
    ServiceRequestError,
    ServiceResponseError,
)

from scenejobs.adapters import kept
from scenejobs.adapters.azure.retry import RETRIED_STATUS, parse_retry_after
from scenejobs.errors import (
    AccessDenied,
    Busy,
    Code,
    ComputeError,
    ConfigurationError,
    Conflict,
    NotFound,
    SceneJobError,
    StartUnknown,
    StorageError,
)
from scenejobs.logs.redact import redact

LOGIN_ADVICE = (
    "set AZURE_STORAGE_SAS_TOKEN, or AZURE_USE_MANAGED_IDENTITY=true inside Azure, or AZURE_TENANT_ID, AZURE_CLIENT_ID "
    "and AZURE_CLIENT_SECRET, or log in with `az login` (in a container: mount its folder, AZURE_CONFIG_DIR)"
)
ROLE_ADVICE = (
    "give the identity the roles Storage Blob Data Contributor and Storage Queue Data Contributor on the account, and "
    "wait some minutes; if it has them, look at the account's firewall"
)
SAS_ADVICE = "make a new SAS: it may have expired, start later, or lack a permission (blobs need rwdlc, queues raup)"
EMULATOR_ADVICE = "start the storage emulator (video-splat cloud FOLDER), or take its connection string out"
_STOPPED = re.compile(r"host='(127\.0\.0\.1|localhost|::1)', port=(\d+)\).*Connection refused")
KEPT = {
    "SnapshotsPresent": kept.SNAPSHOTS,
    "LeaseIdMissing": kept.LEASED,
    "BlobImmutableDueToLegalHold": kept.LEGAL_HOLD,
    "ContainerHasLegalHold": kept.LEGAL_HOLD,
    "BlobImmutableDueToPolicy": kept.IMMUTABLE,
}


@contextmanager
def storage_errors(doing: str) -> Iterator[None]:
    """Turns what the SDK raises into the errors of `scenejobs.ports`. `doing`: "reading input/lobby/a.mp4"."""
    try:
        yield
    except AzureError as exc:
        raise storage_error(exc, doing) from exc


@contextmanager
def compute_errors(doing: str) -> Iterator[None]:
    """The same for the management service: ComputeError, with `retry_after_s`, or AccessDenied."""
    try:
        yield
    except AzureError as exc:
        raise _compute_error(exc, doing) from exc


@contextmanager
def start_errors(doing: str) -> Iterator[None]:
    """The same for a start, which may have happened although its answer was lost: StartUnknown then."""
    with compute_errors(doing):
        try:
            yield
        except (ServiceResponseError, IncompleteReadError, DecodeError) as exc:  # sent, and no whole answer came back
            raise StartUnknown(f"{doing}: {_text(exc)}") from exc


def storage_error(exc: AzureError, doing: str) -> SceneJobError:
    status, code = status_of(exc), error_code(exc)
    text = f"{doing}: {_text(exc)}"
    if isinstance(exc, ClientAuthenticationError) and status is None:  # the identity library found nobody to ask
        return AccessDenied(text, advice=LOGIN_ADVICE)
    if status in (401, 403):
        return _denied(status, code, text)
    if isinstance(exc, ServiceRequestError) and (emulator := _STOPPED.search(text)):
        return Busy(f"{doing}: nothing answers at {emulator[1]}:{emulator[2]}", advice=EMULATOR_ADVICE)
    if isinstance(exc, ServiceRequestError | ServiceResponseError) or status in RETRIED_STATUS:
        return Busy(text)
    if code in ("BlobArchived", "BlobBeingRehydrated"):
        advice = kept.ARCHIVED if code == "BlobArchived" else kept.REHYDRATING
        return StorageError(f"{doing}: the blob is in the archive tier", code=Code.ARCHIVE_TIER, advice=advice)
    if code in ("ContainerBeingDeleted", "QueueBeingDeleted", "ContainerBeingCreated"):
        return Busy(text)
    if status == 404:
        return NotFound(text)
    if status in (409, 412):
        return Conflict(text, advice=KEPT.get(code, ""))
    if status is None and isinstance(exc, HttpResponseError):  # the answer broke off or was no storage answer
        return Busy(text)
    return StorageError(text)


def _denied(status: int, code: str, text: str) -> AccessDenied:
    if code == "KeyBasedAuthenticationNotPermitted":
        return AccessDenied(f"{text}: the account takes no keys", advice=LOGIN_ADVICE)
    if code in ("AuthenticationFailed", "InvalidAuthenticationInfo", "NoAuthenticationInformation") or status == 401:
        why = "the signature or token was not accepted"
        return AccessDenied(f"{text}: {why}", advice=f"{SAS_ADVICE}; with an identity: {LOGIN_ADVICE}")
    if code in ("AuthorizationProtocolMismatch", "AuthorizationSourceIPMismatch", "AuthorizationServiceMismatch",
                "AuthorizationResourceTypeMismatch"):  # fmt: skip
        return AccessDenied(f"{text}: the SAS does not allow this", advice=SAS_ADVICE)
    return AccessDenied(
        f"{text}: the identity lacks a role, or the SAS a permission", advice=f"{ROLE_ADVICE}; {SAS_ADVICE}"
    )


def unreachable(exc: AzureError, endpoint: str, variable: str) -> ConfigurationError | None:
    """At start-up: an error when the endpoint is wrong, None when the cause is something else."""
    advice = f"check {variable} and the network"
    if isinstance(exc, ServiceRequestError):
        return ConfigurationError(
            f"{endpoint} cannot be reached: {_text(exc)}", code=Code.WRONG_ENDPOINT, advice=advice
        )
    response = getattr(exc, "response", None)
    if response is None or "x-ms-request-id" in response.headers:
        return None
    return ConfigurationError(f"{endpoint} is not Azure storage", code=Code.WRONG_ENDPOINT, advice=advice)


def _compute_error(exc: AzureError, doing: str) -> SceneJobError:
    status, text = status_of(exc), f"{doing}: {_text(exc)}"
    if status in (401, 403) or (status is None and isinstance(exc, ClientAuthenticationError)):
        advice = "give the identity the role Container Apps Jobs Operator on the job, and wait some minutes"
        return AccessDenied(text, advice=advice)
    if status == 404:
        return ComputeError(text, advice="check AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and RUNNER_JOB_NAME")
    return ComputeError(text, retry_after_s=_retry_after(exc))


def _retry_after(exc: AzureError) -> float | None:
    response = getattr(exc, "response", None)
    return parse_retry_after(response.headers.get("Retry-After")) if response is not None else None


def status_of(exc: AzureError) -> int | None:
    return exc.status_code if isinstance(exc, HttpResponseError) else None


def error_code(exc: AzureError) -> str:
    """The service's error code, as `BlobNotFound`; answers to HEAD have it in a header only."""
    response = getattr(exc, "response", None)
    from_header = response.headers.get("x-ms-error-code") if response is not None else None
    code = getattr(exc, "error_code", None)
    return str(from_header or getattr(code, "value", code) or "")


def _text(exc: AzureError) -> str:
    """First line of the message and the service's code, without secrets. Later lines hold ids and times."""
    lines = str(exc.message or exc).strip().splitlines()
    first, code = (lines[0] if lines else type(exc).__name__), error_code(exc)
    return redact(f"{first} ({code})" if code and code not in first else first)
