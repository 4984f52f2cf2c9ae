"""A loopback server that answers as the management service does, with whatever answer a test puts into it."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from scenejobs.settings.groups import ComputeSettings


@dataclass
class Answer:
    """One answer. `hang`: none at all until the server is closed. `cut`: the connection ends after so many bytes."""

    status: int
    body: Any = None  # written as JSON; None: empty
    headers: dict[str, str] = field(default_factory=dict)
    hang: bool = False
    cut: int | None = None  # of the body; 0: nothing is sent, the status neither


@dataclass
class JobsApi:
    """The server's answers, first to last (the last is repeated), and the requests it saw."""

    answers: list[Answer]
    url: str = ""
    requests: list[tuple[str, str, str]] = field(default_factory=list)  # method, path, body
    closed: threading.Event = field(default_factory=threading.Event)

    @property
    def settings(self) -> ComputeSettings:
        return ComputeSettings("11111111-2222-3333-4444-555555555555", "rg", "runner", self.url)


@contextmanager
def jobs_api(*answers: Answer) -> Iterator[JobsApi]:
    api = JobsApi(list(answers))

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            api.requests.append((self.command, self.path.partition("?")[0], body.decode()))
            answer = api.answers.pop(0) if len(api.answers) > 1 else api.answers[0]
            if answer.hang:
                api.closed.wait(30)
                return
            if answer.cut == 0:
                return
            data = b"" if answer.body is None else json.dumps(answer.body).encode()
            self.send_response(answer.status)
            for name, value in {"Content-Type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data[: answer.cut])

        do_GET = do_POST = answer

        def log_message(self, format: str, *args: object) -> None:
            """Tests read `requests`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    api.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        api.closed.set()
        server.shutdown()
        thread.join()
        server.server_close()
