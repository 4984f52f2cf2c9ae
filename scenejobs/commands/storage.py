"""What every command begins with: the storage, opened by the settings in the environment, and the name of a scene."""

from __future__ import annotations

from collections.abc import Mapping

from scenejobs.adapters.open import Storage, open_storage
from scenejobs.settings import waits
from scenejobs.settings.groups import DispatchSettings, WatchSettings
from scenejobs.settings.reader import read, read_all
from scenejobs.settings.storage import FolderSettings, StorageSettings
from scenejobs.state.incoming.accepted import check_scene as check_scene


def open_from(env: Mapping[str, str]) -> tuple[Storage, DispatchSettings]:
    """Over folders with the wait of watch mode, which has no longest one.

    Raises ConfigurationError, AccessDenied, Busy.
    """
    account, folders, dispatch = read_all((StorageSettings, FolderSettings, DispatchSettings), env)
    if folders.data:
        dispatch = waits.over_folders(dispatch, read(WatchSettings, env))
    return open_storage(folders, account), dispatch
