"""Which input folder a state folder belongs to.

An input folder bears a random id in its private folder, whatever path it is mounted at; a state folder names the id of
the input folder whose scenes it is about, and so does every folder of results that several of them share. Two input
folders on one state would starve each other: to the sweep of one the uploads of the other are gone.

A folder that was removed and made again at the same path has another id, and is the same to its user. So it keeps the
state, unless a watch on the folder before is alive: containers have the same path for what are two folders.
"""

from __future__ import annotations

import json
import os
import secrets
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from scenejobs.adapters.folder import openat
from scenejobs.adapters.folder.errors import os_errors

if TYPE_CHECKING:
    from scenejobs.adapters.folder import Places

ID = "id"  # in the private folder of an input folder
BELONGS = "belongs_to.json"  # in that of a state folder
LIVE_S = 300.0  # so long after its last look a watch counts as alive; one that was told to stop does not
SHOWN = 8  # characters of an id in the name of a folder


@dataclass(frozen=True)
class Owner:
    """An input folder, as its watch wrote it down."""

    id: str
    input: str  # its path there
    state: str
    name: str = ""  # of the instance


def id_of(folder: Path) -> str:
    """ "" where it has none."""
    try:
        return (folder / openat.PRIVATE / ID).read_text().strip()
    except (OSError, ValueError):
        return ""


def give_id(folder: Path, *, anew: bool = False) -> str:
    """The id of an input folder, made where it is missing. anew: another one. Raises AccessDenied, StorageError."""
    with os_errors(f"naming the folder {folder}"):
        folder.mkdir(parents=True, exist_ok=True)
        openat.prepare(folder)
        if anew:
            (folder / openat.PRIVATE / ID).unlink(missing_ok=True)
        write_new(folder / openat.PRIVATE / ID, secrets.token_hex(16))
    return id_of(folder)


def owner_of(state: Path) -> Owner | None:
    """None where it belongs to nobody yet, as one of an earlier program."""
    return read(state / openat.PRIVATE / BELONGS)


def claim(state: Path, owner: Owner) -> Owner:
    """Whose it is from now on: it stays with whoever came first. Raises AccessDenied, StorageError."""
    with os_errors(f"naming the folder {state}"):
        state.mkdir(parents=True, exist_ok=True)
        openat.prepare(state)
        write_new(state / openat.PRIVATE / BELONGS, json.dumps(asdict(owner)))
    return owner_of(state) or owner


def state_of(places: Places) -> Path:
    """The state folder of an input folder, where no other one was set: the usual one, unless that is another's."""
    own, owner = id_of(places.input), owner_of(places.state)
    if not own or owner is None or owner.id == own:
        return places.state
    beside = places.state.with_name(f"{places.state.name}-{own[:SHOWN]}")
    return places.state if not beside.exists() and is_made_again(places.state, owner, places.input) else beside


def is_made_again(state: Path, owner: Owner, folder: Path) -> bool:
    """Whether an input folder is in the place of the one that a state belongs to, which nobody watches any more."""
    try:
        seen = (state / openat.PRIVATE / BELONGS).stat().st_mtime
    except OSError:
        return False
    return owner.input == str(folder) and abs(time.time() - seen) > LIVE_S


def take_over(state: Path, owner: Owner) -> None:
    """Raises AccessDenied, StorageError."""
    with os_errors(f"naming the folder {state}"):
        (state / openat.PRIVATE / BELONGS).unlink(missing_ok=True)
        write_new(state / openat.PRIVATE / BELONGS, json.dumps(asdict(owner)))


def sign_of_life(state: Path, *, ends: bool = False) -> None:
    """Of the watch on the input folder. ends: there will be none after it."""
    with suppress(OSError):
        os.utime(state / openat.PRIVATE / BELONGS, (0, 0) if ends else None)


def read(file: Path) -> Owner | None:
    """None for what is missing or cannot be understood."""
    try:
        body = json.loads(file.read_text())
        return Owner(*(str(body[name]) for name in ("id", "input", "state", "name")))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_new(file: Path, text: str) -> None:
    """Whole or not at all; what is there stays."""
    if file.exists():
        return
    staged = file.with_name(f".{file.name}.{secrets.token_hex(6)}")
    try:
        with staged.open("x") as target:
            target.write(text)
            target.flush()
            os.fsync(target.fileno())
        with suppress(FileExistsError):
            try:
                os.link(staged, file)
            except OSError as exc:  # a file system without links
                if isinstance(exc, FileExistsError):
                    raise
                os.rename(staged, file)
                return
    finally:
        staged.unlink(missing_ok=True)
