"""What is recorded of a file, message or log: JSON as the value it holds, a report as its words, else size and hash."""

from __future__ import annotations

import hashlib
import html
import json
import re
from pathlib import Path
from typing import Any

PRESENT_ONLY = "run.log"  # full of times, paths and names of modules
REPORT = "report.html"
INVISIBLE = re.compile(r"<(style|script|svg)\b.*?</\1>|<[^>]*>", re.DOTALL)
DURATION = re.compile(r"\b\d[\d,]*(\.\d+)? ?(s|min|h)\b|(?<=wall s )[\d.,e-]+")
BY_PLACE = ("timestamp", "target")  # of a log line: when, and the name of the module
RANDOM_ID = re.compile(r"0{20}[0-9a-f]{12}|0{8}-0000-0000-0000-[0-9a-f]{12}")  # a uuid4 of the counted ones


def value_of(text: str) -> Any:
    """JSON parsed, else the text. How many ids were drawn before is nobody's affair."""
    text = RANDOM_ID.sub("(an id)", text)
    try:
        return json.loads(text)
    except ValueError:
        return text


def content(name: str, data: bytes) -> Any:
    """Of a file or blob of this name."""
    if name.endswith(PRESENT_ONLY):
        return "(present)"
    if name.endswith(REPORT):
        return words(data.decode())
    if name.endswith(".json"):
        return value_of(data.decode())
    return {"size_bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}


def words(page: str) -> str:
    """What a person reads on the page, but for durations."""
    text = html.unescape(INVISIBLE.sub(" ", page))
    return DURATION.sub("(time)", " ".join(text.split()))


def said(text: str) -> list[Any]:
    """The lines a program printed, and what its log says without when and where."""
    lines = [value_of(line) for line in text.splitlines()]
    return [
        {key: value for key, value in line.items() if key not in BY_PLACE} if isinstance(line, dict) else line
        for line in lines
    ]


def contents(folder: Path) -> dict[str, Any]:
    """Of every file below the folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): content(path.name, path.read_bytes()) for path in files}
