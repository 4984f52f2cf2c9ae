"""`scenejobs download SCENE FOLDER`: a published result to a local folder."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Mapping
from pathlib import Path

from scenejobs.commands.storage import check_scene, open_from
from scenejobs.errors import Code, InputError, NotFound, StorageError
from scenejobs.logs.setup import printable
from scenejobs.names import refusal
from scenejobs.ports import Containers
from scenejobs.state import layout, records


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("download", help="fetch the result of a scene")
    command.add_argument("scene")
    command.add_argument("folder", type=Path)
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Prints the path of each file, and on stderr that a result is suspect.

    Raises InputError, ConfigurationError, and the errors of storage.
    """
    for path in download(open_from(env)[0].containers, options.scene, options.folder):
        print(path)
    if reason := _doubt(options.folder / layout.MANIFEST):
        print(printable(f"{options.scene} is doubtful: {reason}"), file=sys.stderr)
    return 0


def _doubt(manifest: Path) -> str:
    """The first reason why a result may be wrong; "" for one that is not suspect."""
    document = json.loads(manifest.read_bytes())
    if document.get("suspect") is not True:
        return ""
    try:
        return str(document["doubt"]["reasons"][0])
    except (LookupError, TypeError):
        return "its manifest does not say why"


def download(containers: Containers, scene: str, folder: Path) -> list[Path]:
    """The published files of a scene, each compared with the SHA-256 in the scene's manifest.

    Raises InputError when there is no result or the folder cannot be written, StorageError when a file is not the one
    the manifest names, or the manifest is none.
    """
    check_scene(scene)
    none = InputError(f"scene {scene} has no finished result", code=Code.NO_SCENE, advice="see its status")
    try:
        data, _ = containers.output.read(layout.published_name(scene, layout.MANIFEST))
    except NotFound as exc:
        stored = records.load(containers.state, scene)
        if stored and (expired := stored.record.expired) and stored.record.is_expired:
            raise InputError(
                f"the result of scene {scene} was removed on {expired.at:%Y-%m-%d} (OUTPUT_RETENTION_DAYS)",
                code=Code.NO_SCENE, advice=f"scenejobs retry {scene} makes it again, of what its archive has",
            ) from exc  # fmt: skip
        raise none from exc
    outputs = _outputs(scene, data)
    if outputs is None:
        raise none
    paths = []
    for name, sha256 in [*outputs, (layout.MANIFEST, "")]:
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            containers.output.download(layout.published_name(scene, name), path)
            found = _sha256(path)
        except OSError as exc:
            cause = f"{path} cannot be written: {exc.strerror or exc}"
            raise InputError(cause, code=Code.INVALID_SETTING, advice="name another folder") from exc
        if sha256 and found != sha256:
            raise StorageError(f"{name} of scene {scene} is not what its manifest names", advice="try again")
        paths.append(path)
    return paths


def _sha256(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _outputs(scene: str, manifest: bytes) -> list[tuple[str, str]] | None:
    """Name and SHA-256 ("" where it tells none) of each file; None while they are replaced. Raises StorageError."""
    try:
        document = json.loads(manifest)
        if layout.PUBLISHING in document:
            return None
        outputs = [(str(output["name"]), str(output.get("sha256", ""))) for output in document["outputs"]]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        raise StorageError(f"the manifest of scene {scene} cannot be read", advice="it was tampered with") from exc
    for name, _ in outputs:
        if refusal(name):
            raise StorageError(f"the manifest of scene {scene} names {name!r}", advice="it was tampered with")
    return outputs
