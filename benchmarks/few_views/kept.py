"""Trainings of a benchmark that is ended and continued: each adds a line to a file, and none is run twice."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

Line = dict[str, Any]


def trained(kept: Path, keys: Iterable[Line], measured: Callable[[Line], Line], seconds: float) -> list[Line]:
    """All lines of the file, after those of `keys` were added that it has not; none is begun after so many seconds.

    keys: what tells one training from others. measured: trains once and scores.
    """
    end_s = time.monotonic() + seconds
    for key in keys:
        if time.monotonic() > end_s:
            break
        if key not in [line["key"] for line in lines(kept)]:
            line = {"key": key, **measured(key)}
            print(json.dumps(line), flush=True)
            with kept.open("a") as file:
                file.write(json.dumps(line) + "\n")
    return lines(kept)


def lines(kept: Path) -> list[Line]:
    """All trainings so far."""
    return [json.loads(text) for text in kept.read_text().splitlines()] if kept.exists() else []
