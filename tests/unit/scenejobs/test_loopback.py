"""Servers on loopback answer programs of this machine, and no page that a person opens in a browser."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.jobs_api.executions import Executions
from local.jobs_api.server import JobsApi
from scenejobs.loopback import is_loopback_host
from watch.http_server import Response, Server

JOB = "/subscriptions/s/resourceGroups/g/providers/Microsoft.App/jobs/runner"
# Request lines and headers of a browser that a page made ask, and of programs.
FOREIGN = [
    ["Host: evil.example"], ["Host: evil.example:80"], ["Host: 127.0.0.1.nip.io"], ["Host: localhost.evil.example"],
    ["Host: 10.0.0.5"], ["Host: 0.0.0.0"], ["Host: [::ffff:a00:5]"], ["Host: "], ["Host: ["],
    ["Host: user@evil.example"],
    ["Host: localhost", "Host: evil.example"], [], ["Host: 127.0.0.1@evil.example"], ["Host: evil.example#@127.0.0.1"],
    ["Host: HERE", "Origin: http://evil.example"], ["Host: HERE", "Origin: null"], ["Host: HERE", "Origin: file://"],
    ["Host: HERE", "Origin: http://localhost:3000"], ["Host: HERE", "Origin: https://HERE"],
    ["Host: HERE", "Origin: http://HERE", "Origin: http://evil.example"],
]  # fmt: skip
OWN = [
    ["Host: HERE"],
    ["Host: localhost"],
    ["Host: LOCALHOST:1"],
    ["Host: [::1]:9"],
    ["Host: HERE", "Origin: http://HERE"],
]


def ask(port: int, method: str, path: str, headers: list[str], body: str = "") -> tuple[int, str]:
    """Status and body. The headers as they are: HTTP clients would put them right."""
    here = f"127.0.0.1:{port}"
    lines = [f"{method} {path} HTTP/1.1", *(line.replace("HERE", here) for line in headers), "Connection: close"]
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + body).encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
    return int(answer.split()[1]), answer.partition("\r\n\r\n")[2]


@contextmanager
def jobs_api(folder: Path) -> Iterator[tuple[int, Callable[[], int]]]:
    """Its port, and how many executions were started."""
    executions = Executions("runner", [sys.executable, "-c", ""], os.environ, folder)
    with JobsApi(executions) as api:
        yield api.port, lambda: len(executions.all())


@pytest.mark.parametrize("headers", FOREIGN, ids=" ".join)
def test_the_jobs_api_starts_nothing_for_a_page(headers: list[str], tmp_path: Path) -> None:
    with jobs_api(tmp_path) as (port, started):
        for method, path in (("POST", f"{JOB}/start"), ("GET", f"{JOB}/executions"), ("GET", JOB)):
            status, body = ask(port, method, path, headers)
            assert status in (400, 403, 421), (method, path)
            assert "runner" not in body
        assert started() == 0


@pytest.mark.parametrize("headers", OWN, ids=" ".join)
def test_the_jobs_api_answers_programs_of_this_machine(headers: list[str], tmp_path: Path) -> None:
    with jobs_api(tmp_path) as (port, started):
        assert ask(port, "POST", f"{JOB}/start", headers)[0] == 200
        assert started() == 1


@pytest.mark.parametrize("length", ["-1", "x", "9" * 30, "2000000", "\u0663", "1e3"])
def test_a_body_without_an_end_is_refused(length: str, tmp_path: Path) -> None:
    with jobs_api(tmp_path) as (port, started):
        assert ask(port, "POST", f"{JOB}/start", ["Host: HERE", f"Content-Length: {length}"])[0] == 400
        assert started() == 0


@contextmanager
def watching(address: str) -> Iterator[int]:
    with Server(address, 0, {"/health": lambda: Response(200, json.dumps({"scene": "lobby"}))}, "X") as server:
        yield int(server._server.server_address[1])


@pytest.mark.parametrize("headers", FOREIGN, ids=" ".join)
def test_watch_tells_a_page_nothing(headers: list[str]) -> None:
    with watching("127.0.0.1") as port:
        status, body = ask(port, "GET", "/health", headers)
        assert status in (400, 403, 421)
        assert "lobby" not in body


@pytest.mark.parametrize("headers", OWN, ids=" ".join)
def test_watch_tells_programs_of_this_machine(headers: list[str]) -> None:
    with watching("127.0.0.1") as port:
        assert ask(port, "GET", "/health", headers) == (200, '{"scene": "lobby"}')


@pytest.mark.parametrize("host", ["10.1.2.3:8080", "watch.default.svc.cluster.local", "watch", "node.example.org:9090"])
def test_where_watch_listens_for_other_machines_they_ask_by_any_name_and_pages_do_not(host: str) -> None:
    with watching("0.0.0.0") as port:
        assert ask(port, "GET", "/health", [f"Host: {host}"])[0] == 200
        assert ask(port, "GET", "/health", [f"Host: {host}", "Origin: http://evil.example"])[0] == 403


OWN_HOSTS = ["127.0.0.1", "127.9.9.9", "::1", "localhost", "LocalHost"]


@pytest.mark.parametrize("host", [*OWN_HOSTS, "localhost.", "0.0.0.0", "", "127.1", "2130706433", "::ffff:10.0.0.1"])
def test_which_hosts_are_this_machine(host: str) -> None:
    assert is_loopback_host(host) is (host in OWN_HOSTS)
