"""Uploads of good names that are used for nothing are told, and are in nobody's way."""

from __future__ import annotations

from function_app.wiring import assemble
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import BlobInfo
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state.incoming import refused
from scenejobs.state.layout import refused_name
from tests.contract.conftest import World
from tests.contract.strangers import put

IS_FOLDER = {"hdi_isfolder": "true"}


def listed(world: World) -> list[BlobInfo]:
    return list(world.containers.input.list())


def test_an_upload_that_is_called_a_directory_is_noted_and_can_be_removed(world: World) -> None:
    """It was in no listing of ours: nobody ever heard of it, and its scene was never made."""
    store = world.containers.input
    put(store, "lobby/a.mp4", b"video", metadata=IS_FOLDER)
    put(store, "lobby/b.mp4", b"video")
    assert [blob.name for blob in listed(world)] == ["lobby/a.mp4", "lobby/b.mp4"]
    app = assemble(world.containers, world.queues, MemoryCompute(), DispatchSettings())
    report = app.sweeper.sweep()
    if world.kind == "folder":  # a file has no metadata that could say so
        assert report.refused == 0
        return
    assert report.refused == 1
    assert "hdi_isfolder" in world.containers.state.read(refused_name("lobby/a.mp4"))[0].decode()
    (line,) = [item.line() for item in refused.refused_uploads(world.containers, 1)]
    assert line.startswith("refused: lobby/a.mp4 (5 bytes): it has 5 bytes, and its metadata hdi_isfolder=true")
    assert app.sweeper.sweep().refused == 0
    refused.remove(world.containers, 1, "lobby/a.mp4", apply=True)
    assert [blob.name for blob in listed(world)] == ["lobby/b.mp4"]
