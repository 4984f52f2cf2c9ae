"""Hostile names at every level they enter: events, messages, listings, files, outputs, documents, logs, pages."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from function_app.wiring import App, assemble
from runner.export.ply import write_ply
from runner.export.viewer.own import write_viewer
from runner.job.request import Job
from runner.job.supervise import Supervision
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.mock import reconstruct_mock
from runner.scene.frames import Clip
from runner.scene.gaussians import Gaussians
from runner.scene.progress import SILENT
from runner.worker.ending.dead_letter import error_document, write_reason
from scenejobs.adapters.folder import FolderBlobStore
from scenejobs.adapters.memory import MemoryBlobStore, MemoryCompute, MemoryQueue
from scenejobs.errors import Code, Failure, InputError, SceneJobError, UnreadableMessage
from scenejobs.logs.setup import JsonFormatter, Redaction, TextFormatter, printable
from scenejobs.names import output_stem, refusal, scene_of, upload_refusal
from scenejobs.ports import Containers, QueueMessage, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.blobs import InputBlob
from scenejobs.state.incoming.refused import refused_uploads
from scenejobs.state.messages import DebounceCheck, JobMessage
from scenejobs.state.overview.scenes import known_scenes
from scenejobs.state.overview.status import scene_status
from scenejobs.state.record import SceneRecord
from tests.hostile_names import ANY, NAMES, VICTIM
from tests.pages import script_of
from tests.runner_world import Cloud, echo_job
from tests.splats import ring_of_views, some_gaussians

REFUSED = [name for name in NAMES if upload_refusal(name)]
TAKEN = [name for name in NAMES if not upload_refusal(name)]
VICTIMS = (VICTIM, "victim", "precious.mp4", "etc/passwd", "dispatcher", "a", "b/a")


@pytest.fixture
def cloud(tmp_path: Path) -> Cloud:
    cloud = Cloud(tmp_path)
    for kind in ("output", "processed", "error", "state"):
        for name in VICTIMS:
            cloud.stores[kind].write(name, f"precious {kind}".encode())
    return cloud


def app_of(cloud: Cloud) -> App:
    queues = Queues(**cloud.queues)
    return assemble(Containers(**cloud.stores), queues, MemoryCompute(cloud.clock), DispatchSettings(quiet_s=60))


def everything(cloud: Cloud) -> dict[str, str]:
    return {f"{kind}/{blob.name}": blob.etag for kind, store in cloud.stores.items() for blob in store.list()}


def plant(cloud: Cloud, name: str) -> None:
    """Puts a blob under a name that the store's own calls refuse."""
    store = cloud.stores["input"]
    store.write("planted", f"video {name!r}".encode())
    store.blobs[name] = store.blobs.pop("planted")


@contextlib.contextmanager
def log_lines() -> Iterator[tuple[io.StringIO, io.StringIO]]:
    """What the two formats of the log make of everything that is logged meanwhile."""
    streams, handlers = (io.StringIO(), io.StringIO()), []
    for stream, formatter in zip(streams, (JsonFormatter({}), TextFormatter({})), strict=True):
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter)
        handler.addFilter(Redaction())
        handlers.append(handler)
    root, level = logging.getLogger(), logging.getLogger().level
    root.setLevel(logging.INFO)
    for handler in handlers:
        root.addHandler(handler)
    try:
        yield streams
    finally:
        root.setLevel(level)
        for handler in handlers:
            root.removeHandler(handler)


def test_uploads_of_every_name_are_processed_or_refused_and_nobody_is_touched(cloud: Cloud) -> None:
    """The whole way: event, quiet time, sweep, runner, outputs, archive. The scenes of refused names go on."""
    before = everything(cloud)
    app = app_of(cloud)
    jobs: list[Job] = []

    def job(job: Job, supervision: Supervision) -> dict[str, Any]:
        jobs.append(job)
        return echo_job(job, supervision)

    names = REFUSED + [name for name in TAKEN if scene_of(name) in ("lobby", "victim")] + TAKEN[::12]
    with log_lines() as (as_json, as_text):
        for name in dict.fromkeys(names):
            plant(cloud, name)
            app.dispatcher.on_upload(name, cloud.clock())
        cloud.clock.advance(100)
        while (message := cloud.queues["debounce"].receive(600)) is not None:
            app.dispatcher.on_quiet(DebounceCheck.from_json(message.text))
            cloud.queues["debounce"].complete(message)
        app.sweeper.sweep()
        cloud.settle(job)

    assert {name: etag for name, etag in everything(cloud).items() if name in before} == before
    assert set(cloud.stores["input"].blobs) == set(REFUSED)
    records = [cloud.json("state", name) for name in cloud.names("state", "refused/")]
    assert {record["name"] for record in records} == set(REFUSED)
    assert all(record["reason"] for record in records)

    scenes = {scene_of(name) for name in names if not upload_refusal(name)}
    for kind in ("output", "processed", "error"):
        new = [name for name in cloud.names(kind) if f"{kind}/{name}" not in before]
        assert all(refusal(name) is None for name in new)
        assert {name for name in new if not any(name.startswith(f"{scene}/") for scene in scenes)} == set()
    places = re.compile(
        r"(scenes|progress)/[a-z0-9~_-]+\.json|batches/[a-z0-9~_-]+/[0-9a-f]{16}\.json|refused/[0-9a-f]{16}\.json"
        r"|generations/[a-z0-9~_-]+/[0-9]+\.json|spend/[0-9-]{10}/execution-[0-9a-f]{8}\.json"
    )
    new = [name for name in cloud.names("state") if f"state/{name}" not in before]
    assert [name for name in new if not places.fullmatch(name)] == ["dispatcher.json", "sweep.json"]

    assert len(jobs) > 20
    for done in jobs:
        assert re.fullmatch(r"[^/\x00]{1,120}", done.name)
        assert not done.name.startswith(("-", "."))
        for clip in done.clips:
            assert clip.path.is_relative_to(cloud.folder)
            assert re.fullmatch(r"\d{4}\.(mp4|mov|avi|mkv|webm|m4v)", clip.path.name)
    assert list(cloud.folder.iterdir()) == []

    lines = as_json.getvalue().splitlines()
    assert len(lines) > len(REFUSED)
    assert all(line.isascii() and json.loads(line)["message"] for line in lines)
    assert all(line.isprintable() for line in as_text.getvalue().splitlines())


def test_a_scene_status_of_any_name_is_one_printable_line(cloud: Cloud) -> None:
    """And the refused uploads are shown, each on its line."""
    for name in NAMES:
        plant(cloud, name)
    containers = Containers(**cloud.stores)
    scenes = [entry.scene for entry in known_scenes(containers, 1)]
    assert len(scenes) > 100
    for scene in scenes:
        assert printable(scene_status(containers, scene).line()).isprintable()
    lines = [upload.line() for upload in refused_uploads(containers, 1)]
    assert len(lines) == len(REFUSED)
    assert all(line.isprintable() for line in lines)


def test_a_check_that_names_anything_as_its_scene_looks_at_most(cloud: Cloud) -> None:
    """A forged message: unreadable, or a scene without uploads. Nothing is written for it."""
    app = app_of(cloud)
    before = everything(cloud)
    for name in NAMES:
        check = DebounceCheck(name, name, cloud.clock())
        if refusal(name):
            with pytest.raises(UnreadableMessage):
                app.dispatcher.on_quiet(check)
        else:
            app.dispatcher.on_quiet(check)
    assert everything(cloud) == before
    assert cloud.queues["jobs"].total() == 0


def test_a_job_that_names_anything_as_its_scene_ends_in_the_poison_queue_or_finds_nothing(cloud: Cloud) -> None:
    """At most an idle record, under a name that is ours."""
    before = everything(cloud)
    worker = cloud.worker()
    names = [*REFUSED, *TAKEN[::5]]
    for name in names:
        text = JobMessage(name, "", cloud.clock()).to_json()
        cloud.queues["jobs"].send(text)
        message = cloud.queues["jobs"].receive(60)
        assert message is not None
        worker.handle(message)
    assert cloud.queues["jobs"].total() == 0
    assert cloud.queues["poison"].total() == len([name for name in REFUSED if refusal(name)])
    assert cloud.jobs_run == 0
    after = everything(cloud)
    assert {name: after[name] for name in before} == before
    assert all(re.fullmatch(r"state/scenes/[a-z0-9~_-]+\.json", name) for name in set(after) - set(before))


@pytest.mark.parametrize("char", ["n", '"', "é", "\U0001f4f1"])
def test_messages_about_the_longest_names_can_be_read(char: str) -> None:
    """In the queue, and by who receives them."""
    name = f"{char * 399}/{char * 400}"
    assert upload_refusal(name) is None
    now = datetime(2026, 1, 1, tzinfo=UTC)
    check = DebounceCheck(scene_of(name), name, now)
    job = JobMessage(scene_of(name), "0" * 16, now, "00-" + "0" * 50)
    assert DebounceCheck.from_json(check.to_json()) == check
    assert JobMessage.from_json(job.to_json()) == job
    MemoryQueue().send(check.to_json())


def test_reasons_for_dead_letters_hold_any_name_and_lie_in_their_scene(cloud: Cloud) -> None:
    for name in TAKEN:
        scene = scene_of(name)
        failure = Failure("validation", "NOT_A_VIDEO", f"{name} is no video", "upload a video")
        record = SceneRecord(scene).given_up(failure, (InputBlob(name, "1", 1),), "run", cloud.clock())
        document = json.loads(json.dumps(error_document(record)))
        assert (document["scene"], document["inputs"][0]["name"]) == (scene, name)
    error = cloud.stores["error"]
    for scene in {scene_of(name) for name in TAKEN[::10]}:
        record = SceneRecord(scene).given_up(failure, (), "run", cloud.clock())
        write_reason(record, error, b"log", lambda: None)
        assert json.loads(error.read(f"{scene}/error.json")[0])["scene"] == scene


HTML = [name for name in NAMES if set(name) & set("<>&'\"{}$\\\u2028\u2029\x00") or "__" in name]


def test_a_viewer_page_of_any_name_has_the_same_elements(tmp_path: Path) -> None:
    """Title and note are text: no name opens or closes an element, or names another part of the page."""
    gaussians = some_gaussians(5)
    views = ring_of_views(4, np.zeros(3))
    write_viewer(gaussians, views, tmp_path / "plain.html", title="lobby", note="lobby")
    plain = (tmp_path / "plain.html").read_text()
    assert len(HTML) > 60
    for name in HTML:
        title = name.encode("utf-8", "replace").decode()
        write_viewer(gaussians, views, tmp_path / "viewer.html", title=title, note=title)
        page = (tmp_path / "viewer.html").read_bytes().decode()
        assert re.findall(r"<[a-zA-Z!/][^\s>]*", page) == re.findall(r"<[a-zA-Z!/][^\s>]*", plain), name
        assert json.loads(script_of(page, "scene"))["note"] == title


def test_a_ply_is_the_same_whatever_its_scene_is_called(tmp_path: Path) -> None:
    """Its header holds no text of a user's."""
    gaussians: Gaussians = some_gaussians(3)
    contents = set()
    for name in [name for name in TAKEN if "/" not in name]:
        path = tmp_path / f"{output_stem(name)}.ply"
        assert path.parent == tmp_path
        write_ply(gaussians, path)
        contents.add(path.read_bytes())
        path.unlink()
    assert len(contents) == 1


def test_a_result_lies_in_its_folder_whatever_scene_and_clips_are_called(tmp_path: Path) -> None:
    """The mock pipeline with hostile scene and clip names: only plain files in `out`, strict JSON in all documents."""
    (tmp_path / "0001.mp4").write_bytes(b"bytes")
    for number, name in enumerate(TAKEN[::40]):
        out = tmp_path / f"out{number}"
        clip = Clip(name, tmp_path / "0001.mp4")
        mock = pipeline_settings.resolve(PipelineSettings(backend="mock"), f"run-{number}")
        reconstruct_mock([clip], tmp_path / f"work{number}", out, output_stem(scene_of(name)), mock, SILENT)
        files = [path.relative_to(out) for path in out.rglob("*") if path.is_file()]
        assert len({file.parts[0] for file in files}) > 3
        for document in out.glob("*.json"):
            json.loads(document.read_text(encoding="utf-8"))
        manifest = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
        assert {refusal(output["name"]) for output in manifest["outputs"]} == {None}
    assert {path.name.rstrip("0123456789") for path in tmp_path.iterdir()} <= {"out", "work", "0001.mp"} | {"0001.mp4"}


def test_a_message_shown_to_people_is_cut_and_escaped(cloud: Cloud) -> None:
    """What lands in the poison queue can be read there: printable JSON of limited size."""
    for text in ("\x1b[2J" * 5000, "\u202e" * 8000, "]]>" * 3000):
        cloud.worker().handle(QueueMessage("1", "1", text, 1))
    while (message := cloud.queues["poison"].receive(60)) is not None:
        assert message.text.isascii()
        assert len(message.text) <= 65_536
        assert json.loads(message.text)["reason"]


def test_a_failed_scene_of_any_name_is_dead_lettered(cloud: Cloud) -> None:
    """The reason and the inputs are found below the scene's own name in `error`."""

    def fail(job: Job, supervision: Supervision) -> dict[str, Any]:
        raise InputError(f"{job.clips[0].name} is no video", code=Code.NOT_A_VIDEO)

    names = [f"{scene}/a.mp4" for scene in ("-rf", "%03d", "<script>", "\u202egpj", "🎬" * 60, "a b", ".a", "CON")]
    for name in names:
        cloud.upload(name, b"x")
        cloud.queue(scene_of(name))
    cloud.settle(fail)
    for name in names:
        assert cloud.stores["error"].read(name)[0] == b"x"
        assert cloud.json("error", f"{scene_of(name)}/error.json")["code"] == "NOT_A_VIDEO"


# ---- names that nobody listed ----


@settings(max_examples=400, deadline=None)
@given(ANY)
def test_any_name_at_all_is_refused_or_its_own(name: str) -> None:
    """Made of pieces of the list: the same promise, in memory and at an upload's event."""
    store = MemoryBlobStore("input")
    victim = store.write(VICTIM, b"precious")
    if refusal(name):
        with pytest.raises(ValueError, match="must not be used"):
            store.write(name, b"evil")
    elif name != VICTIM:
        store.write(name, b"mine", if_absent=True)
        assert store.read(name)[0] == b"mine"
        assert refusal(scene_of(name)) is None
        assert 1 <= len(output_stem(scene_of(name)).encode()) <= 120
    assert store.read(VICTIM) == (b"precious", victim)


@pytest.fixture(scope="module")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    outside = tmp_path_factory.mktemp("hostile")
    (outside / "input").mkdir()
    (outside / "precious").write_bytes(b"precious")
    return outside


@settings(max_examples=300, deadline=None)
@given(name=ANY, how=st.sampled_from(["write", "upload", "read", "delete", "list"]))
def test_any_name_at_all_stays_in_its_folder(shared_folder: Path, name: str, how: str) -> None:
    """On a real disk: nothing beside the container changes, whatever is asked of it."""
    store = FolderBlobStore(shared_folder / "input")
    if how == "list":
        assert all(blob.name.startswith(name) for blob in store.list(name))
    else:
        calls = {
            "write": lambda: store.write(name, b"evil"),
            "upload": lambda: store.upload(shared_folder / "precious", name),
            "read": lambda: store.read(name),
            "delete": lambda: store.delete(name),
        }
        refused = (ValueError,) if refusal(name) else ()
        with contextlib.suppress(SceneJobError, *refused):
            calls[how]()
    assert sorted(path.name for path in shared_folder.iterdir()) == ["input", "precious"]
    assert (shared_folder / "precious").read_bytes() == b"precious"


def test_a_record_of_any_scene_can_be_told_apart(cloud: Cloud) -> None:
    """Names that differ in what cannot be seen are two scenes, in every container."""
    twins = ["é/a.mp4", "e\u0301/a.mp4", "A/a.mp4", "a/a.mp4", "a\u200b/a.mp4", "\u0430/a.mp4", "a /a.mp4"]
    for name in twins:
        cloud.upload(name, name.encode())
        cloud.queue(scene_of(name))
    cloud.settle()
    records = [cloud.json("state", name) for name in cloud.names("state", "scenes/")]
    assert sorted(record["scene"] for record in records) == sorted(scene_of(name) for name in twins)
    assert {name for name in cloud.names("processed")} >= set(twins)
    assert replace(cloud.uploads[0]).data == cloud.stores["processed"].read(twins[0])[0]
