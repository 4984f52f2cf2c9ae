"""Names of ours and names of users never meet: generated scenes and files, one, two and three folders deep."""

from __future__ import annotations

import contextlib
import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from scenejobs.adapters.folder import FolderBlobStore, FolderQueue
from scenejobs.audit.report import audit
from scenejobs.audit.snapshot import collect
from scenejobs.errors import Conflict, StorageError
from scenejobs.names import scene_of
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import records, redrive
from scenejobs.state.control_names import stored_scene
from scenejobs.state.incoming.uploads import refusal_at, sort_uploads
from scenejobs.state.layout import (
    ERROR_DOCUMENT,
    MANIFEST,
    RUN_LOG,
    archive_names,
    document_names,
    published_name,
    run_folder,
)
from scenejobs.state.overview.scenes import known_scenes
from scenejobs.state.record import Phase
from tests.runner_world import KINDS, Cloud, bad_video, echo_job

RUN = "20260101T000000Z-00000001"
OURS = ["error.json", "run.log", "manifest.json", "runs", "1", "2", f"1-{RUN}", "generation~1", f"generation~1~{RUN}"]
OURS += ["generation~1~reason", "Error.json", "RUNS", "viewer.html", "s.ply", ".checkpoint.json", RUN]
THEIRS = ["s", "t", "a.mp4", "b.jpg", "notes", "_READY", "x.mp4"]
SEGMENT = st.sampled_from(OURS + THEIRS)
NAMES = st.lists(SEGMENT, min_size=1, max_size=4).map("/".join)
# What a run writes: by the pipeline (runner/export, runner/report), and beside it.
RESULT = [MANIFEST, "viewer.html", "report.html", "poster.jpg", "metrics.json", "cameras.json", ".checkpoint.json"]
RESULT += ["orientation.json", "comparison_worst_2.png"]


def places(names: list[str], depth: int) -> dict[tuple[str, str], set[str]]:
    """(container, blob name) -> whose it is, of everything that can lie there at once, for two generations."""
    owners: dict[tuple[str, str], set[str]] = {}

    def put(container: str, name: str, owner: str) -> None:
        owners.setdefault((container, name), set()).add(owner)

    for name in names:
        scene = scene_of(name, depth)
        stem = scene.rpartition("/")[2]
        for file in [*RESULT, f"{stem}.ply", f"{stem}.compressed.ply", f"{stem}.splat", f"{stem}.spz"]:
            put("output", published_name(scene, file), f"published {scene}")
            put("output", run_folder(scene, RUN) + file, f"run of {scene}")
        put("output", run_folder(scene, RUN) + RUN_LOG, f"run of {scene}")
        for generation in (1, 2):
            for file in (ERROR_DOCUMENT, RUN_LOG):
                for document in document_names(scene, generation, file):
                    put("error", document, f"document of {scene}")
            for container in ("processed", "error"):
                for place in archive_names(scene, name, generation, RUN, depth):
                    put(container, place, f"upload {name}")
    return owners


@given(st.lists(NAMES, min_size=1, max_size=6, unique=True), st.integers(1, 3))
@settings(max_examples=400, deadline=None)
def test_no_place_has_two_owners_and_no_file_is_a_folder_of_another_owner(names: list[str], depth: int) -> None:
    """A file at the root and one of its name in its scene's folder are the exception: conditions keep these apart."""
    names = [name for name in names if refusal_at(name, depth) is None]
    owners = places(names, depth)
    for (container, name), found in owners.items():
        scenes = {scene_of(owner.removeprefix("upload "), depth) for owner in found if owner.startswith("upload ")}
        same_scene = len(scenes) == 1 and all(owner.startswith("upload ") for owner in found)
        assert len(found) == 1 or same_scene, (container, name, found)
        folders = name.split("/")
        for count in range(1, len(folders)):
            above = owners.get((container, "/".join(folders[:count])), set())
            ours = all(owner.startswith("upload ") for owner in above | found)
            of_scene = {scene_of(owner.removeprefix("upload "), depth) for owner in above | found}
            assert not above or (ours and len(of_scene) == 1), (container, name, found, above)


@given(NAMES, st.integers(1, 3))
@settings(max_examples=400, deadline=None)
def test_the_scene_of_whatever_lies_in_a_container_is_told_by_its_name(name: str, depth: int) -> None:
    """So retention and the list of scenes never take a folder of ours for a scene."""
    if refusal_at(name, depth) is None:
        scene = scene_of(name, depth)
        for _, place in places([name], depth):
            # a file directly in a scene that others may lie in tells no more than its folder
            assert stored_scene(place, depth) == scene, place


def cloud_of(storage: str, folder: Path) -> Cloud:
    (folder / "work").mkdir()
    cloud = Cloud(folder / "work")
    if storage == "folder":
        for kind in KINDS:
            (folder / kind).mkdir()
            cloud.stores[kind] = FolderBlobStore(folder / kind, clock=cloud.clock)  # type: ignore[assignment]
        for name in cloud.queues:
            cloud.queues[name] = FolderQueue(folder / "queues" / name, clock=cloud.clock)  # type: ignore[assignment]
    return cloud


def work(cloud: Cloud, names: list[str], depth: int, number: int, *, fails: bool) -> dict[str, bytes]:
    """Uploads and processes one round. Returns the uploads that were not refused, by name."""
    sent = {}
    for name in names:
        data = f"{name} of round {number}".encode()
        try:
            cloud.stores["input"].write(name, data, if_absent=True)
        except (Conflict, StorageError):  # it waits from a round before; in folders: a file leaves no room for a folder
            continue
        if refusal_at(name, depth) is None:
            sent[name] = data
    for scene in sort_uploads(cloud.stores["input"].list(), depth).scenes:
        cloud.queue(scene)
    for _ in range(20):
        if not cloud.queues["jobs"].total():
            return sent
        cloud.clock.advance(400)
        with contextlib.suppress(StorageError):  # as the next execution finds it
            cloud.worker(bad_video if fails else echo_job, prefix_depth=depth).drain()
    raise AssertionError("a scene comes to no end")


@pytest.mark.parametrize("storage", ["memory", "folder"])
def test_every_upload_is_kept_and_every_scene_ends(storage: str) -> None:
    """By the worker itself: whatever scenes and files are called, whatever lies in the archive from a round before."""

    @given(st.lists(st.tuples(st.lists(NAMES, min_size=1, max_size=4, unique=True), st.booleans()), max_size=3),
           st.integers(1, 3))  # fmt: skip
    @example([(["s/x.mp4"], True), (["s/error.json", "s/y.mp4"], True), (["s/2/z.mp4"], True)], 2)
    @example([(["s/a.mp4"], False), (["s/manifest.json/a.mp4", "s/a.mp4"], False)], 2)
    @example([(["s/notes", "s/a.mp4"], False), (["s/notes/a.mp4"], False), (["s/notes/a.mp4"], True)], 2)
    @example([(["s/a.mp4"], False), (["s/runs/a.mp4", f"s/runs/{RUN}/a.mp4"], False)], 3)
    @settings(max_examples=40 if storage == "memory" else 15, deadline=None)
    def rounds(plan: list[tuple[list[str], bool]], depth: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            cloud = cloud_of(storage, Path(folder))
            sent = []
            for number, (names, fails) in enumerate(plan):
                sent += work(cloud, names, depth, number, fails=fails).values()
            kept = [cloud.stores[kind].read(info.name)[0] for kind in ("input", "processed", "error")
                    for info in cloud.stores[kind].list()]  # fmt: skip
            assert [data for data in sent if data not in kept] == []
            assert sort_uploads(cloud.stores["input"].list(), depth).scenes.keys() <= waiting(cloud, depth)
            for info in list(cloud.stores["state"].list("scenes/")):
                stored = records.read(cloud.stores["state"], info.name)
                assert stored is not None
                assert stored.record.phase is Phase.IDLE
                ending = stored.record.ending
                if ending is not None and ending.failure is not None:
                    reason = json.loads(cloud.stores["error"].read(f"{stored.record.scene}/error.json")[0])
                    assert reason["scene"] == stored.record.scene

    rounds()


def waiting(cloud: Cloud, depth: int) -> set[str]:
    """Scenes of companions alone, which wait for videos."""
    found = sort_uploads(cloud.stores["input"].list(), depth).scenes
    return {scene for scene, blobs in found.items() if all(blob.name.endswith("_READY") for blob in blobs)}


def audited(cloud: Cloud, depth: int) -> list[str]:
    containers, queues = Containers(**cloud.stores), Queues(**cloud.queues)
    evidence = collect(containers, queues, DispatchSettings(prefix_depth=depth), 3, cloud.clock())
    return [finding.line() for finding in audit(evidence, containers.output).violations]


def test_what_lies_in_our_folders_is_audited_and_brought_back(tmp_path: Path) -> None:
    """Scene `s/2` lies in the folder of scene `s`: what one has in `error` is not the other's."""
    cloud = cloud_of("memory", tmp_path)
    work(cloud, ["s/x.mp4"], 2, 0, fails=False)
    work(cloud, ["s/2/z.mp4"], 2, 1, fails=True)
    assert audited(cloud, 2) == []  # `s` has no dead letter, and needs no reason
    sent = work(cloud, ["s/error.json", "s/y.mp4"], 2, 2, fails=True)
    assert {"s/error.json", "s/generation~2/error.json", "s/2/error.json"} <= set(cloud.names("error"))
    assert audited(cloud, 2) == []
    containers, queues = Containers(**cloud.stores), Queues(**cloud.queues)
    redrive.carry_out(containers, queues, redrive.plan(containers, "s"))
    assert {name: cloud.stores["input"].read(name)[0] for name in cloud.names("input")} == sent
    assert cloud.json("error", "s/2/error.json")["scene"] == "s/2"
    assert [entry.scene for entry in known_scenes(containers, 2)] == ["s", "s/2"]
