"""A running job is saved as it goes on, in time, and by its own runner alone."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from runner.scene.stages import RESUME_FILES
from runner.worker.saved_work.resume_saver import ResumeSaver, SaverContext, fits
from runner.worker.saved_work.resume_store import (
    FILES,
)
from runner.worker.shutdown import SAVED_S
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Busy, InputError, Interrupted, LeaseLost, RunnerError
from tests.doubles.faults import Fault, FaultPlan, Killed, killed_at, nth_call
from tests.doubles.resume_machine import Machine, failing, nothing, what
from tests.runner_world import ByHand


def test_only_what_changed_is_uploaded_and_only_the_newest_state_is_kept(
    tmp_path: Path, store: MemoryBlobStore
) -> None:
    machine = Machine(tmp_path, store)
    machine.save()
    plan = FaultPlan(store.clock)
    machine.location = replace(machine.location, store=plan.store(store))
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
    saver = ResumeSaver(machine.location, machine.restore(), "run-1", machine.workspace, machine.scratch, around)
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
    saver = ResumeSaver(machine.location, machine.restore(), "run-1", machine.workspace, machine.scratch, around)
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

    machine.location = replace(machine.location, store=Slow(store, uploading))  # type: ignore[arg-type]
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
