"""Rules for every file that deploys watch mode or the runner somewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from scenejobs.settings import groups as settings_groups
from scenejobs.settings import reader as settings_reader
from scenejobs.settings.groups import RunnerSettings, WatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.storage import FolderSettings, StorageSettings

ROOT = Path(__file__).parents[1]
KNOWN = {row.variable for row in settings_groups.table()}
USER = 10001  # of Dockerfile.runner
KEPT = {
    "RETENTION_DAYS",
    "CACHE_MAX_MB",
    "CACHE_MAX_DAYS",
    "MIN_DISK_SPACE_GB",
}  # what fills a disk, and what is left free


def check_environment(environment: Mapping[str, str | int]) -> None:
    """Every name is one that the code reads, and the values are allowed: the program would start with them."""
    assert not [name for name, value in environment.items() if isinstance(value, bool)], (
        "YAML would not say true but True"
    )
    values = {name: str(value) for name, value in environment.items()}
    assert values.keys() <= KNOWN, sorted(values.keys() - KNOWN)
    groups = (RunnerSettings, StorageSettings, FolderSettings, WatchSettings, PipelineSettings)
    settings_reader.read_all(groups, values)


def braces(text: str) -> dict[str, str]:
    """Names and defaults of ${NAME:-default}."""
    return dict(re.findall(r"\$\{([A-Z0-9_]+):-([^}]*)\}", text))


def with_defaults(text: str) -> str:
    return re.sub(r"\$\{[A-Z0-9_]+:-([^}]*)\}", r"\1", text)
