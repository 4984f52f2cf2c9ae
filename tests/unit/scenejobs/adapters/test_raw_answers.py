"""What the SDK makes of a download is what its answer holds: a server that plays back an answer of the emulator."""

from __future__ import annotations

import gzip
import re
import socket
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from azure.storage.blob import ContainerClient

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.azure.clients import BLOCK_BYTES
from scenejobs.adapters.azure.retry import Patience, Retry
from scenejobs.errors import Busy

# Of Azurite 3.37.0 to a GET of a blob that was uploaded with the content encoding gzip; length and range are filled in.
RECORDED = {
    "last-modified": "Sat, 28 Nov 2026 14:42:31 GMT",
    "x-ms-creation-time": "Sat, 28 Nov 2026 14:42:31 GMT",
    "content-type": "video/mp4",
    "etag": '"0x22CF332D487E080"',
    "content-encoding": "gzip",
    "x-ms-blob-type": "BlockBlob",
    "x-ms-lease-state": "available",
    "x-ms-lease-status": "unlocked",
    "x-ms-request-id": "c1a4a8ce-bacb-431d-9173-c567653cf1ce",
    "x-ms-version": "2026-06-06",
    "accept-ranges": "bytes",
    "date": "Sat, 28 Nov 2026 14:42:31 GMT",
    "x-ms-server-encrypted": "true",
}
SMALL = gzip.compress(b"video" * 3, mtime=0)
BOMB = gzip.compress(bytes(256 * 2**20), mtime=0)  # 256 KiB


class Service(ThreadingHTTPServer):
    """Answers every GET with the bytes that are asked for, in the recorded form."""

    daemon_threads = True

    def __init__(self, data: bytes, encoding: str = "gzip", *, chunked: bool = False, cut: int | None = None) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.data, self.encoding, self.chunked = data, encoding, chunked
        self.cut = cut  # the answer that begins with this byte breaks off before its last
        self.asked: list[str] = []  # ranges
        self.accepted: set[str] = set()  # Accept-Encoding


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Service

    def do_GET(self) -> None:
        service = self.server
        service.asked.append(self.headers["x-ms-range"])
        service.accepted.add(self.headers.get("Accept-Encoding", ""))
        first, last = map(int, re.findall(r"\d+", self.headers["x-ms-range"]))
        part = service.data[first : last + 1]
        self.send_response(206)
        for name, value in RECORDED.items():
            self.send_header(name, service.encoding if name == "content-encoding" else value)
        self.send_header("content-range", f"bytes {first}-{first + len(part) - 1}/{len(service.data)}")
        self.send_header(*(("transfer-encoding", "chunked") if service.chunked else ("content-length", str(len(part)))))
        self.end_headers()
        cut = service.cut == first
        if cut:
            part, self.close_connection = part[:-1], True
        if service.chunked:
            for start in range(0, len(part), 1000):
                piece = part[start : start + 1000]
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n" if not cut else b"")
        else:
            self.wfile.write(part)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@contextmanager
def answering(service: Service) -> Iterator[AzureBlobStore]:
    thread = Thread(target=service.serve_forever, daemon=True)
    thread.start()
    retry = Retry(Patience(attempts=2, base_wait_s=0.01, max_wait_s=0.01))
    try:
        client = ContainerClient(
            f"http://127.0.0.1:{service.server_port}/account", "input", max_single_get_size=BLOCK_BYTES,
            max_chunk_get_size=BLOCK_BYTES, retry_policy=retry, use_env_settings=False,
        )  # fmt: skip
        with client:
            yield AzureBlobStore(client)
    finally:
        service.shutdown()
        service.server_close()
        thread.join()


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x-gzip", "GZIP"])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_an_answer_is_taken_as_it_is(tmp_path: Path, encoding: str, chunked: bool) -> None:
    """Whatever it is said to be encoded with, and whether its length is told before or not."""
    service = Service(SMALL, encoding, chunked=chunked)
    with answering(service) as store:
        store.download("lobby/a.mp4", tmp_path / "a")
        assert (tmp_path / "a").read_bytes() == store.read("lobby/a.mp4")[0] == SMALL
    assert service.accepted == {"identity"}  # a proxy on the way has no reason to pack anything either


def test_every_block_of_an_answer_is_taken_as_it_is(tmp_path: Path) -> None:
    """Each request of a download in blocks is one that must not unpack."""
    data = (SMALL * (2 * BLOCK_BYTES // len(SMALL) + 1))[: 2 * BLOCK_BYTES + 5]  # each block begins like gzip, or not
    service = Service(data)
    with answering(service) as store:
        store.download("lobby/a.mp4", tmp_path / "a")
    assert (tmp_path / "a").read_bytes() == data
    assert len(service.asked) == 3


TAKE: dict[str, Callable[[AzureBlobStore, Path], object]] = {
    "download": lambda store, path: store.download("a.mp4", path),
    "read": lambda store, _: store.read("a.mp4"),
}


@pytest.mark.parametrize("take", TAKE)
def test_a_bomb_takes_the_memory_of_what_is_stored(tmp_path: Path, take: str) -> None:
    """256 KiB that would be 256 MiB."""
    with answering(Service(BOMB)) as store:
        tracemalloc.start()
        try:
            TAKE[take](store, tmp_path / "a")
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert peak < 8 * 2**20


@pytest.mark.parametrize("block", [0, 1])
@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "in chunks"])
def test_an_answer_that_breaks_off_is_no_file(tmp_path: Path, chunked: bool, block: int) -> None:
    """Also in the middle, where the file would have its right length and a hole."""
    service = Service(bytes(2 * BLOCK_BYTES + 5), chunked=chunked, cut=block * BLOCK_BYTES)
    with answering(service) as store, pytest.raises(Busy):
        store.download("lobby/a.mp4", tmp_path / "a")
    assert list(tmp_path.iterdir()) == []


def test_a_stopped_emulator_is_told_with_how_to_start_it() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]  # bound and not listening: refused
        client = ContainerClient(
            f"http://127.0.0.1:{port}/devstoreaccount1", "input", retry_policy=Retry(Patience(attempts=1)),
            use_env_settings=False,
        )  # fmt: skip
        with client, pytest.raises(Busy) as told:
            list(AzureBlobStore(client).list())
    assert f"nothing answers at 127.0.0.1:{port}" in str(told.value)
    assert "start the storage emulator (video-splat cloud FOLDER)" in str(told.value)
