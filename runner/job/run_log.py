"""The log of one run, collected in a file beside its work so that it can be stored with its outcome."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator
from pathlib import Path

from scenejobs.logs.setup import Redaction, TextFormatter

TAIL_BYTES = 1 << 20  # of a log are stored: the end tells why


@contextlib.contextmanager
def collected(path: Path) -> Iterator[None]:
    """Everything logged meanwhile goes to the file as well, appended. The child process writes to the same file."""
    handler = logging.FileHandler(path, mode="a", encoding="utf-8")
    handler.setFormatter(TextFormatter({}, context=False))  # all of it is about one scene and one run
    handler.addFilter(Redaction())
    logging.getLogger().addHandler(handler)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)
        handler.close()


def tail(path: Path, limit_bytes: int = TAIL_BYTES) -> bytes:
    """The end of the log, from the beginning of a line; empty when there is none."""
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - limit_bytes))
        data = file.read()
    return data if size <= limit_bytes else data[data.find(b"\n") + 1 :]
