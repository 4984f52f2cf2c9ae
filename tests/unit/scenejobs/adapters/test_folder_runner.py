"""The runner on folders: what somebody copied into `input` comes out in `output` and `processed`, as plain files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore, FolderQueue
from tests.runner_world import KINDS, Cloud


@pytest.fixture
def cloud(quick_disk: Path) -> Cloud:
    """The world of the runner's tests with folders in the place of its containers and queues."""
    (quick_disk / "work").mkdir()
    cloud = Cloud(quick_disk / "work")
    for kind in KINDS:
        (quick_disk / kind).mkdir()
        cloud.stores[kind] = FolderBlobStore(quick_disk / kind, clock=cloud.clock)  # type: ignore[assignment]
    for name in cloud.queues:
        cloud.queues[name] = FolderQueue(quick_disk / "queues" / name, clock=cloud.clock)  # type: ignore[assignment]
    return cloud


def put(cloud: Cloud, name: str, data: bytes) -> None:
    path = cloud.folder.parent / "input" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def files(cloud: Cloud, kind: str) -> dict[str, bytes]:
    root = cloud.folder.parent / kind
    paths = [path for path in root.rglob("*") if path.is_file() and ".scenejobs" not in path.parts]
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def test_a_scene_copied_by_hand_is_processed(cloud: Cloud) -> None:
    """Results lie where a person looks for them, inputs are archived byte by byte, and nothing else is in the way."""
    put(cloud, "lobby/a.mp4", b"first")
    put(cloud, "lobby/cam2/b.mp4", b"second")
    cloud.queue("lobby")
    cloud.settle()
    assert files(cloud, "input") == {}
    assert files(cloud, "processed") == {"lobby/a.mp4": b"first", "lobby/cam2/b.mp4": b"second"}
    results = files(cloud, "output")
    assert {"lobby/manifest.json", "lobby/lobby.ply", "lobby/lobby.splat"} <= set(results)
    assert json.loads(results["lobby/manifest.json"])["videos"] == ["a.mp4", "cam2/b.mp4"]
    assert cloud.record("lobby").generation == 2


def test_a_name_that_leaves_no_room_for_another_ends_in_a_folder_of_its_own(cloud: Cloud) -> None:
    """`lobby/2` is archived as a file; later uploads `lobby/2/a.mp4`, and those of generation 2, find another place."""
    generations = [{"lobby/2": b"no video", "lobby/x.mp4": b"1"}, {"lobby/x.mp4": b"2", "lobby/2/a.mp4": b"3"}]
    for inputs in generations:
        for name, data in inputs.items():
            put(cloud, name, data)
        cloud.queue("lobby")
        cloud.settle()
        assert files(cloud, "input") == {}
    archived = files(cloud, "processed")
    assert sorted(archived.values()) == [b"1", b"2", b"3", b"no video"]
    assert cloud.jobs_run == 2
    assert cloud.record("lobby").generation == 3
