"""`scenejobs` as a person types it, on storage of the test's own."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence

from scenejobs.adapters.memory import MemoryQueue
from scenejobs.adapters.open import Storage
from scenejobs.commands import cli
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings


def typed(
    words: Sequence[str],
    containers: Containers,
    queues: Queues | None = None,
    settings: DispatchSettings | None = None,
    env: Mapping[str, str] | None = None,
) -> int:
    """The exit code; what it prints is on standard output and error."""
    found = queues or Queues(*(MemoryQueue() for _ in range(3)))
    storage = Storage(containers, containers.state, found, "memory")
    return cli.main(words, env or {}, lambda _: (storage, settings or DispatchSettings()))


def publish(containers: Containers, files: Mapping[str, bytes]) -> None:
    """The result of scene lobby."""
    outputs = [{"name": name, "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()]
    for name, data in files.items():
        containers.output.write(f"lobby/{name}", data)
    containers.output.write("lobby/manifest.json", json.dumps({"outputs": outputs}).encode())
