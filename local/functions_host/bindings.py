"""The functions of an app as its decorators describe them, and how the host calls one."""

from __future__ import annotations

import inspect
import json
import re
import secrets
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import azure.functions as func
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

from scenejobs.errors import ConfigurationError

_SETTING = re.compile(r"%([^%]+)%")


@dataclass(frozen=True)
class HostOptions:
    """The settings of host.json that this host applies."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility: timedelta = timedelta(0)  # between a failure and the next try
    blob_parallel: int = 8
    blob_tries: int = 5

    @staticmethod
    def read(path: Path) -> HostOptions:
        extensions = json.loads(path.read_text()).get("extensions", {})
        queues, blobs = extensions.get("queues", {}), extensions.get("blobs", {})
        if queues.get("messageEncoding", "base64") != "none":
            raise ConfigurationError("host.json: messages are plain text here", advice='set messageEncoding to "none"')
        batch_size = int(queues.get("batchSize", 16))
        hours, minutes, seconds = map(float, str(queues.get("visibilityTimeout", "00:00:00")).split(":"))
        return HostOptions(
            batch_size=batch_size,
            new_batch_threshold=int(queues.get("newBatchThreshold", batch_size // 2)),
            max_dequeue_count=int(queues.get("maxDequeueCount", 5)),
            visibility=timedelta(hours=hours, minutes=minutes, seconds=seconds),
            blob_parallel=int(blobs.get("maxDegreeOfParallelism", 8)),
            blob_tries=int(blobs.get("poisonBlobThreshold", 5)),
        )


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

    def invoke(self, argument: Any) -> dict[Output, str]:
        """Calls it and returns what it put into its outputs. Raises what it raises."""
        outs: dict[Output, _Out] = {output: _Out() for output in self.outputs}
        arguments = {str(self.trigger["name"]): argument, **{out.argument: value for out, value in outs.items()}}
        if "context" in inspect.signature(self.call).parameters:
            arguments["context"] = LocalContext(self.name)
        self.call(**arguments)
        return {output: str(value.get()) for output, value in outs.items() if value.get() is not None}


def index(app: Any, settings: Mapping[str, str]) -> list[HostedFunction]:
    """The functions of a FunctionApp, without those that `AzureWebJobs.<name>.Disabled` switches off, as in Azure.

    Raises ConfigurationError for a %SETTING% that is not set.
    """
    found = []
    for function in app.get_functions():
        name = function.get_function_name()
        if settings.get(f"AzureWebJobs.{name}.Disabled", "").lower() in ("true", "1"):
            continue
        bindings = [_resolved(binding.get_dict_repr(), settings, name) for binding in function.get_bindings()]
        trigger = next(binding for binding in bindings if str(binding["type"]).endswith("Trigger"))
        outputs = tuple(
            Output(str(binding["name"]), str(binding["queueName"]), str(binding["connection"]))
            for binding in bindings
            if binding["type"] == "queue"
        )
        found.append(HostedFunction(name, function.get_user_function(), trigger, outputs))
    return found


def _resolved(binding: Mapping[str, Any], settings: Mapping[str, str], function: str) -> dict[str, Any]:
    def value(match: re.Match[str]) -> str:
        if not settings.get(match[1]):
            raise ConfigurationError(f"{match[0]} in a binding of function {function}: {match[1]} is not set")
        return settings[match[1]]

    return {key: _SETTING.sub(value, text) if isinstance(text, str) else text for key, text in binding.items()}


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


def timer_request() -> func.TimerRequest:
    return TimerRequest(past_due=False)


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
    """A W3C trace that starts here. The part of azure.functions.TraceContext that functions use."""

    trace_parent: str = field(default_factory=lambda: f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    trace_state: str = ""


@dataclass(frozen=True)
class LocalContext:
    """One invocation. The part of azure.functions.Context that functions use."""

    function_name: str
    invocation_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    trace_context: LocalTrace = field(default_factory=LocalTrace)
