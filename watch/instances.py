"""Several watches beside each other: which state an instance works on, and whose a scene's name is.

On the same input folder they share the scenes: one state, each scene done once by whichever instance takes it. On input
folders of their own they divide: each has a state of its own, the first the usual one, the others one beside it. Where
these write to the same folders, two scenes of one name would be one result: the later one waits, and is told.
"""

from __future__ import annotations

import json
import socket
import time
from dataclasses import asdict
from pathlib import Path

from scenejobs.adapters.folder import Places, inputs
from scenejobs.adapters.folder.errors import os_errors
from scenejobs.adapters.folder.inputs import Owner
from scenejobs.adapters.folder.openat import PRIVATE
from scenejobs.adapters.open import places
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import FolderSettings
from scenejobs.state.layout import record_name

INSTANCES = "instances"  # in the private folders of output, processed and error: who writes there
NAMES = "names"  # and which instance has a scene's name
CLAIM_S = 86400.0  # so long a name is kept for an instance that made nothing of it
SHARED = ("output", "processed", "error")


def name_of(chosen: str) -> str:
    return chosen or socket.gethostname() or "watch"


def settle(folders: FolderSettings, name: str) -> tuple[Places, Owner]:
    """The folders of this instance, its state among them, and who it is.

    Raises ConfigurationError where the state folder that was set belongs to another input folder; AccessDenied,
    StorageError.
    """
    where = places(folders)
    own = inputs.give_id(where.input)
    for _ in range(3):  # where two begin at once, the later one sees whose the state is
        where = places(folders)
        me = Owner(own, str(where.input), str(where.state), name)
        owner = inputs.claim(where.state, me)
        if owner.id == own and _is_copy(where.input, owner):
            own = inputs.give_id(where.input, anew=True)
        elif owner.id == own:
            return where, me
        elif inputs.is_made_again(where.state, owner, where.input):
            inputs.take_over(where.state, me)
            return where, me
    raise ConfigurationError(
        f"the state folder {where.state} belongs to another input folder, {owner.input}",
        advice=f"leave STATE_PATH out, or set one for each input folder; if {owner.input} is gone for good, remove "
        f"{where.state / PRIVATE / inputs.BELONGS}",
    )


def _is_copy(folder: Path, owner: Owner) -> bool:
    """Whether it was copied with its id, and both are there."""
    other = Path(owner.input)
    try:
        return inputs.id_of(other) == owner.id and not other.samefile(folder)
    except OSError:
        return False


class Instances:
    """What other instances have to do with the folders of this one. `begin` is called at every look."""

    def __init__(self, where: Places, me: Owner) -> None:
        self._me = me
        self._private = [getattr(where, place) / PRIVATE for place in SHARED]
        self._state = where.state
        with os_errors("naming this instance"):
            for folder in self._private:
                (folder / INSTANCES).mkdir(exist_ok=True)
                (folder / INSTANCES / f"{me.id}.json").write_text(json.dumps(asdict(me)))
        self.begin()

    @property
    def name(self) -> str:
        return self._me.name

    def begin(self) -> None:
        inputs.sign_of_life(self._state)
        found = [inputs.read(file) for folder in self._private for file in (folder / INSTANCES).glob("*.json")]
        self._peers = {each.id: each for each in found if each is not None and each.id != self._me.id}

    def end(self) -> None:
        """Told to stop."""
        inputs.sign_of_life(self._state, ends=True)

    def conflict(self, scene: str) -> str:
        """Why a scene of this name must not be made here; "" where it may. Costs nothing where there is nobody else."""
        if not self._peers:
            return ""
        mine = (self._state / record_name(scene)).exists()
        for peer in self._peers.values():
            if not mine and (Path(peer.state) / record_name(scene)).exists():
                return self._told(scene, peer)
        for folder in self._private:
            if (holder := self._claimed(folder / NAMES / Path(record_name(scene)).name, mine)) is not None:
                return self._told(scene, holder)
        return ""

    def _claimed(self, file: Path, mine: bool) -> Owner | None:
        """Another instance that has the name; None where it is this one's from now on."""
        with os_errors(f"claiming {file}"):
            file.parent.mkdir(exist_ok=True)
            inputs.write_new(file, self._me.id)
            holder = file.read_text().strip()
            if holder == self._me.id or mine:
                return None
            peer = self._peers.get(holder)
            if peer is not None and (time.time() - file.stat().st_mtime < CLAIM_S):
                return peer
            file.write_text(self._me.id)
            return None

    def _told(self, scene: str, peer: Owner) -> str:
        return (
            f"the input folder {peer.input} has a scene of that name, and both would be one result: rename the folder "
            f"{scene}, or give each instance its own OUTPUT_PATH, PROCESSED_PATH and ERROR_PATH"
        )
