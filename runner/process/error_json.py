"""Errors as JSON, from one of our processes to another."""

from __future__ import annotations

import msgspec

from scenejobs.errors import (
    AccessDenied,
    Code,
    ConfigurationError,
    Failure,
    InfrastructureError,
    InputError,
    Interrupted,
    ResourceError,
    RunnerError,
    SceneJobError,
    UnusedFile,
)

KINDS: dict[str, type[SceneJobError]] = {
    kind.__name__: kind
    for kind in (
        InputError,
        ConfigurationError,
        AccessDenied,
        InfrastructureError,
        ResourceError,
        RunnerError,
        Interrupted,
    )
}


class ErrorMessage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An error as two processes of one version exchange it."""

    kind: str  # one of KINDS: the nearest class of the error
    stage: str
    code: Code
    cause: str
    advice: str
    files: tuple[str, ...] = ()
    unused: tuple[UnusedFile, ...] | None = None


def dump_error(error: SceneJobError) -> str:
    """An error as text, with its place in the tree. Long texts are cut."""
    known = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in KINDS]
    failure = error.failure()
    message = ErrorMessage(
        known[0] if known else RunnerError.__name__, failure.stage, Code(failure.code), failure.cause, failure.advice,
        failure.files, failure.unused,
    )  # fmt: skip
    return msgspec.json.encode(message).decode()


def load_error(text: str | bytes) -> SceneJobError:
    """The error that `dump_error` wrote; for what cannot be understood a RunnerError that says so."""
    try:
        message = msgspec.json.decode(text, type=ErrorMessage)
        kind = KINDS[message.kind]
        failure = Failure(message.stage, message.code, message.cause, message.advice, message.files, message.unused)
    except (ValueError, KeyError, RecursionError):  # ValueError: of msgspec as well
        return RunnerError("the job ended with a report that cannot be read", code=Code.JOB_CRASHED)
    error = kind(failure.cause, advice=failure.advice, code=message.code, stage=failure.stage, files=failure.files)
    error.unused = failure.unused
    return error
