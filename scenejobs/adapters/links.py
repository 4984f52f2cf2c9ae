"""Links to single files that work without signing in, for a while."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Literal

from scenejobs.adapters.open import places
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import FolderSettings, StorageSettings

Kind = Literal["output", "state"]
MOST_DAYS = 7  # what a user-delegation key lasts, by the service's rule


def place_of(settings: FolderSettings, name: str, kind: Kind = "output") -> Path | None:
    """Of a file in the output folder, or that of the state; None where scenes lie in an account."""
    if not settings.data:
        return None
    found = places(settings)
    return (found.output if kind == "output" else found.state) / name


def link(
    folders: FolderSettings, account: StorageSettings, name: str, start: datetime, end: datetime,
    kind: Kind = "output",
) -> str:  # fmt: skip
    """A URL by which anybody reads one blob of the output container, or of the state, until `end`.

    Signed with a user-delegation key where an identity signs in, with the account's key on the emulator. Raises
    ConfigurationError over folders and with a SAS, AccessDenied.
    """
    if folders.data:
        raise ConfigurationError(
            "folders have no links", advice="send the file itself: viewer.html needs nothing beside it"
        )
    from scenejobs.adapters.azure import links  # the SDK, which folders do without

    return links.AzureLinks(account).read(name, start, end, kind=kind)
