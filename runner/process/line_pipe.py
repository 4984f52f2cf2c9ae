"""A pipe that carries lines from a child process: read without blocking, bounded in memory."""

from __future__ import annotations

import os
import select
from types import TracebackType

MAX_LINE = 1 << 16  # bytes
CHUNK = 1 << 16


class LinePipe:
    """Context manager. The write end goes to the child (`pass_fds`) and is closed here once it has it.

    longest: bytes of a line; a longer one is none of ours and is thrown away.
    """

    def __init__(self, longest: int = MAX_LINE) -> None:
        self._longest = longest
        self._read_end, self.write_end = os.pipe()
        self._rest = b""
        self._write_open = True
        self.ended = False  # the child has closed its end

    def __enter__(self) -> LinePipe:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close_write_end()
        os.close(self._read_end)

    def close_write_end(self) -> None:
        if self._write_open:
            os.close(self.write_end)
            self._write_open = False

    def lines(self, wait_s: float) -> list[bytes]:
        """The whole lines that came, after waiting up to `wait_s` for the first; sleeps that long once it has ended."""
        if self.ended:
            select.select([], [], [], wait_s)
            return []
        ready, _, _ = select.select([self._read_end], [], [], wait_s)
        while ready:
            data = os.read(self._read_end, CHUNK)
            self.ended = not data
            self._rest += data
            if self.ended or len(self._rest) > self._longest + 4 * CHUNK:
                break
            ready, _, _ = select.select([self._read_end], [], [], 0)
        *whole, self._rest = self._rest.split(b"\n")
        if len(self._rest) > self._longest:
            self._rest = b""
        return [line for line in whole if 0 < len(line) <= self._longest]
