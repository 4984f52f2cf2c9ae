"""Both services of the emulator behind fault proxies: for the programs of a world, not for what a test looks at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack

from local.azurite import Azurite
from tests.chaos.proxy import Fault, FaultProxy, Rule, port_of, through


class Proxies:
    """Context manager. Each service has its own rules and its own chance. `env` leads a program through here."""

    def __init__(self, azurite: Azurite, *, seed: int = 0) -> None:
        self.blob = FaultProxy(port_of(azurite.blob_endpoint), seed=seed)
        self.queue = FaultProxy(port_of(azurite.queue_endpoint), seed=seed + 1)
        self._direct = azurite.connection_string
        self._running = ExitStack()

    def __enter__(self) -> Proxies:
        self._running.enter_context(self.blob)
        self._running.enter_context(self.queue)
        return self

    def __exit__(self, *_: object) -> None:
        self._running.close()

    @property
    def env(self) -> dict[str, str]:
        return {"AZURE_STORAGE_CONNECTION_STRING": through(self._direct, blob=self.blob, queue=self.queue)}

    def everywhere(self, rules: Callable[[], list[Rule]]) -> None:
        """The same rules for both services, which count for themselves."""
        self.blob.rules = rules()
        self.queue.rules = rules()

    @property
    def faults(self) -> Counter[Fault]:
        return self.blob.faults + self.queue.faults

    @property
    def requests(self) -> int:
        return len(self.blob.seen) + len(self.queue.seen)
