"""A proxy between the storage SDK and the emulator that spoils chosen requests, as networks and busy services do.

It forwards what it does not spoil byte by byte: the raw path, every header, bodies as they come. The signature of a
request covers neither host nor port, so the emulator accepts it. The source of a copy may name the proxy as well:
within one account the emulator takes container and blob from that URL and asks nobody.

One connection to the emulator per connection of a client, both kept alive. It runs in a thread of its own.
"""

from __future__ import annotations

import asyncio
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from types import TracebackType

BLOCK_BYTES = 1 << 16
HEAD_LIMIT_BYTES = 1 << 18  # a query with a long prefix, every metadata header: far below
UPSTREAM_IDLE_S = 2.0  # the emulator closes a connection after 5 s without a request: it must not be used then
BUSY = b"<?xml version='1.0'?><Error><Code>ServerBusy</Code><Message>Spoiled by a test.</Message></Error>"
_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d+)\s*$")
_CHUNKED = re.compile(rb"(?im)^transfer-encoding:\s*chunked\s*$")


class Fault(StrEnum):
    """What happens to a request."""

    DROP_BEFORE = "drop_before"  # the service never sees it; the client's connection is reset
    DROP_AFTER = "drop_after"  # the service does it; the acknowledgement is lost
    STATUS = "status"  # the service is not asked: `status` is the answer, with Retry-After if that is set
    DELAY = "delay"  # forwarded after `seconds`
    TRUNCATE = "truncate"  # the answer ends in the middle of its body
    CORRUPT = "corrupt"  # one bit of the answer's body is another
    BLACKHOLE = "blackhole"  # nothing comes back for `seconds`, then the connection is reset; the service sees nothing


@dataclass
class Rule:
    """Which requests are spoiled, and how. With several faults one is drawn for each request."""

    match: str  # regular expression, searched for in "METHOD /path?query"
    faults: tuple[Fault, ...] | Fault
    skip: int = 0  # so many matching requests pass first
    count: int | None = 1  # so many are spoiled; None: no end
    probability: float = 1.0
    statuses: tuple[int, ...] = (500, 503)  # one is drawn
    retry_after_s: float | None = None
    seconds: float = 0.0
    reached: threading.Event = field(default_factory=threading.Event)  # set when the first request is spoiled


@dataclass(frozen=True)
class Seen:
    """One request as it went through, for looking at afterwards."""

    request: str  # "METHOD /path?query"
    fault: Fault | None
    at: float = 0.0  # monotonic


@dataclass(frozen=True)
class _Spoiling:
    """What was drawn for one request."""

    fault: Fault
    status: int
    retry_after_s: float | None
    seconds: float


class FaultProxy:
    """Context manager. `rules` may be changed at any time; the first that applies decides."""

    def __init__(self, upstream_port: int, rules: Iterable[Rule] = (), *, seed: int = 0) -> None:
        self.rules = list(rules)
        self.seen: list[Seen] = []
        self.port = 0
        self._upstream_port = upstream_port
        self._chance = random.Random(seed)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault proxy", daemon=True)
        self._server: asyncio.Server | None = None
        self._clients: dict[asyncio.Task[None], _Connection] = {}

    @property
    def faults(self) -> Counter[Fault]:
        """How many requests were spoiled, by kind."""
        return Counter(seen.fault for seen in list(self.seen) if seen.fault is not None)

    def requests(self, match: str = "") -> list[str]:
        return [seen.request for seen in list(self.seen) if re.search(match, seen.request)]

    def __enter__(self) -> FaultProxy:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._listen(), self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=HEAD_LIMIT_BYTES)
        self.port = int(self._server.sockets[0].getsockname()[1])

    async def _close(self) -> None:
        assert self._server is not None
        self._server.close()
        connections = list(self._clients.values())
        for task in list(self._clients):
            task.cancel()
        await asyncio.gather(*self._clients, return_exceptions=True)
        for connection in connections:  # also of a task that was cancelled before its first step, or while it closed
            connection.abort()
        await asyncio.sleep(0.01)  # the loop still has to close their sockets

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(reader, writer, self._upstream_port, self._choose)
        task = self._loop.create_task(self._serve(connection))
        self._clients[task] = connection
        task.add_done_callback(self._clients.pop)

    async def _serve(self, connection: _Connection) -> None:
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await connection.serve()  # either side ended: so does the other
        finally:
            await connection.close()

    def _choose(self, request: str) -> _Spoiling | None:
        for rule in self.rules:
            if self._applies(rule, request):
                fault = rule.faults if isinstance(rule.faults, Fault) else self._chance.choice(rule.faults)
                self.seen.append(Seen(request, fault, time.monotonic()))
                rule.reached.set()
                return _Spoiling(fault, self._chance.choice(rule.statuses), rule.retry_after_s, rule.seconds)
        self.seen.append(Seen(request, None, time.monotonic()))
        return None

    def _applies(self, rule: Rule, request: str) -> bool:
        if rule.count == 0 or not re.search(rule.match, request):
            return False
        if rule.skip > 0:
            rule.skip -= 1
            return False
        if self._chance.random() >= rule.probability:
            return False
        if rule.count is not None:
            rule.count -= 1
        return True


class _Reset(ConnectionError):
    """The client's connection is cut here, without a goodbye."""


class _Connection:
    """One client's connection and the one to the emulator that belongs to it."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        upstream_port: int,
        choose: Callable[[str], _Spoiling | None],
    ) -> None:
        self._reader, self._writer = reader, writer
        self._upstream_port = upstream_port
        self._choose = choose
        self._up: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._up_used_at = 0.0

    async def serve(self) -> None:
        while True:
            head = await self._reader.readuntil(b"\r\n\r\n")
            method, target, _ = head.split(b"\r\n", 1)[0].split(b" ", 2)
            spoiling = self._choose(f"{method.decode('ascii')} {target.decode('latin-1')}")
            try:
                await self._handle(head, method, spoiling)
            except _Reset:
                self._writer.transport.abort()
                return

    async def _handle(self, head: bytes, method: bytes, spoiling: _Spoiling | None) -> None:
        match spoiling:
            case _Spoiling(Fault.DROP_BEFORE):
                raise _Reset
            case _Spoiling(Fault.BLACKHOLE):
                await asyncio.sleep(spoiling.seconds)
                raise _Reset
            case _Spoiling(Fault.STATUS):
                await _pass_body(head, self._reader, None)
                await self._answer(spoiling, method)
                return
            case _Spoiling(Fault.DELAY):
                await asyncio.sleep(spoiling.seconds)
        await self._forward(head, method, spoiling.fault if spoiling else None)

    async def _forward(self, head: bytes, method: bytes, fault: Fault | None) -> None:
        up_reader, up_writer = await self._upstream()
        up_writer.write(head)
        await _pass_body(head, self._reader, up_writer)
        await up_writer.drain()
        answer = await up_reader.readuntil(b"\r\n\r\n")
        self._up_used_at = time.monotonic()
        bodyless = method == b"HEAD" or answer.split(b" ", 2)[1] in (b"204", b"304")
        if fault in (Fault.DROP_AFTER, Fault.TRUNCATE, Fault.CORRUPT):
            body = b"" if bodyless else await _whole_body(answer, up_reader)
            await self._spoil(answer, body, fault)
            return
        self._writer.write(answer)
        if not bodyless:
            await _pass_body(answer, up_reader, self._writer)
        await self._writer.drain()

    async def _spoil(self, answer: bytes, body: bytes, fault: Fault) -> None:
        if fault is Fault.CORRUPT and body:
            self._writer.write(_with_length(answer, len(body)) + bytes([body[0] ^ 1]) + body[1:])
            await self._writer.drain()
            return
        if fault is Fault.CORRUPT:  # nothing to damage but the answer itself
            raise _Reset
        if fault is Fault.TRUNCATE and body:
            self._writer.write(_with_length(answer, len(body)) + body[: len(body) // 2])
            await self._writer.drain()
            self._writer.close()  # what was written arrives; a reset could overtake it
        raise _Reset

    async def _answer(self, spoiling: _Spoiling, method: bytes) -> None:
        body = b"" if method == b"HEAD" else b"<html>busy</html>"
        lines = [
            f"HTTP/1.1 {spoiling.status} Spoiled",
            "x-ms-request-id: 00000000-0000-0000-0000-000000000000",  # as every answer of the service has
            "x-ms-error-code: ServerBusy",
            "Content-Type: application/xml",
            f"Content-Length: {len(body)}",
        ]
        if spoiling.retry_after_s is not None:
            lines.append(f"Retry-After: {spoiling.retry_after_s:g}")
        self._writer.write("\r\n".join([*lines, "", ""]).encode() + body)
        await self._writer.drain()

    async def _upstream(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        idle_s = time.monotonic() - self._up_used_at
        if self._up is not None and (idle_s > UPSTREAM_IDLE_S or self._up[0].at_eof()):
            self._up[1].close()
            self._up = None
        if self._up is None:
            self._up = await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=HEAD_LIMIT_BYTES)
        return self._up

    async def close(self) -> None:
        writers = self._writers()
        for writer in writers:
            writer.close()
        for writer in writers:
            with suppress(ConnectionError):
                await writer.wait_closed()

    def abort(self) -> None:
        for writer in self._writers():
            writer.transport.abort()

    def _writers(self) -> list[asyncio.StreamWriter]:
        return [self._writer, *([self._up[1]] if self._up else [])]


async def _pass_body(head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter | None) -> None:
    """The body that follows this head, to the writer as it comes; thrown away without one."""
    if _CHUNKED.search(head):
        while True:
            line = await reader.readuntil(b"\r\n")
            size = int(line.split(b";")[0], 16)
            data = line + await reader.readexactly(size + 2)
            if writer is not None:
                writer.write(data)
                await writer.drain()
            if size == 0:
                return
    found = _LENGTH.search(head)
    left = int(found[1]) if found else 0
    while left > 0:
        data = await reader.read(min(left, BLOCK_BYTES))
        if not data:
            raise asyncio.IncompleteReadError(b"", left)
        left -= len(data)
        if writer is not None:
            writer.write(data)
            await writer.drain()


async def _whole_body(head: bytes, reader: asyncio.StreamReader) -> bytes:
    if _CHUNKED.search(head):
        parts = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readexactly(2)
        return b"".join(parts)
    found = _LENGTH.search(head)
    return await reader.readexactly(int(found[1])) if found else b""


def _with_length(head: bytes, length: int) -> bytes:
    """The head of an answer whose body is sent in one piece."""
    about_length = (b"transfer-encoding:", b"content-length:")
    lines = [line for line in head.rstrip(b"\r\n").split(b"\r\n") if not line.lower().startswith(about_length)]
    return b"\r\n".join([*lines, b"Content-Length: %d" % length, b"", b""])


def port_of(endpoint: str) -> int:
    """Of an endpoint of the emulator, `http://127.0.0.1:10000/account`."""
    return int(endpoint.split(":")[2].split("/")[0])


def through(connection_string: str, *, blob: FaultProxy | None = None, queue: FaultProxy | None = None) -> str:
    """The emulator's connection string with its endpoints replaced by proxies."""
    for service, proxy in (("BlobEndpoint", blob), ("QueueEndpoint", queue)):
        if proxy is not None:
            connection_string = re.sub(
                rf"({service}=http://127\.0\.0\.1:)\d+", rf"\g<1>{proxy.port}", connection_string
            )
    return connection_string
