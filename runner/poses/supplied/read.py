"""Reads the camera poses that the user supplies from the most telling of the files.

Photos are recognised by their file names (`match.py`), as far up their folders as is needed to tell two of one name
apart; the extension does not count where no other file has that stem. Frames of a video have no names of their own:
they are recognised by clip and number, as our own cameras.json and sparse models name them. Nothing else names a frame
safely.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from runner.files.packed import UNPACK, packed_file
from runner.poses.supplied.cameras import PosedImage, bad
from runner.poses.supplied.colmap_model import read_model
from runner.poses.supplied.own_cameras_json import read_own
from runner.poses.supplied.transforms_json import read_transforms
from runner.scene.frames import Clip
from runner.scene.inputs.pose_files import JSON_FILES, is_read
from scenejobs.names import POSE_FOLDERS


@dataclass(frozen=True)
class Supplied:
    """What one file, or one COLMAP model, says."""

    source: str  # "transforms.json", "cameras.json", "COLMAP model in sparse/0"
    images: tuple[PosedImage, ...]
    warnings: tuple[str, ...] = ()

    @cached_property
    def digest(self) -> str:
        """Of all that is read from the file."""
        text = json.dumps([self.source, [asdict(posed) for posed in self.images]])
        return hashlib.sha256(text.encode()).hexdigest()[:32]


def read_supplied(files: Sequence[Clip]) -> Supplied | None:
    """The most telling of the files: a COLMAP model, else transforms.json, else cameras.json; None where none is read.

    Raises InputError BAD_POSES, TOO_LARGE.
    """
    there = {file.name: file.path for file in files if is_read(file.name)}
    if not there:
        return None
    sources: list[str | tuple[str, str]] = [*_models(there), *(name for name in JSON_FILES if name in there)]
    source = sources[0]
    for name in (source,) if isinstance(source, str) else source:
        binary = name.endswith(".bin")  # begins with a number, which may look like anything
        if not binary and (packed := packed_file(there[name])):
            raise bad(name, "", f"it is packed ({packed})", UNPACK)
    if isinstance(source, str):
        title = source
        images = (read_transforms if source == JSON_FILES[0] else read_own)(there[source], source)
    else:
        title = _title(source)
        images = read_model(*((there[name], name) for name in source))
    if not images:
        raise bad(title, "", "it names no picture")
    others = ", ".join(one if isinstance(one, str) else _title(one) for one in sources[1:])
    warnings = (f"camera poses are taken from {title}, not from {others}",) if others else ()
    return Supplied(title, tuple(images), warnings)


def _models(there: Mapping[str, Path]) -> list[tuple[str, str]]:
    """Names of the cameras and the images of each COLMAP model. Raises InputError where half of one is missing."""
    found, halves = [], []
    for folder in POSE_FOLDERS:
        for kind in ("bin", "txt"):
            cameras, images = (str(PurePosixPath(folder, f"{stem}.{kind}")) for stem in ("cameras", "images"))
            if cameras in there and images in there:
                found.append((cameras, images))
            elif cameras in there or images in there:
                halves.append((cameras, images) if cameras in there else (images, cameras))
    if halves and not found:
        one, missing = halves[0]
        raise bad(one, "", f"a COLMAP model needs {missing} as well", "upload both, or leave it out")
    return found


def _title(model: tuple[str, str]) -> str:
    folder = str(PurePosixPath(model[0]).parent)
    return "COLMAP model" if folder == "." else f"COLMAP model in {folder}"
