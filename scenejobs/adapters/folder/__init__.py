"""Folders instead of containers: the same ports on a disk or a network mount, for watch mode, compose and volumes.

    DATA/input/lobby/a.mp4                a blob; a file that somebody simply copies there is one too
    DATA/input/.scenejobs/                what a file cannot record itself (`etags.py`, `leases.py`), locks,
                                          half-written files; never listed, and no blob can be called like that
    DATA/state/.scenejobs/queues/jobs/    messages, one file each (`queues.py`)

Versions. A file that this adapter wrote has a random ETag, kept beside it. The ETag of a file put there by hand is
made of size, modification time (nanoseconds) and inode: reading gigabytes at every listing to hash them is no
alternative, and every usual way of replacing a file changes one of the three. A file that is still being copied has a
new ETag at every look, and is as old as its last change, so the quiet time does not end before the copy does.

Several processes may use one folder at once. A blob appears by a rename (or a link, where nothing may be there yet) of
a finished file: killed at any point there is the old one or the new one. Conditions, leases and replacing are done
under a lock of the file system (`flock`), which ends with its process.

What holds where:
- Local disks of Linux and macOS: all of it.
- NFS 4 and NFS 3 with its lock service: all of it, as `flock` becomes a lock of the server there. A listing can be as
  old as the mount's attribute cache (`ac*` options, seconds): the quiet time must be longer. Ages come from the
  server's clock.
- SMB: with `serverino` (the default; inode numbers must stay the same) and without `nobrl` (locks must reach the
  server). Where the server knows no links, creating is check and rename under the lock.
- Disks without stable inode numbers (exFAT, some FUSE): every remount makes new versions of everything. Not supported.
- File systems that do not tell `A.mp4` from `a.mp4`: the two are one blob. Names in the state container differ by more
  than case (`names.scene_key`), so records never mix.
- A person who overwrites a file in place in the microseconds between the last check and its removal or replacement is
  not noticed: people take no locks. Replace a video by moving a finished one there.
- `lobby` and `lobby/a.mp4` cannot both be blobs, and a segment has at most 255 bytes: refused with Conflict and
  StorageError.
- Links are neither followed nor listed, whoever made them; neither are pipes, sockets and devices. Where people put
  their uploads, these are listed as unusable, without being opened, and so is a file that has another name as well.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path

from scenejobs.adapters.folder.blobs import FolderBlobStore
from scenejobs.adapters.folder.clock import FolderClock
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.adapters.folder.openat import PRIVATE
from scenejobs.adapters.folder.queues import FolderQueue
from scenejobs.ports import Containers, Queues

__all__ = ["FolderBlobStore", "FolderClock", "FolderQueue", "Places", "open_containers", "open_queues"]


@dataclass(frozen=True)
class Places:
    """Which folder stands for which container. They may lie on different disks and mounts."""

    input: Path
    output: Path
    processed: Path
    error: Path
    state: Path  # the queues lie in its private part

    @staticmethod
    def below(root: Path) -> Places:
        return Places(*(root / item.name for item in fields(Places)))

    def all(self) -> tuple[Path, ...]:
        return tuple(getattr(self, item.name) for item in fields(Places))


def open_containers(places: Places) -> Containers:
    """The five containers as folders, made where they are missing. Raises AccessDenied, StorageError."""
    return Containers(
        # The folders that uploads come into belong to whoever uploads: they stay when they become empty.
        input=_store(places.input, "input", of_people=True),
        output=_store(places.output, "output"),
        processed=_store(places.processed, "processed"),
        error=_store(places.error, "error"),
        state=_store(places.state, "state"),
    )


def open_queues(places: Places) -> Queues:
    """The three queues, made where they are missing."""
    folder = places.state / PRIVATE / "queues"
    return Queues(
        debounce=FolderQueue(folder / "debounce"),
        jobs=FolderQueue(folder / "jobs"),
        poison=FolderQueue(folder / "jobs-poison"),
    )


def _store(folder: Path, name: str, *, of_people: bool = False) -> FolderBlobStore:
    with os_errors(f"making the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
    return FolderBlobStore(folder, name, of_people=of_people)
