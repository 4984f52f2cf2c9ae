"""`scenejobs restored`: after folders were copied back from a backup, before anything is started on them.

A file's version is known by its inode (scenejobs/adapters/folder), and a copy has another one: without this the audit
takes every published file for one of another run, and no scene can grow.
"""

from __future__ import annotations

from dataclasses import fields

from scenejobs.adapters.folder.restored import give_back
from scenejobs.adapters.open import places
from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made
from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings


@made(
    "restored", "folders were copied back from a backup: give their files the versions that they had",
    section="For operators",
)  # fmt: skip
def command(shell: Shell) -> Answer:
    """Raises ConfigurationError."""
    (settings,) = read_all((FolderSettings,), shell.env)
    if not settings.data:
        raise ConfigurationError(
            "DATA_PATH is not set", code=Code.MISSING_SETTING, advice="set it as the service has it; accounts need none"
        )
    where = places(settings)
    given = sum(give_back(getattr(where, item.name)) for item in fields(where))
    shell.say(f"{given} versions given back; now: scenejobs audit --deep")
    return Answer({"versions_given_back": given})
