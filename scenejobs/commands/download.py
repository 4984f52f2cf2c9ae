"""`python -m scenejobs download SCENE FOLDER`: a published result to a local folder."""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from scenejobs.commands.storage import open_from
from scenejobs.errors import Code, InputError, NotFound, StorageError
from scenejobs.names import refusal
from scenejobs.ports import Containers
from scenejobs.state import layout


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("download", help="fetch the result of a scene")
    command.add_argument("scene")
    command.add_argument("folder", type=Path)
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Prints the path of each file. Raises InputError, ConfigurationError, and the errors of storage."""
    for path in download(open_from(env)[0].containers, options.scene, options.folder):
        print(path)
    return 0


def download(containers: Containers, scene: str, folder: Path) -> list[Path]:
    """The published files of a scene, each compared with the SHA-256 in the scene's manifest.

    Raises InputError when there is no result, StorageError when a file is not the one the manifest names.
    """
    none = InputError(f"scene {scene} has no finished result", code=Code.NO_SCENE, advice="see its status")
    try:
        manifest = json.loads(containers.output.read(layout.published_name(scene, layout.MANIFEST))[0])
    except NotFound as exc:
        raise none from exc
    if layout.PUBLISHING in manifest:
        raise none
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for output in [*manifest["outputs"], {"name": layout.MANIFEST}]:
        if refusal(output["name"]):
            raise StorageError(f"the manifest of scene {scene} names {output['name']!r}", advice="it was tampered with")
        path = folder / output["name"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        containers.output.download(layout.published_name(scene, output["name"]), path)
        if "sha256" in output and _sha256(path) != output["sha256"]:
            raise StorageError(f"{output['name']} of scene {scene} is not what its manifest names", advice="try again")
        paths.append(path)
    return paths


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
