"""What a file cannot say about itself: the ETag and the metadata of the version that this adapter wrote.

They lie in a small file whose name tells which version it belongs to (inode, size, modification time) and which is
written before that version gets its name. So the rename that makes a version visible brings its ETag and metadata with
it, and a file that a person put there instead finds no such file and is known by its size, time and inode.
"""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from scenejobs.adapters.folder import openat
from scenejobs.adapters.folder.clock import moment
from scenejobs.ports import BlobInfo

# Whoever may write into the folder could give a name in it to a file that only we may read.
HARD_LINK = "it is a hard link: the file has another name as well, so copy it instead"
MAX_BYTES = 1 << 20  # of one such file


@dataclass(frozen=True)
class Version:
    """ETag and metadata of one version of one blob."""

    etag: str
    metadata: dict[str, str]


def stamp(status: os.stat_result) -> str:
    """Differs between versions. Not the change time: a rename, a backup or `chmod` would make a new version."""
    return f"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}"


def save(root: Path, name: str, status: os.stat_result, version: Version) -> None:
    body = {"name": name, "etag": version.etag, "metadata": version.metadata}
    with openat.private(root, "blobs", _key(name)[:2]) as here:
        openat.write_file(here, file_name(name, status), json.dumps(body).encode())


def load(root: Path, name: str, status: os.stat_result) -> Version | None:
    """None for a version that this adapter did not write."""
    with openat.private(root, "blobs", _key(name)[:2]) as here:
        data = openat.read_file(here, file_name(name, status), MAX_BYTES)
    if data is None:
        return None
    body = json.loads(data)
    return Version(str(body["etag"]), {str(key): str(value) for key, value in body["metadata"].items()})


def drop(root: Path, name: str, status: os.stat_result) -> None:
    with openat.private(root, "blobs", _key(name)[:2]) as here, suppress(FileNotFoundError):
        os.unlink(file_name(name, status), dir_fd=here)


def info(name: str, status: os.stat_result, version: Version | None, *, leased: bool) -> BlobInfo:
    """As a listing shows it. A file without a version of ours has an ETag made of its stamp.

    It is as old as the later of its two times: `cp -p`, `mv` and `rsync -t` give a new file the old one's modification
    time, but came just now all the same.
    """
    known = version or Version(hashlib.sha256(stamp(status).encode()).hexdigest()[:16].upper(), {})
    linked = version is None and status.st_nlink > 1  # ours is linked while it gets its name
    return BlobInfo(
        name,
        known.etag,
        status.st_size,
        _modified(status),
        dict(known.metadata),
        leased=leased,
        unusable=HARD_LINK if linked else "",
    )


def special_info(name: str, status: os.stat_result, what: str) -> BlobInfo:
    """Of what is no file, as a listing of uploads shows it."""
    etag = hashlib.sha256(f"{what} {stamp(status)}".encode()).hexdigest()[:16].upper()
    return BlobInfo(name, etag, 0, _modified(status), {}, unusable=what)


def _modified(status: os.stat_result) -> datetime:
    return moment(max(status.st_mtime_ns, status.st_ctime_ns)).replace(microsecond=0)


def _key(name: str) -> str:
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def file_name(name: str, status: os.stat_result) -> str:
    return f"{_key(name)}-{stamp(status)}"
