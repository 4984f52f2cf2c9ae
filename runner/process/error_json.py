"""Errors as JSON, from one of our processes to another."""

from __future__ import annotations

import json

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


def dump_error(error: SceneJobError) -> str:
    """An error as text, with its place in the tree."""
    known = [kind.__name__ for kind in type(error).__mro__ if kind.__name__ in KINDS]
    return json.dumps({"kind": known[0] if known else "RunnerError", **error.failure().to_json()})


def load_error(text: str) -> SceneJobError:
    """The error that `dump_error` wrote; what cannot be understood is a RunnerError saying so."""
    try:
        value = json.loads(text)
        failure = Failure.from_json(value)
        kind, code = KINDS[value["kind"]], Code(failure.code)
    except (ValueError, KeyError, TypeError, AttributeError):
        return RunnerError("the job ended with a report that cannot be read", code=Code.JOB_CRASHED)
    return kind(failure.cause, advice=failure.advice, code=code, stage=failure.stage)
