"""`scenejobs exclude SCENE NAME`: makes a scene anew without one of its files."""

from __future__ import annotations

import argparse
from collections.abc import Mapping

from scenejobs.commands.storage import open_from
from scenejobs.logs.setup import printable
from scenejobs.state import wishes


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("exclude", help="take a file out of a scene, and make the scene anew without it")
    command.add_argument("scene")
    command.add_argument("name", help="of the file, as in the scene's folder: view2.mp4, cam1/a.mp4")
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises InputError, ConfigurationError, and the errors of storage."""
    storage = open_from(env)[0]
    left = wishes.exclude(storage.containers, storage.queues, options.scene, options.name)
    print(printable(f"{options.scene}: made again without {options.name}, of {', '.join(left)}"))
    return 0
