"""What the stores of a simulated schedule show, for whoever checks it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scenejobs.state import layout
from tests.simulation.hub import Process

if TYPE_CHECKING:
    from tests.simulation.world import Simulation

MOVED = ("processed", "error")


class Stores:
    """A look at the blobs and queues as they are now, past every port."""

    def __init__(self, sim: Simulation) -> None:
        self._sim = sim

    def copies(self) -> dict[str, list[tuple[str, str, bytes]]]:
        """Where each version lies whole in the archive: source ETag -> container, name, bytes."""
        found: dict[str, list[tuple[str, str, bytes]]] = {}
        for kind in MOVED:
            store = self._sim.stores[kind]
            for name, blob in store.blobs.items():
                etag = blob.metadata.get("source_etag")
                if etag is None or (blob.copy is not None and store.head(name).copy):
                    if etag is None and not name.endswith((layout.ERROR_DOCUMENT, layout.RUN_LOG)):
                        self._sim.hub.fail("I3", f"{kind}/{name} came from nowhere")
                    continue
                found.setdefault(etag, []).append((kind, name, blob.data))
        return found

    def leased(self, name: str) -> bool:
        blob = self._sim.stores["state"].blobs[name]
        return blob.lease_id is not None and blob.lease_until is not None and blob.lease_until > self._sim.hub.clock()

    def holds_lease(self, process: Process, name: str) -> bool:
        blob = self._sim.stores["state"].blobs.get(name)
        return blob is not None and self.leased(name) and self._sim.state.holders.get(blob.lease_id or "") is process

    def has_marker(self, scene: str) -> bool:
        return layout.marker_name(scene) in self._sim.stores["state"].blobs

    def pointed_at(self, scene: str) -> bool:
        queues = (self._sim.jobs.queue, self._sim.debounce.queue)
        return any(f'"scene":"{scene}"' in message.text for queue in queues for message in queue.messages)
