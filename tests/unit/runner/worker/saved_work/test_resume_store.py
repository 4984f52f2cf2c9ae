"""What was saved is restored whole or not at all, whatever lies in the storage; only files of ours are written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from runner.scene.stages import RESUME_FILES
from runner.worker.saved_work import resume_store
from runner.worker.saved_work.resume_store import (
    MAX_POINTER_BYTES,
    Part,
    ResumePoint,
    forget,
)
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state.blobs import InputBlob
from tests.doubles.faults import Fault, FaultPlan, nth_call
from tests.doubles.resume_machine import MANIFEST, Machine, failing, nothing, pointer, spoil, what


def test_another_machine_finds_what_one_saved(tmp_path: Path, store: MemoryBlobStore) -> None:
    Machine(tmp_path / "a", store).save()
    other = Machine(tmp_path / "b", store)
    found = other.restore()
    assert other.holds() == what("one")
    assert found.saved.run == "run-1"
    assert found.saved.stages() == list(RESUME_FILES)
    assert list(other.scratch.iterdir()) == []


@pytest.mark.parametrize("tenths", range(10))
@pytest.mark.parametrize("stage", RESUME_FILES)
def test_a_part_torn_at_any_tenth_is_ignored_with_what_came_after_it(
    tmp_path: Path, store: MemoryBlobStore, stage: str, tenths: int, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path / "a", store)
    machine.save()
    (part,) = (part for part in machine.restore().saved.parts if part.file == RESUME_FILES[stage][-1])
    data = store.blobs[machine.location.blob(part)].data
    store.write(machine.location.blob(part), data[: len(data) * tenths // 10])
    other = Machine(tmp_path / "b", store)
    found = other.restore()
    before = list(RESUME_FILES)[: list(RESUME_FILES).index(stage)]
    assert other.holds() == (what("one", *before) if before else {})
    assert found.saved.stages() == before
    assert f"is not used from {stage} on: {part.file} has " in caplog.text
    other.save("two")  # and the next save repairs it
    third = Machine(tmp_path / "c", store)
    third.restore()
    assert third.holds() == what("two")


@pytest.mark.parametrize("tenths", range(10))
def test_a_pointer_torn_at_any_tenth_is_ignored_and_removed(
    tmp_path: Path, store: MemoryBlobStore, tenths: int, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(tmp_path / "a", store).save()
    data = store.blobs[pointer(store)].data
    store.write(pointer(store), data[: len(data) * tenths // 10])
    other = Machine(tmp_path / "b", store)
    assert other.restore().etag is None
    assert other.holds() == {}
    assert store.blobs == {}
    assert "saved work of scene lobby is not used" in caplog.text


def test_the_same_bytes_in_number_but_other_bytes_are_ignored(tmp_path: Path, store: MemoryBlobStore) -> None:
    machine = Machine(tmp_path / "a", store)
    machine.save()
    (part,) = (part for part in machine.restore().saved.parts if part.file == "training/state.npz")
    store.write(machine.location.blob(part), bytes(part.size_bytes))
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == what("one", "frame_extraction", "colmap_reconstruction")


def test_a_missing_part_is_ignored(tmp_path: Path, store: MemoryBlobStore) -> None:
    machine = Machine(tmp_path / "a", store)
    machine.save()
    (part,) = (part for part in machine.restore().saved.parts if part.file == "frames.json")
    store.delete(machine.location.blob(part))
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == {}


@pytest.mark.parametrize(
    "other",
    [
        {"manifest": (InputBlob("lobby/a.mp4", "E2", 3),)},
        {"manifest": (*MANIFEST, InputBlob("lobby/b.mp4", "E1", 3))},
        {"settings": PipelineSettings(seed=1)},
        {"program": "p2"},
    ],
    ids=["uploaded again", "one more upload", "settings", "program"],
)
def test_work_on_other_uploads_with_other_settings_or_by_another_program_is_foreign(
    tmp_path: Path, store: MemoryBlobStore, other: dict[str, Any]
) -> None:
    """It is removed as well: the newest kind of work is the only one that is kept."""
    Machine(tmp_path / "a", store).save()
    machine = Machine(tmp_path / "b", store, **other)
    machine.restore()
    assert machine.holds() == {}
    assert store.blobs == {}


def test_a_pointer_copied_from_another_place_is_foreign(tmp_path: Path, store: MemoryBlobStore) -> None:
    Machine(tmp_path / "a", store).save()
    machine = Machine(tmp_path / "b", store, program="p2")
    for name in list(store.blobs):
        store.write(f"work/lobby/{machine.location.digest}/{name.split('/')[-1]}", store.read(name)[0])
    machine.restore()
    assert machine.holds() == {}


HOSTILE_FILES = (
    "../../escaped", "/tmp/escaped", "training/../../../escaped", "sparse/../../escaped", "..", "", ".",
    "training/state.npz/../../escaped", "training\\state.npz", "request.json", "tmp/sitecustomize.py",
    "training/state.npz\0", "Training/state.npz", "result.json",
)  # fmt: skip


@pytest.mark.parametrize("file", HOSTILE_FILES)
def test_a_pointer_cannot_name_a_file_that_is_none_of_ours(
    tmp_path: Path, store: MemoryBlobStore, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(tmp_path / "a", store).save()
    spoil(store, lambda value: value["parts"][-1].update(file=file))
    other = Machine(tmp_path / "b", store)
    before = set(tmp_path.rglob("*"))
    other.restore()
    assert set(tmp_path.rglob("*")) == before, "something was written"
    assert "none of ours" in caplog.text


def replaced(value: dict[str, Any], **fields: Any) -> None:
    value.update(fields)


HOSTILE_POINTERS: dict[str, Callable[[dict[str, Any]], None]] = {
    "huge": lambda value: value["parts"][0].update(size_bytes=10**15),
    "negative": lambda value: value["parts"][0].update(size_bytes=-1),
    "a text for a size": lambda value: value["parts"][0].update(size_bytes="9"),
    "true for a size": lambda value: value["parts"][0].update(size_bytes=True),
    "a path for a hash": lambda value: value["parts"][0].update(sha256="../../scenes/lobby.json"),
    "a new line after a hash": lambda value: value["parts"][0].update(sha256="a" * 64 + "\n"),
    "capital letters in a hash": lambda value: value["parts"][0].update(sha256="A" * 64),
    "a file twice": lambda value: value["parts"].append(value["parts"][0]),
    "no parts": lambda value: replaced(value, parts=None),
    "parts of another kind": lambda value: replaced(value, parts=[1, None, "x"]),
    "another format": lambda value: replaced(value, format=2),
    "another digest": lambda value: replaced(value, digest="0" * 32),
    "a digest of another kind": lambda value: replaced(value, digest=7),
}


@pytest.mark.parametrize("change", HOSTILE_POINTERS.values(), ids=HOSTILE_POINTERS.keys())
def test_a_pointer_that_is_not_ours_in_any_field_is_ignored(
    tmp_path: Path, store: MemoryBlobStore, change: Callable[[dict[str, Any]], None]
) -> None:
    Machine(tmp_path / "a", store).save()
    spoil(store, change)
    with pytest.raises(ValueError):  # noqa: PT011
        ResumePoint.from_json(store.blobs[pointer(store)].data, Machine(tmp_path / "x", store).location.digest)
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == {}


def test_the_pointer_is_what_programs_wrote_so_far(tmp_path: Path, store: MemoryBlobStore) -> None:
    """To the byte: work that was saved by a runner of yesterday is resumed by one of today."""
    machine = Machine(tmp_path, store)
    part = Part("frames.json", 3, "a" * 64)
    digest, sha256 = machine.location.digest, "a" * 64
    text = (
        f'{{\n "format": 1,\n "digest": "{digest}",\n "run": "run-1",\n "saved_at": "2026-01-01T00:00:00+00:00",\n'
        f' "parts": [\n  {{\n   "file": "frames.json",\n   "size_bytes": 3,\n   "sha256": "{sha256}"\n  }}\n ]\n}}'
    )
    point = ResumePoint(machine.location.digest, "run-1", "2026-01-01T00:00:00+00:00", (part,))
    assert point.to_json() == text.encode()
    assert ResumePoint.from_json(text.encode(), machine.location.digest) == point
    newer = json.dumps({**json.loads(text), "colour": "red"}).encode()
    assert ResumePoint.from_json(newer, machine.location.digest) == point


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b"\xff", b"[" * 50_000, b"{}", b"1"])
def test_a_pointer_that_is_no_object_is_ignored(tmp_path: Path, store: MemoryBlobStore, data: bytes) -> None:
    Machine(tmp_path / "a", store).save()
    store.write(pointer(store), data)
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == {}


def test_a_huge_pointer_or_part_is_not_even_downloaded(tmp_path: Path, store: MemoryBlobStore) -> None:
    machine = Machine(tmp_path / "a", store)
    machine.save()
    (part,) = (part for part in machine.restore().saved.parts if part.file == "frames.json")
    store.write(machine.location.blob(part), bytes(10_000))
    plan = FaultPlan(store.clock)
    Machine(tmp_path / "b", plan.store(store)).restore()
    assert f"download state/{machine.location.blob(part)}" not in plan.calls
    store.write(pointer(store), bytes(MAX_POINTER_BYTES + 1))
    plan.calls.clear()
    Machine(tmp_path / "c", plan.store(store)).restore()
    assert not [call for call in plan.calls if call.startswith("read ")]


def test_work_that_would_fill_the_disk_is_left_where_it_is(
    tmp_path: Path, store: MemoryBlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    Machine(tmp_path / "a", store).save()
    too_much = min(resume_store.MAX_PART_BYTES, 10**12)
    spoil(store, lambda value: [part.update(size_bytes=too_much) for part in value["parts"]])
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == {}
    assert "do not fit" in caplog.text or "instead of" in caplog.text


def test_a_store_that_fails_at_any_call_of_a_restore_costs_the_saved_work_only(tmp_path: Path) -> None:
    def world(name: str) -> MemoryBlobStore:
        store = MemoryBlobStore("state", ManualClock())
        Machine(tmp_path / f"{name}-saved", store).save()
        return store

    plan = FaultPlan(ManualClock())
    Machine(tmp_path / "all", plan.store(world("all"))).restore()
    assert len(plan.calls) > 15
    for at in range(1, len(plan.calls) + 1):
        machine = Machine(tmp_path / str(at), failing(world(str(at)), nth_call(at, Fault.BUSY)))
        stages = machine.restore().saved.stages()
        assert machine.holds() == (what("one", *stages) if stages else {})
        forget(failing(machine.store.store, nth_call(1, Fault.BUSY)), "lobby", nothing)
