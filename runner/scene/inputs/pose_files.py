"""Which of a scene's files hold camera poses, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import PurePosixPath

from runner.scene.frames import Clip
from scenejobs.logs.setup import printable
from scenejobs.names import POSE_FOLDERS, is_pose_file
from scenejobs.wording import listed

JSON_FILES = ("transforms.json", "cameras.json")
COLMAP_FILES = tuple(f"{stem}.{kind}" for kind in ("bin", "txt") for stem in ("cameras", "images"))
READ = (*JSON_FILES, *COLMAP_FILES)
SHOWN = 80  # characters of a name in a message
NAMED = 4  # files in a message


def is_read(name: str) -> bool:
    """Is a file of this name, within its scene, one that poses are read from?"""
    path = PurePosixPath(name)
    folder = "" if str(path.parent) == "." else str(path.parent)
    if path.name in JSON_FILES:
        return folder == ""
    return path.name in COLMAP_FILES and folder in POSE_FOLDERS


def misplaced(names: Iterable[str]) -> tuple[str, ...]:
    """Warnings about files, by their names within the scene, that poses would be read from if they lay elsewhere."""
    left = sorted(name for name in names if PurePosixPath(name).name in READ and not is_read(name))
    folders = ", ".join(f"{folder}/" for folder in POSE_FOLDERS if folder)
    kinds = (
        (JSON_FILES, f"{' and '.join(JSON_FILES)} are read at the top of the scene only"),
        (COLMAP_FILES, f"a COLMAP model is read from {folders} or the top of the scene"),
    )
    warnings = []
    for kind, where in kinds:
        found = [shown(name) for name in left if PurePosixPath(name).name in kind]
        if found:
            warnings.append(f"no camera poses are read from {listed(found, NAMED)}: {where}")
    return tuple(warnings)


def split(files: Iterable[Clip]) -> tuple[list[Clip], list[Clip]]:
    """Videos and photos; files of poses."""
    media, poses = list[Clip](), list[Clip]()
    for file in files:
        (poses if is_pose_file(file.name) else media).append(file)
    return media, poses


def shown(name: object) -> str:
    """Of a file, for a message."""
    text = printable(str(name))
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."
