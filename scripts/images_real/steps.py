"""A command with what is expected of it, and a row of what was seen, kept so that parts can be run one by one."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path


class Failed(Exception):
    """Something was not as expected."""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    part: str
    what: str
    seen: str
    seconds: float


class Steps:
    """Runs commands and keeps rows. A part that is run again replaces its rows."""

    def __init__(self, file: Path, part: str) -> None:
        self._file, self._part = file, part
        self._rows: list[Row] = []

    def row(self, what: str, seen: str, seconds: float = 0.0) -> None:
        self._rows.append(Row(self._part, what, seen, round(seconds, 1)))
        print(f"{self._part}: {what}: {seen}" + (f" ({seconds:.0f} s)" if seconds else ""), flush=True)
        others = [row for row in read(self._file) if row.part != self._part]
        self._file.write_text(json.dumps([asdict(row) for row in (*others, *self._rows)], indent=1))

    def run(self, command: Sequence[str], *, code: int | None = 0, env: Mapping[str, str] | None = None,
            cwd: Path | None = None, timeout: float = 1800) -> str:  # fmt: skip
        """What it printed, both streams. Raises Failed for another exit code than this (None: any)."""
        print("$", " ".join(command), file=sys.stderr, flush=True)
        done = subprocess.run(
            command, env=env, cwd=cwd, timeout=timeout, check=False, text=True, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        if code is not None and done.returncode != code:
            raise Failed(f"{' '.join(command)}: exit code {done.returncode}, not {code}\n{done.stdout[-6000:]}")
        return done.stdout

    def expect(self, found: bool, what: str, text: str = "") -> None:  # a condition
        if not found:
            raise Failed(f"{self._part}: not so: {what}\n{text[-6000:]}")


def read(file: Path) -> list[Row]:
    return [Row(**row) for row in json.loads(file.read_text())] if file.is_file() else []


def timed(start: float) -> float:
    return time.monotonic() - start
