"""What watch mode answers over HTTP: how it is, for orchestrators, and its numbers, for Prometheus. GET only."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

from scenejobs.errors import ConfigurationError
from scenejobs.logs.redact import redact
from scenejobs.state.status import State
from watch import metrics
from watch.status import Facts

REQUEST_TIMEOUT_S = 5.0  # a client that connects and says nothing holds a thread no longer
ACTIVE = (State.RUNNING, State.ARCHIVING)


@dataclass(frozen=True)
class Answer:
    """Of one path."""

    status: int
    body: str
    content_type: str = "application/json"


Routes = dict[str, Callable[[], Answer]]


def health_routes(facts: Facts, poll_s: float) -> Routes:
    return {
        "/health": lambda: health(facts, poll_s),
        "/health/live": lambda: _state("alive" if facts.is_alive(poll_s) else "hung", facts.is_alive(poll_s)),
        "/health/ready": lambda: _ready(facts, poll_s),
    }


def metrics_routes(facts: Facts) -> Routes:
    return {"/metrics": lambda: Answer(200, metrics.text(facts), metrics.CONTENT_TYPE)}


def health(facts: Facts, poll_s: float) -> Answer:
    """503 when something is wrong, with what."""
    wrong = facts.what_is_wrong(poll_s)
    body: dict[str, Any] = {
        "status": "unhealthy" if wrong else "healthy",
        "uptime_secs": round(facts.uptime_s),
        "jobs_processed": facts.succeeded + facts.failed,
        "jobs_succeeded": facts.succeeded,
        "jobs_failed": facts.failed,
        "jobs_waiting": sum(scene.state not in ACTIVE for scene in facts.scenes),
        "disk_free_gb": _free_gb(facts),
        "current_job": next((_job(scene) for scene in facts.scenes if scene.state in ACTIVE), None),
    }
    if wrong:
        body["reason"] = redact(wrong)
    return Answer(503 if wrong else 200, json.dumps(body))


def _job(scene: Any) -> dict[str, Any]:
    return {
        "scene": scene.scene,
        "run": scene.run,
        "attempt": scene.attempt,
        "stage": scene.stage or str(scene.state),
        "progress": round(scene.fraction, 4),
        "detail": scene.detail,
        "eta_secs": scene.eta_s,
    }


def _free_gb(facts: Facts) -> float | None:
    try:
        return round(facts.free_gb(), 1)
    except OSError:  # a mount is gone; `what_is_wrong` tells
        return None


def _ready(facts: Facts, poll_s: float) -> Answer:
    wrong = facts.what_is_wrong(poll_s)
    return _state(redact(wrong) or "ready", not wrong)


def _state(word: str, well: bool) -> Answer:
    return Answer(200 if well else 503, json.dumps({"status": word}))


class Server:
    """Answers while it is entered. Raises ConfigurationError when it cannot listen."""

    def __init__(self, address: str, port: int, routes: Mapping[str, Callable[[], Answer]]) -> None:
        handler = type("Handler", (_Handler,), {"routes": dict(routes)})
        try:
            self._server = ThreadingHTTPServer((address, port), handler)
        except (OSError, OverflowError) as exc:
            raise ConfigurationError(
                f"{address}:{port} cannot be listened on: {exc}",
                advice="set HEALTH_CHECK_PORT, METRICS_PORT and LISTEN_ADDRESS to what is free on this machine",
            ) from exc
        self._server.daemon_threads = True
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    def __enter__(self) -> Server:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    routes: Mapping[str, Callable[[], Answer]]
    timeout = REQUEST_TIMEOUT_S
    server_version, sys_version = "watch", ""

    def do_GET(self) -> None:
        route = self.routes.get(self.path.partition("?")[0])
        answer = route() if route else Answer(404, json.dumps({"paths": sorted(self.routes)}))
        data = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Probes come every few seconds: no news."""
