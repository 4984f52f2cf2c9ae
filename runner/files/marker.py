"""The file a stage writes last: its result, and the fingerprint of what it was made from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runner.files.atomic import write_atomically


def fingerprint(*inputs: Any) -> str:
    """One word that changes when any input does. Inputs: JSON values, paths as text, reprs of settings."""
    return hashlib.sha256(json.dumps(inputs, sort_keys=True, default=repr).encode()).hexdigest()[:32]


def file_fingerprint(path: Path) -> str:
    """Of size, first and last MiB: gigabytes are not read twice, and a changed video changes its head or tail."""
    size, block = path.stat().st_size, 1 << 20
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as file:
        digest.update(file.read(block))
        file.seek(max(0, size - block))
        digest.update(file.read(block))
    return digest.hexdigest()[:32]


def read_marker(path: Path, made_from: str | None = None) -> dict[str, Any] | None:
    """The stored result, or None when the stage has to run: no marker, another fingerprint, or unreadable.

    Without `made_from` any fingerprint will do.
    """
    try:
        marker = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    if not isinstance(marker, dict) or (made_from is not None and marker.get("made_from") != made_from):
        return None
    result: dict[str, Any] = marker["result"]
    return result


def write_marker(path: Path, made_from: str, result: Mapping[str, Any]) -> None:
    """Raises ResourceError when the disk is full."""
    text = json.dumps({"made_from": made_from, "result": result}, ensure_ascii=False, indent=1)
    write_atomically(path, [text.encode("utf-8")])
