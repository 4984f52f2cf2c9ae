"""The files that a person names on the command line: each with a name that tells it from the others, and used once."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.scene.frames import Clip
from runner.scene.inputs.file_use import repeated
from scenejobs.errors import Code, InputError, UnusedFile
from scenejobs.names import as_text, is_pose_file, is_sidecar, shortest_tails

OTHER_KINDS = frozenset({
    ".txt", ".md", ".pdf", ".doc", ".docx", ".html", ".csv", ".log", ".py", ".sh", ".ply", ".splat", ".spz",
})  # fmt: skip
OTHER_KIND = "is no video, no photo and no file of camera poses by its name"
TAKEN = "name videos (mp4, mov, mkv, mts, ...), photos (jpg, heic, png, ...) or camera poses (transforms.json, ...)"


@dataclass(frozen=True)
class NamedFiles:
    """What was named."""

    clips: tuple[Clip, ...]  # each file, and each content, once
    unused: tuple[UnusedFile, ...] = ()  # copies, links to files that are used, and files of another kind
    warnings: tuple[str, ...] = ()


def check_named(paths: Sequence[str]) -> None:
    """Before anything is made. Raises InputError for what is not there or is a folder, and where all files are of
    another kind by their names: a README among the photos of `folder/*` is left out.

    Whatever else a file is called, its content decides later.
    """
    for given in paths:
        path = Path(given)
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            advice = "name the files in it" if path.is_dir() else "check the path"
            raise InputError(f"{given} {what}", code=Code.INPUT_GONE, advice=advice, stage="validation")
    if paths and all(map(_is_of_another_kind, paths)):
        raise InputError(f"{paths[0]} {OTHER_KIND}", advice=TAKEN, stage="validation")


def _is_of_another_kind(path: str | Path) -> bool:
    name = Path(path).name
    return Path(name).suffix.lower() in OTHER_KINDS and not is_pose_file(name)


def named_files(paths: Sequence[str]) -> NamedFiles:
    """The files with the end of their paths as names, as long as it takes to tell them apart.

    A file that is named twice, by a link too, is used once; so are files of the same bytes. Files of another kind by
    their names are left out. Raises InputError.
    """
    found: dict[Path, tuple[int, int]] = {}  # by whole path: what file it is, a link aside
    again: list[str] = []
    for given in paths:
        path = Path(os.path.abspath(given))
        if not path.is_file():
            what = "is a folder" if path.is_dir() else "does not exist"
            raise InputError(f"{given} {what}", code=Code.INPUT_GONE, advice="name the files", stage="validation")
        if path in found:
            again.append(given)
            continue
        status = path.stat()
        found[path] = status.st_dev, status.st_ino
    names = dict(zip(found, map(as_text, shortest_tails(list(found))), strict=True))
    first: dict[tuple[int, int], Path] = {}
    links = {names[path]: names[first[file]] for path, file in found.items() if first.setdefault(file, path) != path}
    others = [names[path] for path in first.values() if _is_of_another_kind(path)]
    own = [path for path in first.values() if not _is_of_another_kind(path)]
    copies = _copies([path for path in own if not (is_pose_file(path.name) or is_sidecar(path.name))])
    same = {names[path]: names[other] for path, other in copies.items()}
    return NamedFiles(
        tuple(Clip(names[path], path) for path in own if path not in copies),
        (
            *(UnusedFile(name, OTHER_KIND) for name in others),
            *(UnusedFile(name, f"the same file as {other}", other) for name, other in links.items()),
            *repeated(same),
        ),
        (
            *(f"{name} {OTHER_KIND}: left out" for name in others),
            *(f"{as_text(given)} is named twice: used once" for given in dict.fromkeys(again)),
            *(f"{name} is the same file as {other}: used once" for name, other in links.items()),
            *(f"{name} holds the same bytes as {other}: used once" for name, other in same.items()),
        ),
    )


def _copies(paths: Sequence[Path]) -> dict[Path, Path]:
    """Files that hold the same bytes as one before them. Only files of one size are read."""
    of_size: dict[int, list[Path]] = defaultdict(list)
    for path in paths:
        of_size[path.stat().st_size].append(path)
    first: dict[str, Path] = {}
    found: dict[Path, Path] = {}
    for size, alike in of_size.items():
        for path in alike if size and len(alike) > 1 else ():
            with path.open("rb") as file:
                original = first.setdefault(hashlib.file_digest(file, "sha256").hexdigest(), path)
            if original != path:
                found[path] = original
    return found
