"""The functions of an app as its decorators describe them, and how the host calls one."""

from __future__ import annotations

import inspect
import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import azure.functions as func
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

_SETTING = re.compile(r"%([^%]+)%")


@dataclass(frozen=True)
class Output:
    """A queue that a function may send to."""

    argument: str
    queue: str
    connection: str


@dataclass(frozen=True)
class HostedFunction:
    """One function: its trigger with settings filled in, its outputs, and the code."""

    name: str
    call: Callable[..., Any]
    trigger: Mapping[str, Any]  # as in the raw binding: type, name, path or queueName or schedule, connection
    outputs: tuple[Output, ...]

    @property
    def kind(self) -> str:
        return str(self.trigger["type"])

    @property
    def connection(self) -> str:
        return str(self.trigger["connection"])

    def answer(self, request: func.HttpRequest) -> Any:
        """Of an HTTP function. Raises what it raises."""
        return self.call(**{str(self.trigger["name"]): request})

    def invoke(self, argument: Any, trace_parent: str = "") -> dict[Output, str]:
        """Calls it and returns what it put into its outputs. Raises what it raises."""
        outs: dict[Output, _Out] = {output: _Out() for output in self.outputs}
        arguments = {str(self.trigger["name"]): argument, **{out.argument: value for out, value in outs.items()}}
        if "context" in inspect.signature(self.call).parameters:
            arguments["context"] = LocalContext(self.name, LocalTrace(trace_parent))
        self.call(**arguments)
        return {output: as_sent(str(value.get())) for output, value in outs.items() if value.get() is not None}


@dataclass(frozen=True)
class Index:
    """functions: those that run. failed: name -> why: the host starts without them, and says so once."""

    functions: tuple[HostedFunction, ...]
    failed: Mapping[str, str]


def index(app: Any, settings: Mapping[str, str]) -> Index:
    """The functions of a FunctionApp, without those that `AzureWebJobs.<name>.Disabled` switches off, as in Azure.

    A function with a %SETTING% that is not set cannot be indexed.
    """
    found, failed = list[HostedFunction](), dict[str, str]()
    for function in app.get_functions():
        name = function.get_function_name()
        if settings.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("true", "1"):
            continue
        bindings = [dict(binding.get_dict_repr()) for binding in function.get_bindings()]
        missing = [variable for variable in _settings_of(bindings) if not settings.get(variable)]
        if missing:
            failed[name] = f"{', '.join(missing)} is not set"
            continue
        bindings = [_resolved(binding, settings) for binding in bindings]
        trigger = next(binding for binding in bindings if str(binding["type"]).endswith("Trigger"))
        outputs = tuple(
            Output(str(binding["name"]), str(binding["queueName"]), str(binding["connection"]))
            for binding in bindings
            if binding["type"] == "queue"
        )
        found.append(HostedFunction(name, function.get_user_function(), trigger, outputs))
    return Index(tuple(found), failed)


def _settings_of(bindings: Sequence[Mapping[str, Any]]) -> list[str]:
    texts = [text for binding in bindings for text in binding.values() if isinstance(text, str)]
    return list(dict.fromkeys(name for text in texts for name in _SETTING.findall(text)))


def _resolved(binding: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    def value(match: re.Match[str]) -> str:
        return settings[match[1]]

    return {key: _SETTING.sub(value, text) if isinstance(text, str) else text for key, text in binding.items()}


def as_sent(text: str) -> str:
    """What the host makes of an output's text: JSON is parsed and written with indents, all else is sent as it is."""
    try:
        body = json.loads(text)
    except ValueError:
        return text
    return json.dumps(body, indent=2, ensure_ascii=False) if isinstance(body, dict | list) else text


def queue_message(message: Any) -> func.QueueMessage:
    """What a function gets for a message of the storage SDK."""
    return QueueMessage(  # type: ignore[no-untyped-call]
        id=message.id,
        body=message.content,
        dequeue_count=message.dequeue_count,
        expiration_time=message.expires_on,
        insertion_time=message.inserted_on,
        time_next_visible=message.next_visible_on,
        pop_receipt=message.pop_receipt,
    )


def timer_request(past_due: bool) -> func.TimerRequest:
    return TimerRequest(past_due=past_due)


def trace_parent(settings: Mapping[str, str]) -> str:
    """The trace of an invocation: none without Application Insights; with it one that is not marked as sampled."""
    if not settings.get("APPLICATIONINSIGHTS_CONNECTION_STRING"):
        return ""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-00"


class _Out(func.Out[Any]):
    """What a function sets."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:
        self._value = val

    def get(self) -> Any:
        return self._value


@dataclass(frozen=True)
class LocalTrace:
    """A W3C trace. The part of azure.functions.TraceContext that functions use."""

    trace_parent: str = ""
    trace_state: str = ""


@dataclass(frozen=True)
class LocalContext:
    """One invocation. The part of azure.functions.Context that functions use."""

    function_name: str
    trace_context: LocalTrace
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
