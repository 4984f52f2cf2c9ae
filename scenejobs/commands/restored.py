"""`scenejobs restored`: after folders were copied back from a backup, before anything is started on them.

A file's version is known by its inode (scenejobs/adapters/folder), and a copy has another one: without this the audit
takes every published file for one of another run, and no scene can grow.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import fields

from scenejobs.adapters.folder.restored import give_back
from scenejobs.adapters.open import places
from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser(
        "restored", help="folders were copied back from a backup: give their files the versions that they had"
    )
    command.set_defaults(run=run)


def run(_: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Raises ConfigurationError."""
    (settings,) = read_all((FolderSettings,), env)
    if not settings.data:
        raise ConfigurationError(
            "DATA_PATH is not set", code=Code.MISSING_SETTING, advice="set it as the service has it; accounts need none"
        )
    where = places(settings)
    given = sum(give_back(getattr(where, item.name)) for item in fields(where))
    print(f"{given} versions given back; now: scenejobs audit --deep")
    return 0
