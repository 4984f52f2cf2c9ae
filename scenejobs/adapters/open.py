"""The containers and queues that the settings name: folders where DATA_PATH is set, else a storage account."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from pathlib import Path

from scenejobs.adapters import folder
from scenejobs.adapters.folder import Places, inputs
from scenejobs.errors import ConfigurationError
from scenejobs.ports import BlobStore, Containers, Queues
from scenejobs.settings.storage import FolderSettings, StorageSettings

WATCHED = "/data"  # where images mount the folders of watch mode


@dataclass(frozen=True)
class Storage:
    """Containers and queues that were opened, and checked where `check` was set."""

    containers: Containers
    leases: BlobStore  # the state container again, with the short timeouts and retries that leases need
    queues: Queues
    means: str  # for logs: "folders", or how we sign in to the account
    is_azure: bool = False  # no folders, and no emulator


def open_storage(
    folders: FolderSettings, account: StorageSettings, *, check: bool = False, queues: bool = True
) -> Storage:
    """check: ask every container once (folders: whether they can be written). queues: ask every queue too.

    Raises ConfigurationError, AccessDenied (naming the thing and the remedy), Busy.
    """
    if folders.data:
        if account.account or account.endpoint:
            raise ConfigurationError(
                f"DATA_PATH={folders.data} and a storage account are set: it is not clear where the scenes are",
                advice="unset DATA_PATH, or AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_ENDPOINT",
            )
        opened = open_folders(places(folders))
        if check:
            for item in fields(Containers):
                getattr(opened.containers, item.name).now()  # the clock of a folder is a file in it
        return opened
    from scenejobs.adapters.azure import (
        clients,
        credentials,
        retry,
    )  # heavy, and not installed where only folders are used

    names = clients.queue_names(account) if queues else ()
    means = clients.check(account, queues=names) if check else ""
    return Storage(
        clients.open_containers(account),
        clients.open_containers(account, retry.LEASING).state,
        clients.open_queues(account),
        means,
        not credentials.access(account).is_local,
    )


def open_folders(where: Places) -> Storage:
    """Creates the folders that are missing. Raises AccessDenied, StorageError."""
    containers = folder.open_containers(where)
    return Storage(containers, containers.state, folder.open_queues(where), "folders")


def nowhere(settings: FolderSettings, default: str = WATCHED) -> str:
    """Why it is not clear where the folders are, for `reader.read_all(missing=...)`; "" where it is.

    Images have `default`. Made at the root of a person's machine it would be a folder that nobody asked for.
    """
    if settings.data or all(getattr(settings, item.name) for item in fields(Places)) or Path(default).is_dir():
        return ""
    return f"DATA_PATH, the folder of input and results (there is no {default} either), is not set"


def places(settings: FolderSettings, default: str = WATCHED) -> Places:
    """Each folder as set, else below DATA_PATH, else below `default`.

    The state that was not set is that of the input folder (adapters/folder/inputs.py).
    """
    base = Path(settings.data or default)
    names = (item.name for item in fields(Places))
    found = Places(*(Path(getattr(settings, name) or base / name).absolute() for name in names))
    return found if settings.state else replace(found, state=inputs.state_of(found))
