"""The modes of RUN_MODE: what each works on and needs, and which variables are another one's.

A variable that says where another mode's data is stops the program: with `RUN_MODE=watch` beside a storage account it
would watch empty folders and be healthy. Other variables that a mode does not read are told of in one line.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import fields

from scenejobs.settings.groups import RunnerSettings, ServeSettings, WatchSettings
from scenejobs.settings.storage import FolderSettings

DEFAULT = "queue"
MODES: Mapping[str, tuple[str, str]] = {
    "queue": ("works off the queue that something else fills, and ends", "AZURE_STORAGE_ACCOUNT"),
    "batch": ("works on one scene, and ends", "AZURE_STORAGE_ACCOUNT and BATCH_INPUT_PREFIX"),
    "serve": ("makes scenes of what is uploaded to the containers, until stopped", "AZURE_STORAGE_ACCOUNT"),
    "watch": (
        "makes scenes of what is copied to a folder, until stopped",
        "DATA_PATH; in images it is /data",
    ),
}
"""What each does, and what has to be set for it."""

ACCOUNT = (
    "AZURE_STORAGE_ACCOUNT", "AZURE_STORAGE_ENDPOINT", "AZURE_STORAGE_QUEUE_ENDPOINT",
    "AZURE_STORAGE_CONNECTION_STRING", "AZURE_STORAGE_CONNECTION_STRING_FILE",
    "AZURE_BLOB_CONTAINER_INPUT", "AZURE_BLOB_CONTAINER_OUTPUT",
    "AZURE_BLOB_CONTAINER_PROCESSED", "AZURE_BLOB_CONTAINER_ERROR", "AZURE_BLOB_CONTAINER_STATE", "DEBOUNCE_QUEUE",
    "JOBS_QUEUE", "UPLOADS_QUEUE",
)  # fmt: skip
"""Where blobs and messages are."""


def _variables(group: type) -> frozenset[str]:
    return frozenset(item.metadata["variable"] for item in fields(group))


FOLDERS = tuple(item.metadata["variable"] for item in fields(FolderSettings))
WATCH = _variables(WatchSettings)
SERVE = _variables(ServeSettings)
BOTH = frozenset({
    "POLL_INTERVAL_SECS", "STOP_GRACE_SECS", "HEALTH_CHECK_ENABLED", "HEALTH_CHECK_PORT", "METRICS_PORT",
    "LISTEN_ADDRESS", "INSTANCE_NAME",
})  # fmt: skip
"""Of WatchSettings, what serve reads too."""
BATCH = frozenset({"BATCH_INPUT_PREFIX", "BATCH_JOB_ID"})
SIGN_IN = frozenset({
    "AZURE_STORAGE_SAS_TOKEN", "AZURE_STORAGE_SAS_TOKEN_FILE", "AZURE_CLIENT_SECRET", "AZURE_CLIENT_SECRET_FILE",
    "AZURE_USE_MANAGED_IDENTITY", "AZURE_USE_AZURE_AD",
})  # fmt: skip
"""What a person sets to sign in; a cluster sets other variables in every pod."""

NOT_READ: Mapping[str, frozenset[str]] = {
    "queue": WATCH | SERVE | BATCH,
    "batch": WATCH | SERVE | {"OUTPUT_PATH"},  # the older guide sets it for a job: the results are in the container
    "serve": (WATCH - BOTH) | BATCH | {"MAX_PARALLEL_JOBS"},
    "watch": BATCH | SIGN_IN | {"MAX_PARALLEL_JOBS", "MAX_WAIT_SECONDS"},
}


def mode_of(env: Mapping[str, str]) -> str:
    """As `RunnerSettings` reads it; one that it refuses counts as the default."""
    text = env.get(_RUN_MODE, "").strip().lower()
    return text if text in MODES else DEFAULT


_RUN_MODE: str = next(item.metadata["variable"] for item in fields(RunnerSettings) if item.name == "mode")


def not_read_by(mode: str) -> frozenset[str]:
    return NOT_READ[mode]


def problems(env: Mapping[str, str]) -> Iterator[str]:
    """Texts for `reader.read_all(refused=...)`: variables that say where another mode's data is."""
    mode = mode_of(env)
    on_folders = mode == "watch" or (mode != "serve" and _is_set(env, "DATA_PATH"))
    others = [
        name for name in (ACCOUNT if on_folders else FOLDERS) if _is_set(env, name) and name not in NOT_READ[mode]
    ]
    if not others:
        return
    named = ", ".join(others)
    if mode == "watch":
        yield f"{named}: of a storage account, and RUN_MODE=watch works on folders; for containers set RUN_MODE=serve"
    elif mode == "serve":
        yield f"{named}: folders, and RUN_MODE=serve works on containers; for folders set RUN_MODE=watch"
    elif on_folders:
        yield f"{named}: of a storage account, and DATA_PATH says that the scenes are in folders"
    else:
        yield f"{named}: folders, and RUN_MODE={mode} works on containers; for folders set RUN_MODE=watch or DATA_PATH"


def warn(env: Mapping[str, str], log: logging.Logger) -> None:
    """One line for what is set and not read in this mode."""
    mode = mode_of(env)
    if ignored := sorted(name for name in NOT_READ[mode] if _is_set(env, name)):
        log.warning("RUN_MODE=%s does not read %s", mode, ", ".join(ignored))


def advice(env: Mapping[str, str]) -> str:
    """For whoever has set too little: every mode with what it needs."""
    chosen = f"RUN_MODE={mode_of(env)}" if _is_set(env, _RUN_MODE) else f"without RUN_MODE it is {DEFAULT}"
    return f"{chosen}; " + "; ".join(f"{name} ({does}) needs {needs}" for name, (does, needs) in MODES.items())


def _is_set(env: Mapping[str, str], name: str) -> bool:
    return bool(env.get(name, "").strip())
