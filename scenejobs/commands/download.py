"""`scenejobs download SCENE FOLDER`: a published result to a local folder."""

from __future__ import annotations

import hashlib
import json
import shlex
from collections.abc import Callable
from functools import partial
from pathlib import Path

import click

from scenejobs.adapters.transfers import fetch, untold
from scenejobs.commands.progress import transfer
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.errors import Code, InputError, StorageError
from scenejobs.ports import Containers
from scenejobs.state import layout
from scenejobs.state.overview.published import files_of

Told = Callable[[str, int], None]


@made(
    "download", "fetch the result of a scene",
    click.argument("scene"), click.argument("folder", type=Path, required=False),
    section="Scenes",
    more="Without FOLDER the result lands in a folder of the scene's name. Files that are there and whole are not "
    "fetched again; one that broke off goes on.",
)  # fmt: skip
def command(shell: Shell, scene: str, folder: Path | None) -> Answer:
    """Prints the path of each file, and on stderr that a result is suspect.

    Raises InputError, ConfigurationError, and the errors of storage.
    """
    containers = shell.open()[0].containers
    folder = folder or Path(scene.replace("/", "-"))
    names = files_of(containers, scene)
    prefix = layout.published_name(scene, "")
    sizes = {info.name.removeprefix(prefix): info.size_bytes for info in containers.output.list(prefix)}
    with transfer(shell, sum(sizes.get(name, 0) for name in names)) as told:
        paths = download(containers, scene, folder, told)
    for path in paths:
        shell.say(str(path))
    if reason := _doubt(folder / layout.MANIFEST):
        shell.warn(f"{scene} is doubtful: {reason}")
    if (viewer := folder / "viewer.html").is_file():
        shell.say(f"next: open {shlex.quote(str(viewer))} in a browser")
    return Answer({"scene": scene, "files": list(map(str, paths)), "doubtful": reason})


def _doubt(manifest: Path) -> str:
    """The first reason why a result may be wrong; "" for one that is not suspect."""
    document = json.loads(manifest.read_bytes())
    if document.get("suspect") is not True:
        return ""
    try:
        return str(document["doubt"]["reasons"][0])
    except (LookupError, TypeError):
        return "its manifest does not say why"


def download(containers: Containers, scene: str, folder: Path, told: Told = untold) -> list[Path]:
    """The published files of a scene, each compared with the SHA-256 in the scene's manifest.

    What is there with that SHA-256 stays. Raises InputError when there is no result or the folder cannot be written,
    StorageError when a file is not the one the manifest names, or the manifest is none.
    """
    paths = []
    for name, sha256 in files_of(containers, scene).items():
        path = folder / name
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if sha256 and path.is_file() and not path.is_symlink() and _sha256(path) == sha256:
                told(name, path.stat().st_size)
                paths.append(path)
                continue
            path.unlink(missing_ok=True)
            fetch(containers.output, layout.published_name(scene, name), path, partial(told, name))
            found = _sha256(path)
        except OSError as exc:
            cause = f"{path} cannot be written: {exc.strerror or exc}"
            raise InputError(cause, code=Code.INVALID_SETTING, advice="name another folder") from exc
        if sha256 and found != sha256:
            path.unlink()  # else the next try would go on from it
            raise StorageError(f"{name} of scene {scene} is not what its manifest names", advice="try again")
        paths.append(path)
    return paths


def _sha256(path: Path) -> str:
    """The SHA-256 of a file. Raises OSError."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
