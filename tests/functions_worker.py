"""Drives the real Functions worker library (`azure-functions-runtime`), as the host does, without gRPC.

The library indexes the app and invokes functions for requests that are protobuf messages in Azure; here they are plain
objects of that shape. It runs in a process of its own (`python -m tests.functions_worker`), with settings of its own:
first it prints the index, then it answers each line of standard input, one invocation as JSON, with a line.
"""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any

import pytest

from local.azurite import dying_with_parent

ROOT = Path(__file__).parents[1]


def available() -> None:
    """Skips on a laptop without the library; in CI its absence is a failure."""
    if importlib.util.find_spec("azure_functions_runtime") is not None:
        return
    why = "pip install --no-deps --ignore-requires-python azure-functions-runtime==1.3.0"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


# ---- the host's side -----------------------------------------------------------------------------


class FunctionsWorker:
    """A worker process over the app in `folder`. `index` holds what it told the host, or `failure` why it could not."""

    def __init__(self, env: Mapping[str, str], folder: Path = ROOT) -> None:
        self._process = subprocess.Popen(
            dying_with_parent([sys.executable, "-m", "tests.functions_worker", str(folder)]),
            cwd=ROOT,
            env={**os.environ, **env},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            answer = self._read()
        except RuntimeError:
            self._process.communicate()
            raise
        self.failure: str = answer.get("failure", "")
        self.index: dict[str, list[dict[str, Any]]] = answer.get("functions", {})  # name -> raw bindings

    def invoke(self, function: str, **inputs: Mapping[str, Any]) -> dict[str, Any]:
        """One invocation. inputs: argument -> {"json" | "string" | "blob": value, "metadata": {...}}.

        The answer has `failure` ("" when it went well) and `outputs` (name -> value).
        """
        print(json.dumps({"function": function, "inputs": inputs}), file=self._process.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        if self._process.stdout is None:
            raise RuntimeError("no pipe")
        for line in self._process.stdout:
            if line.startswith("@@"):  # anything else is what the app printed
                answer: dict[str, Any] = json.loads(line[2:])
                return answer
        raise RuntimeError(f"the worker ended with {self._process.wait()}")

    def __enter__(self) -> FunctionsWorker:
        return self

    def __exit__(self, _: type[BaseException] | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self._process.communicate()  # the end of its input ends it


# ---- the worker's side ---------------------------------------------------------------------------


class Message(SimpleNamespace):
    """A protobuf message: fields, and which one of a group is set."""

    def WhichOneof(self, group: str) -> str | None:  # protobuf's name
        return "data" if group == "rpc_data" else next(iter(vars(self)), None)


class StatusResult(Message):
    Failure, Success = 0, 1


class BindingInfo(Message):
    undefined, out, inout = 0, 1, 2


PROTOS = SimpleNamespace(
    StatusResult=StatusResult,
    BindingInfo=BindingInfo,
    **{
        name: Message
        for name in (
            "WorkerInitResponse", "FunctionMetadataResponse", "FunctionLoadResponse", "InvocationResponse", "TypedData",
            "RpcFunctionMetadata", "RpcException", "WorkerMetadata", "ParameterBinding", "RpcRetryOptions",
        )
    },
)  # fmt: skip


def _request(name: str, body: Message) -> Message:
    return Message(request=Message(**{name: body}), properties={"host": "127.0.0.1", "protos": PROTOS})


def _typed(value: Mapping[str, Any]) -> Message:
    if "blob" in value:  # what the host sends for a deferred binding: where the blob is, not what is in it
        content = json.dumps(value["blob"]).encode()
        data = Message(version="1.0", source="AzureStorageBlobs", content_type="application/json", content=content)
        return Message(model_binding_data=data)
    kind = next(key for key in value if key != "metadata")
    return Message(**{kind: value[kind]})


async def _serve(folder: str) -> None:
    import azure_functions_runtime as library

    sys.path.insert(0, folder)
    init = Message(capabilities={}, function_app_directory=folder)
    answer = await library.worker_init_request(_request("worker_init_request", init))
    if answer.result.status != StatusResult.Success:
        _say({"failure": answer.result.exception.message})
        return
    metadata = await library.functions_metadata_request(_request("functions_metadata_request", Message()))
    found = metadata.function_metadata_results or []
    _say({"functions": {one.name: [json.loads(text) for text in one.raw_bindings] for one in found}})
    ids = {one.name: one.function_id for one in found}
    for line in sys.stdin:
        body = json.loads(line)
        inputs = body["inputs"]
        call = Message(
            invocation_id=str(uuid.uuid4()),
            function_id=ids[body["function"]],
            input_data=[Message(name=name, data=_typed(value)) for name, value in inputs.items()],
            trigger_metadata={
                key: Message(**{"json" if not isinstance(text, str) else "string": text})
                for value in inputs.values()
                for key, text in value.get("metadata", {}).items()
            },
            trace_context=Message(trace_parent=TRACE, trace_state="", attributes={}),
            retry_context=Message(retry_count=0, max_retry_count=0, exception=None),
        )
        result = await library.invocation_request(_request("invocation_request", call))
        failed = result.result.status != StatusResult.Success
        outputs = {} if failed else {out.name: next(iter(vars(out.data).values())) for out in result.output_data}
        _say({"failure": result.result.exception.message if failed else "", "outputs": outputs})


TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def _say(answer: Mapping[str, Any]) -> None:
    print("@@" + json.dumps(answer), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
