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
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from scenejobs.adapters.open import open_storage
from scenejobs.commands import audit as audit_command
from scenejobs.commands import blobfuse, redrive, refused
from scenejobs.commands.download import download
from scenejobs.commands.status import known_scenes
from scenejobs.commands.upload import upload
from scenejobs.errors import ConfigurationError, SceneJobError
from scenejobs.logs.setup import printable
from scenejobs.settings.groups import DispatchSettings, FolderSettings, RunnerSettings, StorageSettings, WatchSettings
from scenejobs.settings.reader import read_all
from scenejobs.state import refused as state_refused
from scenejobs.state.status import State, scene_status


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
    redrive.add_to(commands)
    blobfuse.add_to(commands)
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except SceneJobError as exc:
        print(printable(str(exc)), file=sys.stderr)
        return exc.exit_code


def _run(options: argparse.Namespace) -> int:
    if options.command == "blobfuse":
        return blobfuse.run(options, os.environ)
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
        return redrive.run(options, containers, storage.queues)
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
        for item in state_refused.refused_uploads(containers, depth):
            print(item.line())
    return 1 if any(status.state in (State.FAILED, State.UNKNOWN) for status in statuses) else 0
