"""The HTTP server of watch and serve mode: health for orchestrators, metrics for Prometheus. GET only.

It answers no page in a browser, and on loopback only requests for this machine (scenejobs/loopback.py).
Where it listens for other machines, whoever reaches it may read it by whatever name.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from errno import EACCES, EADDRINUSE
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from scenejobs.errors import ConfigurationError
from scenejobs.logs.redact import redact
from scenejobs.loopback import foreign, is_loopback_host
from scenejobs.settings.groups import WatchSettings
from scenejobs.state.overview.status import SceneStatus, State
from watch import metrics
from watch.problems import in_words
from watch.status import WatchStatus

REQUEST_TIMEOUT_S = 5.0  # a client that connects and sends nothing holds a thread no longer
ACTIVE = (State.RUNNING, State.ARCHIVING)
HEALTH_PORT, METRICS_PORT, ADDRESS = "HEALTH_CHECK_PORT", "METRICS_PORT", "LISTEN_ADDRESS"


@dataclass(frozen=True)
class Response:
    """The response of one path."""

    status: int
    body: str
    content_type: str = "application/json"


Routes = dict[str, Callable[[], Response]]


def health_routes(status: WatchStatus, poll_s: float) -> Routes:
    return {
        "/health": lambda: health(status, poll_s),
        "/health/live": lambda: _state("alive" if status.is_alive(poll_s) else "hung", status.is_alive(poll_s)),
        "/health/ready": lambda: _ready(status, poll_s),
    }


def metrics_routes(status: WatchStatus, poll_s: float = 0.0) -> Routes:
    return {"/metrics": lambda: Response(200, metrics.text(status, poll_s), metrics.CONTENT_TYPE)}


def ports(settings: WatchSettings, status: WatchStatus) -> dict[int, Routes]:
    """The routes of each port. One port may serve both."""
    found: dict[int, Routes] = {}
    if settings.health:
        found[settings.health_port] = health_routes(status, settings.poll_s)
    if settings.metrics_port:
        found.setdefault(settings.metrics_port, {}).update(metrics_routes(status, settings.poll_s))
    return found


def health(status: WatchStatus, poll_s: float) -> Response:
    """200, or 503 with the reason."""
    problems = status.problems(poll_s)
    unwell = bool(status.unwell(problems))
    body: dict[str, Any] = {
        "status": "unhealthy" if unwell else "healthy",
        "instance": status.instance,
        "uptime_secs": round(status.uptime_s),
        "jobs_processed": status.succeeded + status.failed,
        "jobs_succeeded": status.succeeded,
        "jobs_suspect": status.suspect,
        "jobs_failed": status.failed,
        "jobs_waiting": sum(scene.state not in ACTIVE for scene in status.scenes),
        "disk_free_gb": _free_gb(status),
        "current_job": next(
            (_job(scene) for scene in status.scenes if scene.state in ACTIVE and status.is_mine(scene)), None
        ),
    }
    if problems:
        body["reason"] = redact(in_words(problems))
        body["problems"] = [{"kind": str(each.kind), "text": redact(each.text)} for each in problems]
    return Response(503 if unwell else 200, json.dumps(body))


def _job(scene: SceneStatus) -> dict[str, Any]:
    return {
        "scene": scene.scene,
        "run": scene.run,
        "attempt": scene.attempt,
        "stage": scene.stage or str(scene.state),
        "progress": round(scene.fraction, 4),
        "detail": scene.detail,
        "eta_secs": scene.eta_s,
    }


def _free_gb(status: WatchStatus) -> float | None:
    try:
        return round(status.free_gb(), 1)
    except OSError:  # a mount is gone; `problem` says so
        return None


def _ready(status: WatchStatus, poll_s: float) -> Response:
    unwell = status.unwell(status.problems(poll_s))
    return _state(redact(in_words(unwell)) or "ready", not unwell)


def _state(word: str, ok: bool) -> Response:
    return Response(200 if ok else 503, json.dumps({"status": word}))


class Server:
    """Serves while its context is entered. Raises ConfigurationError when it cannot listen.

    setting: the variable that names the port.
    """

    def __init__(self, address: str, port: int, routes: Mapping[str, Callable[[], Response]], setting: str) -> None:
        handler = type("Handler", (_Handler,), {"routes": dict(routes), "any_host": not is_loopback_host(address)})
        try:
            self._server = ThreadingHTTPServer((address, port), handler)
        except (OSError, OverflowError) as exc:
            raise ConfigurationError(f"{address}:{port} {_why(exc)}", advice=_remedy(exc, setting)) from exc
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@contextmanager
def listening(settings: WatchSettings, status: WatchStatus) -> Iterator[None]:
    """Answers at every port while the context is entered. Raises ConfigurationError."""
    with ExitStack() as open_:
        for port, routes in ports(settings, status).items():
            setting = HEALTH_PORT if settings.health and port == settings.health_port else METRICS_PORT
            open_.enter_context(Server(settings.listen, port, routes, setting))
        yield


def _why(exc: OSError | OverflowError) -> str:
    if isinstance(exc, OSError) and exc.errno == EADDRINUSE:
        return "is in use by another program"
    return f"cannot be listened on: {exc}"


def _remedy(exc: OSError | OverflowError, setting: str) -> str:
    if isinstance(exc, OSError) and exc.errno not in (EADDRINUSE, EACCES):  # of the address, not of the port
        return f"set {ADDRESS} to an address of this machine"
    none = ", 0 for none" if setting == METRICS_PORT else ""
    return f"set {setting} to a free port, 1024 to 65535{none}"


class _Handler(BaseHTTPRequestHandler):
    routes: Mapping[str, Callable[[], Response]]
    any_host: bool
    timeout = REQUEST_TIMEOUT_S
    server_version, sys_version = "watch", ""

    def do_GET(self) -> None:
        route = self.routes.get(self.path.partition("?")[0])
        if (refused := foreign(self.headers, any_host=self.any_host)) is not None:
            response = Response(refused[0], json.dumps({"error": refused[1]}))
        else:
            response = route() if route else Response(404, json.dumps({"paths": sorted(self.routes)}))
        data = response.body.encode()
        self.send_response(response.status)
        self.send_header("Content-Type", response.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: probes come every few seconds."""
