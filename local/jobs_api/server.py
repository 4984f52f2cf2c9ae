"""The part of the Container Apps management API that starts and lists executions of a job, on loopback.

    video-splat jobs-api --port 0 --port-file FILE -- COMMAND...

The product talks to it with the client it uses in Azure; only ARM_ENDPOINT differs. An execution is a process that runs
COMMAND (default: `python -m runner`) with this process's environment. Ctrl-C or SIGTERM ends the executions, then this.
It starts programs for whoever asks, so it answers programs of this machine and no page in a browser.
"""

from __future__ import annotations

import argparse
import errno
import json
import os
import re
import signal
import sys
import tempfile
import threading
from collections.abc import Sequence
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from local.jobs_api.executions import GRACE_S, Execution, Executions, Fault, TooManyExecutions
from scenejobs.errors import InfrastructureError
from scenejobs.loopback import foreign

DEFAULT_COMMAND = (sys.executable, "-m", "runner")
MAX_BODY_BYTES = 1 << 20
_JOB = re.compile(
    r"/subscriptions/[^/]+/resourceGroups/[^/]+/providers/Microsoft\.App/jobs/(?P<job>[^/]+)(?P<rest>/.*)?", re.I
)


class JobsApi:
    """The server. As a context manager it listens, and on exit it stops its executions.

    Raises InfrastructureError where another program has the port.
    """

    def __init__(self, executions: Executions, port: int = 0) -> None:
        self.executions = executions
        handler = type("Handler", (_Handler,), {"executions": executions})
        try:
            self._server = ThreadingHTTPServer(("127.0.0.1", port), handler)
        except OSError as exc:
            if exc.errno != errno.EADDRINUSE:
                raise
            raise InfrastructureError(
                f"port {port} of this machine is in use, and the jobs API needs it",
                advice="stop the program there, or name another port in ARM_ENDPOINT",
            ) from exc
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> JobsApi:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.executions.close()


class _Handler(BaseHTTPRequestHandler):
    executions: Executions
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer("GET")

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= MAX_BODY_BYTES):
            self.close_connection = True  # where the next request begins cannot be told
            self._error(HTTPStatus.BAD_REQUEST, "InvalidRequest", "the length of the body is missing or too large")
            return
        self.rfile.read(int(length))  # a template is ignored
        self._answer("POST")

    def _answer(self, method: str) -> None:
        if (refused := foreign(self.headers)) is not None:
            self._error(refused[0], "RequestRefused", refused[1])
            return
        path = self.path.partition("?")[0]
        found = _JOB.fullmatch(path)
        if found is None or found["job"].lower() != self.executions.job.lower():
            self._error(HTTPStatus.NOT_FOUND, "ResourceNotFound", f"there is nothing at {path}")
            return
        match method, (found["rest"] or "").strip("/").split("/"):
            case "GET", [""]:
                body = {"id": path, "name": self.executions.job, "type": "Microsoft.App/jobs", "location": "local"}
                self._send(HTTPStatus.OK, {**body, "properties": {"provisioningState": "Succeeded"}})
            case "POST", ["start"]:
                self._start(path.removesuffix("/start"))
            case "GET", ["executions"]:
                values = [_as_json(path, execution) for execution in self.executions.all()]
                self._send(HTTPStatus.OK, {"value": values})
            case "GET", ["executions", name] if execution := self.executions.get(name):
                self._send(HTTPStatus.OK, _as_json(path.rpartition("/")[0], execution))
            case "POST", ["executions", name, "stop"] if self.executions.stop(name):
                self._send(HTTPStatus.ACCEPTED, None)
            case "POST", ["stop"]:
                for execution in self.executions.all():
                    self.executions.stop(execution.name)
                self._send(HTTPStatus.ACCEPTED, None)
            case _:
                self._error(HTTPStatus.NOT_FOUND, "ResourceNotFound", f"there is nothing at {path}")

    def _start(self, job_path: str) -> None:
        try:
            execution = self.executions.start()
        except TooManyExecutions as exc:
            self._error(HTTPStatus.TOO_MANY_REQUESTS, "TooManyRequests", str(exc), {"Retry-After": "5"})
            return
        self._send(HTTPStatus.OK, {"id": f"{job_path}/executions/{execution.name}", "name": execution.name})

    def _error(self, status: HTTPStatus, code: str, message: str, headers: dict[str, str] | None = None) -> None:
        self._send(status, {"error": {"code": code, "message": message}}, headers)

    def _send(self, status: HTTPStatus, body: Any, headers: dict[str, str] | None = None) -> None:
        data = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        if self.command == "POST":  # listings are too many to be logged
            print(f"{self.log_date_time_string()} {format % args}", flush=True)


def _as_json(executions_path: str, execution: Execution) -> dict[str, Any]:
    properties = {"status": str(execution.status), "startTime": execution.started_at.isoformat()}
    if execution.ended_at is not None:
        properties["endTime"] = execution.ended_at.isoformat()
    return {
        "id": f"{executions_path}/{execution.name}",
        "name": execution.name,
        "type": "Microsoft.App/jobs/executions",
        "properties": properties,
    }


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="video-splat jobs-api", description="The jobs API, on loopback.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--port-file", type=Path, help="where the port is written once it listens")
    parser.add_argument("--logs", type=Path, help="folder of the executions' logs; default: a temporary one")
    parser.add_argument("--job", default=os.environ.get("RUNNER_JOB_NAME") or "runner", help="name of the job")
    parser.add_argument("--limit", type=int, help="executions at the same time; more are answered with 429")
    parser.add_argument("--grace", type=float, default=GRACE_S, help="seconds from SIGTERM to SIGKILL")
    parser.add_argument(
        "--faults", default="", help="of the first starts: idle, unnoticed or none, with commas between"
    )
    parser.add_argument("command", nargs="*", default=list(DEFAULT_COMMAND), help="what an execution runs")
    options = parser.parse_args(arguments)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    logs = options.logs or Path(tempfile.mkdtemp(prefix="executions-"))
    faults = [Fault(word) for word in options.faults.split(",") if word]
    executions = Executions(
        options.job, options.command, os.environ, logs, limit=options.limit, grace_s=options.grace, faults=faults
    )
    try:
        with JobsApi(executions, options.port) as api:
            if options.port_file:
                part = options.port_file.with_suffix(".part")
                part.write_text(str(api.port))
                part.replace(options.port_file)  # a reader never sees half of it
            print(f"jobs API of {options.job} at {api.endpoint}, logs in {logs}", flush=True)
            stop.wait()
    except InfrastructureError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0
