"""How many requests the move of one blob costs on the wire."""

from __future__ import annotations

import pytest

from scenejobs.ports import Containers
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.blobs import InputBlob
from scenejobs.state.moves import move
from tests.contract.faults import faulty_store

MOST = 4


@pytest.mark.azurite
def test_a_move_is_copied_looked_at_and_deleted(storage: StorageSettings, containers: Containers) -> None:
    etag = containers.input.write("lobby/a.mp4", b"video")
    source, from_input = faulty_store(storage, storage.input)
    destination, to_processed = faulty_store(storage, storage.processed)
    assert move(InputBlob("lobby/a.mp4", etag, 5), source, destination, ("lobby/a.mp4",), lambda: None) == "lobby/a.mp4"
    methods = [*from_input.sent, *to_processed.sent]
    assert sorted(methods) == ["DELETE", "HEAD", "PUT"]
    assert len(methods) <= MOST
