"""The host's own address: HTTP functions below /api/, and the endpoint at which Event Grid reports uploads.

On 127.0.0.1, for this machine alone: it answers programs, and the page that it served itself. Keys are asked for as the
real host does it: a function whose level is `function` wants its key, Event Grid's endpoint its own.
"""

from __future__ import annotations

import hmac
import logging
import secrets
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import azure.functions as func

from local.functions_host import webhook
from local.functions_host.bindings import HostedFunction
from scenejobs.errors import ConfigurationError
from scenejobs.loopback import foreign

log = logging.getLogger(__name__)

API = "/api/"
EVENTS = "/runtime/webhooks/blobs"
MAX_BODY_BYTES = 1 << 20
KEY_HEADER = "x-functions-key"


@dataclass(frozen=True)
class HttpFunction:
    """A function that answers requests. key: what it wants; "" of one that lets everybody in."""

    call: Callable[[func.HttpRequest], Any]
    methods: frozenset[str]
    key: str


class HttpServer:
    """As a context manager it listens. function: None where the app has none. receive: a POST of Event Grid."""

    def __init__(
        self,
        function: HttpFunction | None,
        receive: Callable[[str, bytes], webhook.Answer],
        events_key: str,
        port: int = 0,
    ) -> None:
        attributes = {"function": function, "receive": staticmethod(receive), "events_key": events_key}
        self._server = ThreadingHTTPServer(("127.0.0.1", port), type("Handler", (_Handler,), attributes))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def start(self) -> None:
        self._thread.start()

    def stop(self, _: float | None = None) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> HttpServer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class _Handler(BaseHTTPRequestHandler):
    function: HttpFunction | None
    receive: Callable[[str, bytes], webhook.Answer]
    events_key: str
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_DELETE(self) -> None:
        self._with_body()

    def do_POST(self) -> None:
        self._with_body()

    def do_PUT(self) -> None:
        self._with_body()

    def _with_body(self) -> None:
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit() and len(length) < 9 and int(length) <= MAX_BODY_BYTES):
            self.close_connection = True  # where the next request begins cannot be told
            self._send(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, b"the length of the body is missing or too large", {})
            return
        self._answer(self.rfile.read(int(length)))

    def _answer(self, body: bytes) -> None:
        if (refused := foreign(self.headers)) is not None:
            self._send(refused[0], refused[1].encode(), {})
            return
        parts = urlsplit(self.path)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        if parts.path == EVENTS and self.command == "POST":
            self._receive(query, body)
        elif parts.path.startswith(API) and self.function and self.command in self.function.methods:
            self._call(self.function, query, body)
        else:
            self._send(HTTPStatus.NOT_FOUND, b"", {})

    def _receive(self, query: Mapping[str, str], body: bytes) -> None:
        if not _same(query.get("code", ""), self.events_key):
            self._send(HTTPStatus.UNAUTHORIZED, b"", {})
            return
        answer = self.receive(query.get("functionName", "").removeprefix("Host.Functions."), body)
        self._send(answer.status, answer.body.encode(), {"Content-Type": "application/json"})

    def _call(self, function: HttpFunction, query: Mapping[str, str], body: bytes) -> None:
        if function.key and not _same(self.headers.get(KEY_HEADER) or query.get("code", ""), function.key):
            self._send(HTTPStatus.UNAUTHORIZED, b"", {})
            return
        url = f"http://{self.headers['Host']}{self.path}"
        request = func.HttpRequest(self.command, url, headers=dict(self.headers.items()), params=query, body=body)
        try:
            found = function.call(request)
        except Exception:  # as the real host: whoever asked hears no more
            log.exception("a request failed: %s", self.command)
            self._send(HTTPStatus.INTERNAL_SERVER_ERROR, b"", {})
            return
        self._send(found.status_code, found.get_body(), dict(found.headers))

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NOT_MODIFIED:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status != HTTPStatus.NOT_MODIFIED:
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a page that is open asks every few seconds."""


def opened(
    function: HostedFunction | None,
    run: Callable[[str, Callable[[], Any]], Any],
    receive: Callable[[str, bytes], webhook.Answer],
    settings: Mapping[str, str],
) -> HttpServer | None:
    """Where LOCAL_HTTP_PORT asks for one. run: calls the function in the worker, by its name.

    Raises ConfigurationError where the port is taken.
    """
    port = settings.get("LOCAL_HTTP_PORT", "")
    if not port:
        return None
    key = settings.get("LOCAL_KEY") or secrets.token_hex(16)
    try:
        server = HttpServer(_http_function(function, run, key) if function else None, receive, key, int(port))
    except OSError as exc:
        raise ConfigurationError(
            f"port {port} of this machine is in use, and the page needs it",
            advice="stop the program there, or set LOCAL_HTTP_PORT to another port",
        ) from exc
    if file := settings.get("LOCAL_HTTP_PORT_FILE"):
        part = Path(file).with_suffix(".part")
        part.write_text(str(server.port))
        part.replace(file)
    return server


def _http_function(function: HostedFunction, run: Callable[[str, Callable[[], Any]], Any], key: str) -> HttpFunction:
    """The binding holds the words of the real host, as texts or as members of its library's enums."""
    level, *methods = (
        str(getattr(word, "value", word)) for word in (function.trigger["authLevel"], *function.trigger["methods"])
    )
    return HttpFunction(
        lambda request: run(function.name, lambda: function.answer(request)),
        frozenset(methods),
        "" if level == "anonymous" else key,
    )


def _same(given: str, wanted: str) -> bool:
    return bool(wanted) and hmac.compare_digest(given.encode(), wanted.encode())
