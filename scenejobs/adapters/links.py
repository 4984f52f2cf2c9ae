"""Links to single files that work without signing in, for a while."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from scenejobs.adapters.open import places
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import FolderSettings, StorageSettings

MOST_DAYS = 7  # what a user-delegation key lasts, by the service's rule


def place_of(settings: FolderSettings, name: str) -> Path | None:
    """Of a file in the output folder; None where scenes lie in an account."""
    return places(settings).output / name if settings.data else None


def link(folders: FolderSettings, account: StorageSettings, name: str, start: datetime, end: datetime) -> str:
    """A URL by which anybody reads one blob of the output container until `end`.

    Signed with a user-delegation key where an identity signs in, with the account's key on the emulator. Raises
    ConfigurationError over folders and with a SAS, AccessDenied.
    """
    if folders.data:
        raise ConfigurationError(
            "folders have no links", advice="send the file itself: viewer.html needs nothing beside it"
        )
    from scenejobs.adapters.azure import links  # the SDK, which folders do without

    return links.link(account, account.output, name, start, end)
