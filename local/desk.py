"""What `func start` of the Functions Core Tools needs beside the repository, and a scene that shows that it works.

    video-splat desk start               until Ctrl-C: local.settings.json, the storage emulator with all containers and
                                         queues, the jobs API, each where local.settings.json.example says it is
    video-splat desk scene [VIDEO ...]   uploads clips, and shows where the scene stands until its result is there

Between the two, in another shell and in the repository's folder: `func start`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from local import demo
from local.azurite import DESK_PORTS, EMULATOR, install_once
from local.cloud import LocalCloud, stopped_by_signals
from scenejobs.adapters.azure.clients import open_containers
from scenejobs.commands.upload import upload
from scenejobs.errors import Code, ConfigurationError, Interrupted, SceneJobError
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.overview.status import SceneStatus, State

SETTINGS = "local.settings.json"
EXAMPLE = "local.settings.json.example"
NEEDED = ("host.json", "functions_entry.py", EXAMPLE)
CONNECTIONS = ("AZURE_STORAGE_CONNECTION_STRING", "AzureWebJobsStorage", "SceneStorage")
FORGOTTEN_S = 60.0  # without a look at the uploads, beyond the quiet time


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="video-splat desk", description="The Functions Core Tools on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    start = commands.add_parser("start", help="what `func start` needs, until Ctrl-C; in the repository's folder")
    start.add_argument("--folder", type=Path, default=Path(".local/desk"), help="for storage and logs; .local/desk")
    scene = commands.add_parser("scene", help="upload clips, show where the scene stands, fetch the result")
    scene.add_argument("videos", nargs="*", type=Path, help="your own clips of one scene; default: rendered footage")
    scene.add_argument("--name", default=f"desk-{datetime.now():%H%M%S}", help="of the scene; default: a new one")
    scene.add_argument("--out", type=Path, default=Path("out"), help="where the result is copied to; out")
    options = parser.parse_args(arguments)
    try:
        if options.command == "start":
            return _start(options.folder)
        return _scene(options.videos, options.name, options.out)
    except KeyboardInterrupt:
        print("\nstopped")
        return Interrupted.exit_code
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code


def _start(folder: Path) -> int:
    stop = stopped_by_signals()
    values = {**settings(Path.cwd()), **os.environ}  # as Core Tools do: the environment comes first
    jobs = urlsplit(values.get("ARM_ENDPOINT", ""))
    here = jobs.hostname in ("127.0.0.1", "localhost") and jobs.port is not None
    if not here or any(values.get(name) != EMULATOR for name in CONNECTIONS):
        raise ConfigurationError(
            f"{SETTINGS} or the environment leads to other storage, or to no port of this machine for the jobs API",
            code=Code.INVALID_SETTING,
            advice=f"take {', '.join(CONNECTIONS)} and ARM_ENDPOINT from {EXAMPLE}, and unset them",
        )
    install_once()
    env = {name: text for name, text in values.items() if name not in CONNECTIONS}
    with LocalCloud(folder, env, ports=DESK_PORTS, jobs_port=jobs.port or 0, host=False) as cloud:
        print(f"running: storage at {EMULATOR}, jobs API at {values['ARM_ENDPOINT']}, logs in {folder}")
        print("now, here in another shell: func start", flush=True)
        cloud.stay(stop)
    return 0


def settings(repository: Path) -> Mapping[str, str]:
    """Values of local.settings.json, which is made from the example where it is missing.

    Raises ConfigurationError where the folder is not the repository, or the file cannot be read.
    """
    missing = [name for name in NEEDED if not (repository / name).is_file()]
    if missing:
        raise ConfigurationError(
            f"{', '.join(missing)}: not in this folder", advice="run it where `func start` runs, in the repository"
        )
    file = repository / SETTINGS
    if not file.exists():
        shutil.copyfile(repository / EXAMPLE, file)
        print(f"made {SETTINGS} from {EXAMPLE}")
    try:
        return {str(name): str(text) for name, text in json.loads(file.read_text())["Values"].items()}
    except (ValueError, KeyError, AttributeError, TypeError) as exc:
        raise ConfigurationError(
            f"{SETTINGS} cannot be read: {exc}", advice=f"remove it: it is made again from {EXAMPLE}"
        ) from exc


def _scene(videos: Sequence[Path], name: str, out: Path) -> int:
    for video in videos:
        if not video.is_file():
            raise ConfigurationError(f"{video} is not a file", advice="name clips of one place")
    storage = read(StorageSettings, {"AZURE_STORAGE_CONNECTION_STRING": EMULATOR, **os.environ})
    containers = open_containers(storage)
    for uploaded in upload(containers, name, list(videos) or demo.footage()):
        print(f"uploaded {storage.input}/{uploaded}", flush=True)
    return demo.follow(containers, name, out / name, Path(".local/desk"), Reminder().look)


class Reminder:
    """Says once that nobody works on the uploads, when they have waited for longer than a running app lets them."""

    def __init__(self) -> None:
        self._begin = time.monotonic()
        self._limit_s = float(os.environ.get("QUIET_SECONDS") or 60) + FORGOTTEN_S
        self._said = False

    def look(self, status: SceneStatus) -> None:
        waits = status.state is State.SETTLING and time.monotonic() - self._begin > self._limit_s
        if waits and not self._said:
            print("\nthe uploads still wait: does `func start` run, without an error?", flush=True)
            self._said = True
