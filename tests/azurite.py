"""The storage emulator for tests: one process for all of them, containers and queues of their own for each."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from typing import Any

import pytest

from local.azurite import Azurite, is_installed
from scenejobs.adapters.azure.clients import create_all
from scenejobs.settings.storage import StorageSettings


def available() -> None:
    """Skips on a laptop without the emulator; in CI its absence is a failure, so that nothing is skipped unseen."""
    if is_installed():
        return
    why = "Azurite is not installed: video-splat azurite install"
    if os.environ.get("CI"):
        pytest.fail(why)
    pytest.skip(why)


def fresh_settings(azurite: Azurite) -> StorageSettings:
    """Settings with names that no other test uses, and everything in them created and empty."""
    mark = uuid.uuid4().hex[:10]
    settings = StorageSettings(connection_string=azurite.connection_string)
    containers = ("input", "output", "processed", "error", "state")
    names: dict[str, Any] = {name: f"{getattr(settings, name)}-{mark}" for name in containers}
    settings = replace(
        settings,
        **names,
        debounce_queue=f"debounce-{mark}",
        jobs_queue=f"jobs-{mark}",
    )
    create_all(settings)
    return settings
