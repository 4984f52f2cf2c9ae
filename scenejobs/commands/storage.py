"""The storage that a command works on, opened by the settings in the environment."""

from __future__ import annotations

from collections.abc import Mapping

from scenejobs.adapters.open import Storage, open_storage
from scenejobs.settings.groups import DispatchSettings, FolderSettings, StorageSettings
from scenejobs.settings.reader import read_all


def open_from(env: Mapping[str, str]) -> tuple[Storage, DispatchSettings]:
    """Raises ConfigurationError, AccessDenied, Busy."""
    account, folders, dispatch = read_all((StorageSettings, FolderSettings, DispatchSettings), env)
    return open_storage(folders, account), dispatch
