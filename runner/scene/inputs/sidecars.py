"""Which of a scene's files tell where the camera of which film was, by their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runner.scene.frames import Clip, Sidecar
from scenejobs.errors import UnusedFile
from scenejobs.names import is_sidecar, is_video, without_kind

MOST_BYTES = 64 * 2**20  # an hour at 60 parts a second of 300 bytes
LONE = "it tells where the camera of the film of its name was, and there is no such film beside it"


def attached(files: Sequence[Clip]) -> tuple[list[Clip], tuple[UnusedFile, ...]]:
    """The other files, films with their sidecars; and the sidecars that are nobody's, with why."""
    films = {without_kind(file.name) for file in files if is_video(file.name)}
    sidecars: dict[tuple[str, str], Clip] = {}
    found: list[Clip] = []
    unused: list[UnusedFile] = []
    for file in files:
        pair = without_kind(file.name)
        if not is_sidecar(file.name):
            found.append(file)
        elif pair not in films:
            unused.append(UnusedFile(file.name, LONE))
        elif (first := sidecars.setdefault(pair, file)) is not file:
            unused.append(UnusedFile(file.name, f"{first.name} is read in its place"))
    for number, file in enumerate(found):
        own = sidecars.get(without_kind(file.name)) if is_video(file.name) else None
        if own is not None:
            found[number] = replace(file, sidecar=Sidecar(own.name, own.path))
    return found, tuple(unused)
