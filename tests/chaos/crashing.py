"""Runs a program and kills or freezes it at one of its requests, or loses the answer. No program of ours knows of it.

    CHAOS=b:17 CHAOS_TRACE=FILE python -m tests.chaos.crashing runner

b:n  SIGKILL before request n is sent
a:n  SIGKILL after its answer has come
s:n  SIGSTOP before request n is sent
l:n  request n reaches the service, and the connection breaks before the answer

Wrapped is what lies below every client of the Azure SDK: the adapter of `requests`. Counted are requests of the main
thread, whose order is the program's; heartbeats and progress come when time says so, and are let through. The trace
gets one line per counted request before it is sent: number, method, path with query, and what the headers add.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import ProtocolError

SIGNALS = {"b": signal.SIGKILL, "a": signal.SIGKILL, "s": signal.SIGSTOP}


@dataclass(frozen=True)
class Point:
    """One request, and what happens at it."""

    kind: str  # b, a, s or l; "" for nothing at all
    number: int

    @staticmethod
    def parse(text: str) -> Point:
        kind, _, number = text.partition(":")
        if text and (kind not in (*SIGNALS, "l") or not number.isdecimal()):
            raise ValueError(f"CHAOS={text!r}: b, a, s or l, a colon, and the number of a request")
        return Point(kind, int(number or 0))

    def __str__(self) -> str:
        return f"{self.kind}:{self.number}"


class Requests:
    """Counts, writes down, and strikes at its point."""

    def __init__(self, point: Point, trace: Path | None) -> None:
        self._point = point
        self._trace = trace
        self._count = 0

    def __call__(self, request: requests.PreparedRequest, send: Callable[[], Any]) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return send()
        self._count += 1
        self._note(request)
        here = self._point.number == self._count
        if here and self._point.kind in ("b", "s"):
            os.kill(os.getpid(), SIGNALS[self._point.kind])
        answer = send()
        if here and self._point.kind == "a":
            os.kill(os.getpid(), signal.SIGKILL)
        if here and self._point.kind == "l":
            answer.close()
            raise requests.exceptions.ConnectionError(ProtocolError("Connection aborted.", ConnectionResetError(104)))
        return answer

    def _note(self, request: requests.PreparedRequest) -> None:
        if self._trace is None:
            return
        url = urlsplit(str(request.url))
        action = request.headers.get("x-ms-lease-action") or ("copy" if "x-ms-copy-source" in request.headers else "")
        with self._trace.open("a", encoding="utf-8") as file:
            file.write(f"{self._count} {request.method} {url.path}?{url.query} {_text(action)}".strip() + "\n")


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value


def install(env: Mapping[str, str]) -> None:
    trace = env.get("CHAOS_TRACE")
    strike = Requests(Point.parse(env.get("CHAOS", "")), Path(trace) if trace else None)
    real = requests.adapters.HTTPAdapter.send

    def send(self: requests.adapters.HTTPAdapter, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:
        return strike(request, lambda: real(self, request, *args, **kwargs))

    requests.adapters.HTTPAdapter.send = send  # type: ignore[method-assign]


if __name__ == "__main__":
    install(os.environ)
    sys.argv = sys.argv[1:]
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
