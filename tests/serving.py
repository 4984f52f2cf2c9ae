"""A real `python -m runner` in serve mode on the storage emulator, with the mock pipeline."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import dataclass, fields
from typing import Any

from local.azurite import Azurite
from scenejobs.adapters.azure.clients import open_containers
from scenejobs.ports import BlobStore
from scenejobs.settings.storage import StorageSettings
from scenejobs.state import generations
from scenejobs.state.layout import GENERATIONS
from tests.azurite import fresh_settings
from tests.watching import Watching

QUIET_S = "2"


@dataclass
class Serving(Watching):
    """One machine. `folder` gets its scratch and its log."""

    account: StorageSettings | None = None

    def environment(self) -> dict[str, str]:
        values = {item.metadata["variable"]: getattr(self.account, item.name) for item in fields(StorageSettings)}
        return {
            **{name: str(value) for name, value in values.items() if value and value is not True},
            "PATH": os.environ["PATH"],
            "RUN_MODE": "serve",
            "BACKEND": "mock",
            "TEMP_PATH": str(self.folder / "scratch"),
            "POLL_INTERVAL_SECS": "0.5",
            "QUIET_SECONDS": QUIET_S,
            "UPLOAD_STALLED_SECS": "0",  # a file of no bytes is one, and no upload in progress
            "HEALTH_CHECK_PORT": str(self.health_port),
            "METRICS_PORT": str(self.metrics_port),
            "RUNNER_LEASE_SECONDS": "15",
            "RETRY_MAX_DELAY_SECS": "5",  # a worker that is cut off gives its message back for so long
            "MIN_DISK_SPACE_GB": "0",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    @property
    def is_training(self) -> bool:
        return bool((self.health().get("current_job") or {}).get("stage") == "training")


@dataclass
class Account:
    """Containers and queues of their own, as their user sees them."""

    azurite: Azurite

    def __post_init__(self) -> None:
        self.settings = fresh_settings(self.azurite)
        self.containers = open_containers(self.settings)

    def upload(self, name: str, data: bytes) -> None:
        self.containers.input.write(name, data)

    def names(self, kind: str, prefix: str = "") -> list[str]:
        store: BlobStore = getattr(self.containers, kind)
        return [blob.name for blob in store.list(prefix)]

    def json(self, kind: str, name: str) -> Any:
        store: BlobStore = getattr(self.containers, kind)
        return json.loads(store.read(name)[0])

    def ended(self) -> Counter[str]:
        """How many generations of each scene have ended."""
        return Counter(name.removeprefix(GENERATIONS).partition("/")[0] for name in self.names("state", GENERATIONS))

    def attempts(self, scene: str) -> int:
        return generations.read(self.containers.state, f"{GENERATIONS}{scene}/1.json").attempts

    def is_done(self, scene: str) -> bool:
        """Published or explained, and archived."""
        return bool(self.ended()[scene]) and not self.names("input", f"{scene}/")
