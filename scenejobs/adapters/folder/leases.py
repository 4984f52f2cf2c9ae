"""Leases of a folder's blobs: one small file per leased blob, changed under the blob's lock only."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from scenejobs.adapters.folder import openat

MAX_BYTES = 65_536


@dataclass(frozen=True)
class Held:
    """Who has the lease of a blob, and until when. Over when `until` has passed, but still renewable until a change."""

    id: str
    until: datetime
    seconds: int

    def renewed(self, now: datetime) -> Held:
        return Held(self.id, now + timedelta(seconds=self.seconds), self.seconds)


def load(root: Path, name: str) -> Held | None:
    with openat.private(root, "leases") as here:
        data = openat.read_file(here, _file(name), MAX_BYTES)
    if data is None:
        return None
    body = json.loads(data)
    return Held(str(body["id"]), datetime.fromisoformat(body["until"]), int(body["seconds"]))


def save(root: Path, name: str, held: Held) -> None:
    body = {"name": name, "id": held.id, "until": held.until.isoformat(), "seconds": held.seconds}
    with openat.private(root, "leases") as here:
        openat.write_file(here, _file(name), json.dumps(body).encode())


def drop(root: Path, name: str) -> None:
    with openat.private(root, "leases") as here, suppress(FileNotFoundError):
        os.unlink(_file(name), dir_fd=here)


def _file(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
