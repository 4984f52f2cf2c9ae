"""Saved work comes back whole or not at all, whatever lies in the storage; only our own files are ever written."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.scene.stages import RESUME_FILES
from runner.worker import resume_store
from runner.worker.resume_saver import ResumeSaver, SaverContext, fits
from runner.worker.resume_store import (
    FILES,
    MAX_POINTER_BYTES,
    Restored,
    ResumePoint,
    forget,
    restore,
    resume_location,
)
from runner.worker.shutdown import SAVED_S
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Busy, InputError, Interrupted, LeaseLost, RunnerError
from scenejobs.settings.groups import PipelineSettings
from scenejobs.state.blobs import InputBlob
from tests.doubles.faults import Fault, FaultPlan, FaultyBlobStore, Killed, Rule, killed_at, nth_call
from tests.runner_world import ByHand

MANIFEST = (InputBlob("lobby/a.mp4", "E1", 3),)


def nothing() -> None:
    """Allows everything."""


class Machine:
    """One machine with a workspace, and the storage that machines share."""

    def __init__(self, folder: Path, store: Any, **key: Any) -> None:
        self.workspace, self.scratch = folder / "workspace", folder / "saved"
        for each in (self.workspace, self.scratch):
            each.mkdir(parents=True)
        self.store = store
        manifest, settings, program = (
            key.get(name, usual) for name, usual in
            (("manifest", MANIFEST), ("settings", PipelineSettings()), ("program", "p1"))
        )  # fmt: skip
        self.place = resume_location(store, "lobby", manifest, settings, program)
        self.threads, self.time_s = ByHand(), 0.0
        self.stopping = False  # told to stop, just now
        self.stopped_at: float | None = None  # or at this time
        self.check: Callable[[], None] = nothing

    def stopped_s(self) -> float | None:
        if self.stopping and self.stopped_at is None:
            self.stopped_at = self.time_s
        return None if self.stopped_at is None else self.time_s - self.stopped_at

    def restore(self) -> Restored:
        return restore(self.place, self.workspace, self.scratch, self.check)

    def saver(self, found: Restored | None = None, run: str = "run-1") -> ResumeSaver:
        threads = self.threads
        around = SaverContext(
            lambda: self.check(), self.stopped_s, ManualClock(), lambda: self.time_s, threads.pause, threads
        )
        return ResumeSaver(self.place, found or self.restore(), run, self.workspace, self.scratch, around)

    def leave(self, text: str, *stages: str) -> None:
        """The files of finished stages."""
        for stage in stages or RESUME_FILES:
            for file in RESUME_FILES[stage]:
                (self.workspace / file).parent.mkdir(exist_ok=True)
                (self.workspace / f"{file}.new").write_text(f"{text} {file}")
                (self.workspace / f"{file}.new").replace(self.workspace / file)

    def save(self, text: str = "one", *stages: str, run: str = "run-1") -> None:
        with self.saver(run=run):
            self.leave(text, *stages)
            self.threads.acts["resume saver"]()

    def holds(self) -> dict[str, str]:
        files = [path for path in self.workspace.rglob("*") if path.is_file()]
        return {path.relative_to(self.workspace).as_posix(): path.read_text() for path in files}


def failing(store: MemoryBlobStore, rule: Rule) -> FaultyBlobStore:
    return FaultPlan(store.clock, [rule]).store(store)


@pytest.fixture
def store() -> MemoryBlobStore:
    return MemoryBlobStore("state", ManualClock())


def what(text: str, *stages: str) -> dict[str, str]:
    return {file: f"{text} {file}" for stage in stages or RESUME_FILES for file in RESUME_FILES[stage]}


def pointer(store: MemoryBlobStore) -> str:
    return next(name for name in store.blobs if name.endswith("/saved.json"))


def spoil(store: MemoryBlobStore, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes the pointer as somebody could who may write to the state container."""
    name = pointer(store)
    value = json.loads(store.blobs[name].data)
    change(value)
    store.write(name, json.dumps(value).encode())


def test_another_machine_finds_what_one_saved(tmp_path: Path, store: MemoryBlobStore) -> None:
    Machine(tmp_path / "a", store).save()
    other = Machine(tmp_path / "b", store)
    found = other.restore()
    assert other.holds() == what("one")
    assert found.saved.run == "run-1"
    assert found.saved.stages() == list(RESUME_FILES)
    assert list(other.scratch.iterdir()) == []


def test_only_what_changed_is_uploaded_and_only_the_newest_state_is_kept(
    tmp_path: Path, store: MemoryBlobStore
) -> None:
    machine = Machine(tmp_path, store)
    machine.save()
    plan = FaultPlan(store.clock)
    machine.place = replace(machine.place, store=plan.store(store))
    with machine.saver(machine.restore()):
        plan.calls.clear()
        machine.threads.acts["resume saver"]()
        assert plan.calls == [], "nothing has changed"
        machine.leave("two", "training")
        machine.threads.acts["resume saver"]()
        assert [call.split()[0] for call in plan.calls] == ["upload", "write", "delete"]
        plan.calls.clear()
        machine.leave("two", "training")
        machine.threads.acts["resume saver"]()
        assert [call.split()[0] for call in plan.calls] == ["write"], "the same bytes were uploaded twice"
    assert list(machine.scratch.iterdir()) == [], "copies take up the job's disk"
    assert len(store.blobs) == len(FILES) + 1
    fresh = Machine(tmp_path / "b", store)
    fresh.restore()
    assert fresh.holds() == {**what("one"), **what("two", "training")}


def test_a_stage_is_saved_when_it_is_finished_and_not_before(tmp_path: Path, store: MemoryBlobStore) -> None:
    machine = Machine(tmp_path, store)
    machine.leave("one", "frame_extraction", "colmap_reconstruction")
    (machine.workspace / "sparse.json").unlink()
    with machine.saver():
        machine.threads.acts["resume saver"]()
    fresh = Machine(tmp_path / "b", store)
    fresh.restore()
    assert fresh.holds() == what("one", "frame_extraction")


# ---- torn, foreign, hostile ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tenths", range(10))
@pytest.mark.parametrize("stage", RESUME_FILES)
def test_a_part_torn_at_any_tenth_is_ignored_with_what_came_after_it(
    tmp_path: Path, store: MemoryBlobStore, stage: str, tenths: int, caplog: pytest.LogCaptureFixture
) -> None:
    machine = Machine(tmp_path / "a", store)
    machine.save()
    (part,) = (part for part in machine.restore().saved.parts if part.file == RESUME_FILES[stage][-1])
    data = store.blobs[machine.place.blob(part)].data
    store.write(machine.place.blob(part), data[: len(data) * tenths // 10])
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
    store.write(machine.place.blob(part), bytes(part.size_bytes))
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == what("one", "frame_extraction", "colmap_reconstruction")


def test_a_missing_part_is_ignored(tmp_path: Path, store: MemoryBlobStore) -> None:
    machine = Machine(tmp_path / "a", store)
    machine.save()
    (part,) = (part for part in machine.restore().saved.parts if part.file == "frames.json")
    store.delete(machine.place.blob(part))
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
        store.write(f"work/lobby/{machine.place.digest}/{name.split('/')[-1]}", store.read(name)[0])
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
        ResumePoint.from_json(store.blobs[pointer(store)].data, Machine(tmp_path / "x", store).place.digest)
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == {}


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
    store.write(machine.place.blob(part), bytes(10_000))
    plan = FaultPlan(store.clock)
    Machine(tmp_path / "b", plan.store(store)).restore()
    assert f"download state/{machine.place.blob(part)}" not in plan.calls
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


# ---- crashes, rivals, storage errors ---------------------------------------------------------------------------------


def saved_twice(folder: Path, store: Any) -> None:
    """Saves one state and then another; all with calls that may be the last."""
    machine = Machine(folder, store)
    machine.leave("one")
    with machine.saver():
        machine.threads.acts["resume saver"]()
        machine.leave("two", "training")
        machine.threads.acts["resume saver"]()


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_kill_at_any_call_leaves_one_whole_state_or_the_other(tmp_path: Path, after: bool) -> None:
    plan = FaultPlan(ManualClock())
    saved_twice(tmp_path / "all", plan.store(MemoryBlobStore("state", plan.clock)))
    assert len(plan.calls) > 10
    seen = []
    for at, call in enumerate(plan.calls, start=1):
        store = MemoryBlobStore("state", ManualClock())
        with pytest.raises(Killed):
            saved_twice(tmp_path / f"{at}{after}", failing(store, killed_at(at, after=after)))
        other = Machine(tmp_path / f"{at}{after}-other", store)
        other.restore()
        stages = [stage for stage in RESUME_FILES if set(RESUME_FILES[stage]) <= other.holds().keys()]
        text = other.holds().get("training/state.npz", "one").split()[0]
        expected = what("one", *stages) if stages else {}
        assert other.holds() == {**expected, **(what(text, "training") if "training" in stages else {})}, call
        seen.append((len(stages), text))
        leftovers = len(store.blobs) - len(other.holds()) - bool(stages)
        assert leftovers == 0, f"{call}: what no pointer names is kept"
    assert seen == sorted(seen), "what was saved once was lost again"
    assert seen[-1] == (3, "two")


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_store_that_fails_at_any_call_delays_saving_and_nothing_else(tmp_path: Path, after: bool) -> None:
    plan = FaultPlan(ManualClock())
    saved_twice(tmp_path / "all", plan.store(MemoryBlobStore("state", plan.clock)))
    for at, call in enumerate(plan.calls, start=1):
        store = MemoryBlobStore("state", ManualClock())
        busy = nth_call(at, Fault.UNANSWERED if after else Fault.BUSY)
        machine = Machine(tmp_path / f"{at}{after}", failing(store, busy))
        machine.leave("one")
        with machine.saver():
            machine.threads.acts["resume saver"]()
            machine.leave("two", "training")
            for _ in range(3):
                machine.time_s += 60
                machine.threads.acts["resume saver"]()
        other = Machine(tmp_path / f"{at}{after}-other", store)
        other.restore()
        assert other.holds() == {**what("one"), **what("two", "training")}, call


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


def test_a_runner_that_was_overtaken_saves_nothing_more(tmp_path: Path, store: MemoryBlobStore) -> None:
    """Even when it does not know yet that it lost the lease: the pointer changes by compare-and-swap."""
    late, rival = Machine(tmp_path / "a", store), Machine(tmp_path / "b", store)
    late.leave("late")
    with late.saver():
        rival.save("rival", run="run-2")
        late.threads.acts["resume saver"]()
        late.leave("later", "training")
        late.threads.acts["resume saver"]()
    third = Machine(tmp_path / "c", store)
    third.restore()
    assert third.holds() == what("rival")


def test_without_the_lease_nothing_is_changed(tmp_path: Path, store: MemoryBlobStore) -> None:
    machine = Machine(tmp_path, store)
    machine.leave("one")

    def lost() -> None:
        raise LeaseLost("somebody else's")

    with machine.saver():
        machine.check = lost
        machine.threads.acts["resume saver"]()
        machine.check = nothing
        machine.threads.acts["resume saver"]()
    assert store.blobs == {}


# ---- the last save ---------------------------------------------------------------------------------------------------


def ended_by(machine: Machine, error: BaseException) -> None:
    """A job that leaves a state and ends with the error before anybody looked."""
    with pytest.raises(type(error)), machine.saver():  # noqa: PT012
        machine.leave("last")
        raise error


@pytest.mark.parametrize("error", [Interrupted("stop"), RunnerError("hung"), Busy("the store failed")])
def test_what_another_attempt_can_use_is_saved_at_the_end(
    tmp_path: Path, store: MemoryBlobStore, error: Exception
) -> None:
    ended_by(Machine(tmp_path / "a", store), error)
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == what("last")


@pytest.mark.parametrize("error", [LeaseLost("gone"), InputError("no video"), Killed()])
def test_what_nobody_goes_on_with_is_not_saved(tmp_path: Path, store: MemoryBlobStore, error: BaseException) -> None:
    ended_by(Machine(tmp_path, store), error)
    assert store.blobs == {}


def test_a_stop_leaves_out_what_cannot_be_uploaded_in_time(
    tmp_path: Path, store: MemoryBlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    """300 MB at the assumed 20 MB/s take longer than the 12 s; the state saved before counts."""
    caplog.set_level(logging.INFO)
    machine = Machine(tmp_path / "a", store)
    machine.leave("one")
    with pytest.raises(Interrupted), machine.saver():  # noqa: PT012
        machine.threads.acts["resume saver"]()
        machine.stopping = True
        machine.threads.acts["resume saver"]()
        with (machine.workspace / "training" / "new.npz").open("wb") as file:
            file.truncate(300 << 20)
        (machine.workspace / "training" / "new.npz").replace(machine.workspace / "training" / "state.npz")
        raise Interrupted("told to stop")
    assert "315 MB of training are not saved: only 12 s left" in caplog.text
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == what("one")


def test_an_upload_that_takes_too_long_is_left_behind(tmp_path: Path, store: MemoryBlobStore) -> None:
    """It hangs in its thread; the runner goes on after 12 s, and the late upload points at nothing."""
    machine = Machine(tmp_path / "a", store)
    hanging = ByHand()

    def pause(seconds: float) -> None:
        machine.time_s += 1

    machine.leave("one")
    around = SaverContext(nothing, machine.stopped_s, ManualClock(), lambda: machine.time_s, pause, hanging)
    saver = ResumeSaver(machine.place, machine.restore(), "run-1", machine.workspace, machine.scratch, around)
    with pytest.raises(Interrupted), saver:  # noqa: PT012
        machine.stopping = True
        hanging.acts["resume saver"]()
        raise Interrupted("told to stop")
    assert machine.time_s == pytest.approx(SAVED_S, abs=1)
    hanging.acts["resume saver"]()  # the thread wakes up
    assert store.blobs == {}


def test_a_job_that_took_long_to_stop_leaves_less_time_for_saving(
    tmp_path: Path, store: MemoryBlobStore, caplog: pytest.LogCaptureFixture
) -> None:
    """The seconds count from the signal: 7 of the 12 went by before the job had ended."""
    caplog.set_level(logging.INFO)
    machine = Machine(tmp_path, store)
    with pytest.raises(Interrupted), machine.saver():  # noqa: PT012
        machine.stopped_at = 0.0
        machine.time_s = 7.0
        machine.leave("one")
        with (machine.workspace / "training" / "state.npz").open("wb") as file:
            file.truncate(100 << 20)
        raise Interrupted("told to stop")
    assert "105 MB of training are not saved: only 5 s left" in caplog.text


def test_a_signal_during_the_last_save_of_a_failed_job_shortens_it(tmp_path: Path, store: MemoryBlobStore) -> None:
    """Its thread hangs, so the one who waits for it has to notice."""
    machine = Machine(tmp_path, store)
    hanging = ByHand()

    def pause(seconds: float) -> None:
        machine.time_s += 1
        if machine.time_s == 20:
            machine.stopping = True

    machine.leave("one")
    around = SaverContext(nothing, machine.stopped_s, ManualClock(), lambda: machine.time_s, pause, hanging)
    saver = ResumeSaver(machine.place, machine.restore(), "run-1", machine.workspace, machine.scratch, around)
    with pytest.raises(RunnerError), saver:
        raise RunnerError("crashed")
    assert machine.time_s == 20 + SAVED_S


class Slow:
    """A store whose uploads take as long as the machine says."""

    def __init__(self, store: MemoryBlobStore, uploading: Callable[[], None]) -> None:
        self._store, self._uploading = store, uploading

    def upload(self, path: Path, name: str) -> str:
        self._uploading()
        return self._store.upload(path, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


def test_what_was_uploaded_too_late_is_not_pointed_at(tmp_path: Path, store: MemoryBlobStore) -> None:
    """The runner may have given the scene back meanwhile."""
    machine = Machine(tmp_path, store)

    def uploading() -> None:
        machine.time_s += SAVED_S + 1

    machine.place = replace(machine.place, store=Slow(store, uploading))  # type: ignore[arg-type]
    with pytest.raises(Interrupted), machine.saver():  # noqa: PT012
        machine.leave("one")
        machine.stopping = True
        raise Interrupted("told to stop")
    assert [name for name in store.blobs if name.endswith(".json")] == []
    assert len(store.blobs) == 1, "a further upload was begun"


def test_what_fits_is_decided_by_size_time_and_measured_speed() -> None:
    assert fits(100_000_000, 12, 20e6)
    assert not fits(300_000_000, 12, 20e6)
    assert fits(300_000_000, 12, 100e6)
    assert not fits(0, 0.1, 20e6)


# ---- what the job could do -------------------------------------------------------------------------------------------


def test_links_and_pipes_in_the_workspace_are_not_followed(tmp_path: Path, store: MemoryBlobStore) -> None:
    secret = tmp_path / "secret"
    secret.mkdir()
    (secret / "state.npz").write_text("token")
    for number, plant in enumerate((
        lambda path: path.symlink_to(secret / "state.npz"),
        lambda path: os.mkfifo(path),
        lambda path: (path.parent.rmdir(), path.parent.symlink_to(secret)),
    )):  # fmt: skip
        machine = Machine(tmp_path / str(number), store)
        machine.leave("one", "frame_extraction", "colmap_reconstruction")
        (machine.workspace / "training").mkdir()
        plant(machine.workspace / "training" / "state.npz")
        with machine.saver():
            machine.threads.acts["resume saver"]()
        assert b"token" not in [blob.data for blob in store.blobs.values()]
        assert len(store.blobs) == 1 + sum(len(RESUME_FILES[stage]) for stage in list(RESUME_FILES)[:2])


def test_a_file_that_changes_while_it_is_copied_waits_for_the_next_look(tmp_path: Path, store: MemoryBlobStore) -> None:
    """The copy goes into a pipe here, too small for it, so that the test can act between its beginning and its end."""
    machine = Machine(tmp_path / "a", store)
    machine.leave("one")
    (machine.workspace / "training" / "state.npz").write_bytes(bytes(1 << 20))
    pipe = machine.scratch / "training-state.npz"

    def change_meanwhile() -> None:
        with pipe.open("rb") as copy:  # the saver waits for this
            machine.leave("two", "training")
            copy.read()
        pipe.unlink(missing_ok=True)

    with machine.saver():
        os.mkfifo(pipe)
        thread = threading.Thread(target=change_meanwhile, daemon=True)
        thread.start()
        machine.threads.acts["resume saver"]()
        thread.join(10)
        assert len(store.blobs) == 1 + len(FILES) - 1, "a copy of half the one and half the other is there"
        machine.threads.acts["resume saver"]()
    other = Machine(tmp_path / "b", store)
    other.restore()
    assert other.holds() == {**what("one"), **what("two", "training")}
