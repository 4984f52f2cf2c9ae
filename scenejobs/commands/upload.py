"""`scenejobs upload SCENE VIDEO...`: local files to the input container."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from scenejobs.adapters.transfers import send, untold
from scenejobs.commands.links.viewer import show
from scenejobs.commands.progress import transfer
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.commands.status import wait_for
from scenejobs.errors import Code, InputError
from scenejobs.names import is_media, shortest_tails
from scenejobs.ports import Containers
from scenejobs.state.incoming.accepted import check_depth, check_file


@made(
    "upload", "upload videos and photos, and poses for them, as one scene",
    click.argument("scene"), click.argument("files", metavar="FILE...", nargs=-1, required=True, type=Path),
    click.option("--wait", is_flag=True, help="Until the scene is done, failed or cancelled."),
    click.option("--open", "look", is_flag=True, help="And look at the result in the browser; waits for it."),
    section="Scenes",
    more="Names and types are looked at before the first byte is sent. An upload that broke off goes on where it was "
    "when the same command is typed again.",
)  # fmt: skip
def command(shell: Shell, scene: str, files: tuple[Path, ...], wait: bool, look: bool) -> Answer:
    """Prints the name of each blob. Raises InputError, ConfigurationError, and the errors of storage."""
    storage, dispatch = shell.open()
    containers = storage.containers
    names = blob_names(scene, files, dispatch.prefix_depth)
    with transfer(shell, sum(path.stat().st_size for path in names)) as told:
        send_all(containers, names, told)
    uploaded = list(names.values())
    for name in uploaded:
        shell.say(f"uploaded {containers.input.name}/{name}")
    document: dict[str, Any] = {"scene": scene, "uploaded": uploaded}
    if not (wait or look):
        shell.say(f"next: scenejobs status {shlex.quote(scene)} --wait")
        return Answer(document)
    ended, code = wait_for(shell, containers, scene, dispatch)
    document["status"] = ended
    if look and not code:
        document["link"] = show(shell, scene)
    return Answer(document, code)


def upload(containers: Containers, scene: str, videos: Sequence[Path], depth: int = 1) -> list[str]:
    """Uploads local videos and photos under `input/<scene>/`, one after the other, and returns the blob names.

    See `blob_names` and `send_all`.
    """
    names = blob_names(scene, videos, depth)
    send_all(containers, names)
    return list(names.values())


def send_all(containers: Containers, names: Mapping[Path, str], told: Callable[[str, int], None] = untold) -> None:
    """Camera poses, scene.yaml and sidecars go first: a scene is never sealed between its images and them."""
    for path, name in sorted(names.items(), key=lambda each: is_media(each[1])):
        send(containers.input, path, name, partial(told, path.name))


def blob_names(scene: str, videos: Sequence[Path], depth: int) -> dict[Path, str]:
    """The blob that each file becomes. depth: levels of folders that name a scene.

    Raises InputError for a scene that would become part of another, for a file that is missing or empty, or neither
    media nor poses by its name. Files of one name (two cards of a camera) keep as many of their folders as it takes to
    tell them apart; a file that is named twice is uploaded once.
    """
    check_depth(scene, depth)
    videos = list(dict.fromkeys(Path(os.path.abspath(video)) for video in videos))
    names = _names(scene, videos, depth)
    for video, name in zip(videos, names, strict=True):
        if not video.is_file():
            advice = "name the files in it" if video.is_dir() else "check the path"
            raise InputError(f"{video} is not a file", code=Code.NO_VIDEO, advice=advice)
        check_file(name, depth)
        if not video.stat().st_size:
            raise InputError(f"{video} is empty", code=Code.EMPTY_FILE, advice="copy it from the camera again")
        if names.count(name) > 1:
            raise InputError(f"two files would be called {name}", advice="rename one: names are unique in a scene")
    return dict(zip(videos, names, strict=True))


def _names(scene: str, videos: Sequence[Path], depth: int) -> list[str]:
    """The blob of each file. Where a folder more would make another scene, folders become a part of the name."""
    tails = shortest_tails(videos)
    if scene.count("/") + 1 < depth:
        tails = [tail.replace("/", "_") for tail in tails]
    return [f"{scene}/{tail}" for tail in tails]
