"""May this program work with what people put into the input folder? Looked at before a scene is taken, at every look.

A folder of another owner can be read, and nothing in it be removed: its scene would be made and then stay in `input`
for ever. So such a scene waits, its uploads counting as still being copied, and the command that helps is told. Asked
are the rights that the system would grant (access(2), by the effective user), which a server of a network mount may
still refuse: then the scene is stuck, and told as that. So does a scene wait that is too large for the disk.
"""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from scenejobs.adapters.folder import Places
from scenejobs.names import is_ready_marker, scene_of
from scenejobs.ports import BlobInfo
from watch.instances import Instances
from watch.problems import Kind, Problem, owner

EFFECTIVE = os.access in os.supports_effective_ids


class Rights:
    """What is denied, since the last `begin`. depth: levels of folders that name a scene. instances: others beside us,
    which may have a scene of the same name.
    """

    def __init__(
        self,
        places: Places,
        depth: int,
        instances: Instances | None = None,
        needs: Callable[[int], str] = lambda _: "",
    ) -> None:
        """needs: why uploads of so many bytes have no room; "" where they have."""
        self._places, self._depth, self._instances, self._needs = places, depth, instances, needs
        self._sizes: dict[str, dict[str, int]] = {}  # scene -> name -> bytes
        self.begin()

    def begin(self) -> None:
        """A new look begins: what was mended is seen."""
        self._asked: dict[Path, str] = {}
        self._found: dict[str, Problem] = {}  # scene -> the first reason
        self._conflicts: dict[str, str] = {}
        # of the look before: a scene is complete only after several
        self._bytes = {scene: sum(found.values()) for scene, found in self._sizes.items()}
        self._sizes = {}
        self._room: dict[str, str] = {}
        if self._instances:
            self._instances.begin()

    def holds(self, info: BlobInfo) -> bool:
        """Whether an upload keeps its scene waiting. An end marker speaks for others and never does."""
        if info.unusable or "/" not in info.name or is_ready_marker(info.name):
            return False
        scene = scene_of(info.name, self._depth)
        kind, why = Kind.RIGHTS, self._denied(scene, info.name)
        if not why:
            kind, why = Kind.INSTANCE, self._conflict(scene)
        if not why:
            kind, why = Kind.DISK, self._lacks_room(scene, info)
        if why:
            self._found.setdefault(scene, Problem(kind, f"scene {scene} waits: {why}", scene))
        return bool(why)

    def _conflict(self, scene: str) -> str:
        if self._instances and scene not in self._conflicts:
            self._conflicts[scene] = self._instances.conflict(scene)
        return self._conflicts.get(scene, "")

    def _lacks_room(self, scene: str, info: BlobInfo) -> str:
        self._sizes.setdefault(scene, {})[info.name] = info.size_bytes
        if scene not in self._room:
            self._room[scene] = self._needs(self._bytes.get(scene, 0))
        return self._room[scene]

    def denies(self, scene: str) -> bool:
        """Whether anything of the scene was denied at this look."""
        return scene in self._found

    def problems(self, unopened: Iterable[str]) -> list[Problem]:
        """unopened: names of folders in `input` that could not be listed."""
        closed = [f"{self._places.input / name} cannot be opened {_by(self._places.input / name)}" for name in unopened]
        return [*(found for _, found in sorted(self._found.items())), *(Problem(Kind.RIGHTS, text) for text in closed)]

    def _denied(self, scene: str, name: str) -> str:
        path = self._places.input / name
        if why := self._folder(path.parent):
            return why
        if not _may(path, os.R_OK):
            return f"{path} cannot be read {_by(path)}"
        if why := _sticky(path):
            return why
        for place in (self._places.output, self._places.processed, self._places.error):
            if why := self._folder(place / scene):
                return why
        return ""

    def _folder(self, folder: Path) -> str:
        """Why nothing can be removed from it or written to it; "" where both can, or where it does not exist."""
        if folder not in self._asked:
            missing = not folder.is_dir() or _may(folder, os.W_OK | os.X_OK)
            self._asked[folder] = "" if missing else f"nothing can be removed from or written to {folder} {_by(folder)}"
        return self._asked[folder]


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=EFFECTIVE)


def _sticky(path: Path) -> str:
    """In a folder with the sticky bit (as /tmp) only the owner of a file, or of the folder, removes it."""
    try:
        above, file = path.parent.stat(), path.lstat()
    except OSError:  # gone since it was listed
        return ""
    if not above.st_mode & stat.S_ISVTX or os.geteuid() in (0, above.st_uid, file.st_uid):
        return ""
    return f"{path} cannot be removed, for {path.parent} has the sticky bit, {_by(path)}"


def _by(path: Path) -> str:
    """Whose it is, who asks, and what helps."""
    try:
        whose = path.lstat()
        of = f" (it belongs to {whose.st_uid}:{whose.st_gid})"
    except OSError:
        of = ""
    return f"by user {os.geteuid()}{of}: sudo chown -R {owner()} {shlex.quote(str(path))}"
