"""`python -m scenejobs`: what a user does, from a terminal. Upload videos, look at scenes, fetch results.

    python -m scenejobs upload lobby view1.mp4 view2.mp4
    python -m scenejobs status [lobby] [--wait]
    python -m scenejobs download lobby DIR
    python -m scenejobs refused [--remove NAME [--apply]]
    python -m scenejobs audit [--json] [--deep]
    python -m scenejobs redrive lobby [--apply]
    python -m scenejobs blobfuse output [--mount DIR]

Storage comes from the environment, as for the services (docs/configuration.md): an account, or folders (DATA_PATH).
Exit codes: 0, 1 the scene failed or is unknown, an audit found a violation, or a redrive was refused, 2 configuration,
3 storage.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from scenejobs import layout, mount_command, redrive_command, refused
from scenejobs.audit import command as audit_command
from scenejobs.errors import Code, ConfigurationError, InputError, NotFound, SceneJobError, StorageError
from scenejobs.listing import sort_uploads
from scenejobs.logs import printable
from scenejobs.names import is_media, is_pose_file, refusal, upload_refusal
from scenejobs.ports import BlobStore, Containers
from scenejobs.settings import (
    DispatchSettings,
    FolderSettings,
    RunnerSettings,
    StorageSettings,
    WatchSettings,
    read_all,
)
from scenejobs.status import SceneStatus, State, scene_status
from scenejobs.storage import open_storage

ENDED = (State.DONE, State.FAILED)


def upload(containers: Containers, scene: str, videos: Sequence[Path]) -> list[str]:
    """Uploads local videos and photos under `input/<scene>/`, one after the other, and returns the blob names.

    Files of camera poses go first: a scene is never sealed between its pictures and their poses.
    Raises InputError for a file that is missing, neither by its name, or twice in the list.
    """
    reason = refusal(scene)
    if reason:
        raise InputError(f"no scene can be called {scene!r}: {reason}", code=Code.NO_SCENE, advice="use a plain name")
    names = [f"{scene}/{video.name}" for video in videos]
    for video in videos:
        if not video.is_file():
            raise InputError(f"{video} is not a file", code=Code.NO_VIDEO, advice="check the path")
        if upload_refusal(f"{scene}/{video.name}"):
            raise InputError(f"{video.name!r}: {upload_refusal(f'{scene}/{video.name}')}", advice="rename the file")
        if not (is_media(video.name) or is_pose_file(video.name)):
            cause = f"{video.name} is no video, no photo and no file of camera poses by its name"
            raise InputError(cause, advice="mp4, mov, avi, mkv, webm, jpg, heic, png and tif are taken")
        if names.count(f"{scene}/{video.name}") > 1:
            raise InputError(f"two files are called {video.name}", advice="rename one: names are unique in a scene")
    for video, name in sorted(zip(videos, names, strict=True), key=lambda each: not is_pose_file(each[1])):
        containers.input.upload(video, name)
    return names


def known_scenes(containers: Containers, depth: int) -> list[str]:
    """Scenes with uploads, results or failures."""
    uploads = sort_uploads(containers.input.list(), depth).scenes
    return sorted({*uploads, *_folders(containers.output, depth), *_folders(containers.error, depth)})


def _folders(store: BlobStore, depth: int) -> Iterator[str]:
    for blob in store.list():
        folder, _, file = blob.name.rpartition("/")
        if file in (layout.MANIFEST, layout.ERROR_DOCUMENT) and folder.count("/") < depth:
            yield folder


def watch(
    containers: Containers,
    scene: str,
    depth: int,
    *,
    show: Callable[[SceneStatus], None],
    poll_s: float = 1.0,
    pause: Callable[[float], None] = time.sleep,
) -> SceneStatus:
    """Calls `show` whenever something changed, until the scene ended; returns how."""
    last: SceneStatus | None = None
    while True:
        status = scene_status(containers, scene, depth)
        if status != last:
            show(status)
            last = status
        if status.state in ENDED:
            return status
        pause(poll_s)


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
        if "sha256" in output and hashlib.sha256(path.read_bytes()).hexdigest() != output["sha256"]:
            raise StorageError(f"{output['name']} of scene {scene} is not what its manifest names", advice="try again")
        paths.append(path)
    return paths


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m scenejobs", description="Upload videos, look at scenes, get results."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("upload", help="upload videos and photos, and poses for them, as one scene")
    command.add_argument("scene")
    command.add_argument("videos", nargs="+", type=Path)
    command = commands.add_parser("status", help="where the scenes stand")
    command.add_argument("scene", nargs="?")
    command.add_argument("--wait", action="store_true", help="until the scene is done or failed")
    command = commands.add_parser("download", help="fetch the result of a scene")
    command.add_argument("scene")
    command.add_argument("folder", type=Path)
    refused.add_to(commands)
    audit_command.add_to(commands)
    redrive_command.add_to(commands)
    mount_command.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except SceneJobError as exc:
        print(printable(str(exc)), file=sys.stderr)
        return exc.exit_code


def _run(options: argparse.Namespace) -> int:
    if options.command == "blobfuse":
        return mount_command.run(options, os.environ)
    account, folders, dispatch = read_all((StorageSettings, FolderSettings, DispatchSettings), os.environ)
    storage = open_storage(folders, account)
    containers = storage.containers
    depth = dispatch.prefix_depth
    if options.command == "refused":
        return refused.run(options, containers, depth)
    if options.command == "audit":
        runner, watch = read_all((RunnerSettings, WatchSettings), os.environ)
        return audit_command.run(
            options, containers, storage.queues, dispatch, runner.max_attempts, watch.retention_days
        )
    if options.command == "redrive":
        return redrive_command.run(options, containers, storage.queues)
    if options.command == "upload":
        for name in upload(containers, options.scene, options.videos):
            print(printable(f"uploaded {containers.input.name}/{name}"))
        return 0
    if options.command == "download":
        for path in download(containers, options.scene, options.folder):
            print(path)
        return 0
    if options.wait and not options.scene:
        raise ConfigurationError("--wait needs a scene", advice="python -m scenejobs status SCENE --wait")
    if options.wait:
        ended = watch(containers, options.scene, depth, show=lambda status: print(printable(status.line()), flush=True))
        return 0 if ended.state is State.DONE else 1
    statuses = [
        scene_status(containers, scene, depth)
        for scene in ([options.scene] if options.scene else known_scenes(containers, depth))
    ]
    for status in statuses:
        print(printable(status.line()))
    if not options.scene:
        for item in refused.refused_uploads(containers, depth):
            print(item.line())
    return 1 if any(status.state in (State.FAILED, State.UNKNOWN) for status in statuses) else 0
