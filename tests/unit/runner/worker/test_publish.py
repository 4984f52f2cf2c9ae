"""Publishing a committed run: the manifest last, nothing of a paused runner undoes a newer result."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest

from runner.worker.ending.publish import publish, upload_outputs
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import Conflict, LeaseLost, RunnerError, StorageError
from scenejobs.state.record import Phase, SceneRecord
from tests.doubles.faults import Fault, FaultPlan, Killed, Meanwhile, Rule


def nothing() -> None: ...


NAMES = ("lobby.ply", "lobby.splat", ".checkpoint.json", "manifest.json")


def committed(
    output: MemoryBlobStore, folder: Path, run: str, text: str, names: tuple[str, ...] = NAMES
) -> SceneRecord:
    folder = folder / run
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"{name} {text}")
    outputs = upload_outputs(folder, output, "lobby", run, nothing)
    return SceneRecord("lobby", Phase.COMMITTED, run=run, outputs=outputs)


@pytest.fixture
def output() -> MemoryBlobStore:
    return MemoryBlobStore("output", ManualClock())


def published(output: MemoryBlobStore) -> dict[str, bytes]:
    return {blob.name: output.read(blob.name)[0] for blob in output.list() if "/runs/" not in blob.name}


def changes(output: MemoryBlobStore, record: SceneRecord) -> list[str]:
    """What publishing the record changes, call by call."""
    plan = FaultPlan(output.clock)
    publish(record, plan.store(output), nothing)
    return [call for call in plan.calls if call.startswith(("delete ", "copy ", "write "))]


def test_outputs_are_recorded_with_size_and_hash(output: MemoryBlobStore, tmp_path: Path) -> None:
    record = committed(output, tmp_path, "run1", "")
    by_name = {file.name: file for file in record.outputs}
    assert set(by_name) == {"lobby.ply", "lobby.splat", ".checkpoint.json", "manifest.json"}
    # printf 'lobby.ply ' | sha256sum
    assert by_name["lobby.ply"].size_bytes == 10
    assert by_name["lobby.ply"].sha256 == "49e1c4a952d146a97e59ccc30a9c94364f9ef395739b59e753c13b26b3f09040"


def test_a_job_that_left_no_manifest_has_no_result(output: MemoryBlobStore, tmp_path: Path) -> None:
    (tmp_path / "lobby.ply").write_text("ply")
    with pytest.raises(RunnerError, match=r"manifest\.json"):
        upload_outputs(tmp_path, output, "lobby", "run", nothing)
    assert list(output.list()) == []


def test_the_manifest_promises_nothing_while_files_are_replaced(output: MemoryBlobStore, tmp_path: Path) -> None:
    publish(committed(output, tmp_path, "run1", "old"), output, nothing)
    seen = []
    look = Meanwhile(lambda: seen.append(json.loads(output.read("lobby/manifest.json")[0])), "delete", times=9)
    record = committed(output, tmp_path, "run2", "new")
    publish(record, FaultPlan(output.clock, meanwhile=[look]).store(output), nothing)
    assert seen == [{"publishing": "run2", "outputs": []}] * 3


def test_a_runner_that_was_paused_before_its_last_step_cannot_bring_its_manifest_back(
    output: MemoryBlobStore, tmp_path: Path
) -> None:
    """Its successor published this run, and is in the middle of publishing the next one."""
    old, new = (committed(output, tmp_path, f"run{i}", text) for i, text in enumerate(("old", "new")))

    def successor() -> None:
        publish(old, output, nothing)
        with pytest.raises(LeaseLost):  # killed after the first file
            publish(new, output, lambda: output.head("lobby/lobby.ply") and stop_when_replaced())

    def stop_when_replaced() -> None:
        if output.read("lobby/lobby.ply")[0] == b"lobby.ply new":
            raise LeaseLost("killed")

    pause = FaultPlan(output.clock, meanwhile=[Meanwhile(successor, "read")])
    with pytest.raises(Conflict):
        publish(old, pause.store(output), nothing)
    assert json.loads(output.read("lobby/manifest.json")[0])["outputs"] == []


def test_the_manifest_leaves_first_and_comes_last(output: MemoryBlobStore, tmp_path: Path) -> None:
    publish(committed(output, tmp_path, "run1", "old"), output, nothing)
    record = committed(output, tmp_path, "run2", "new")
    done = changes(output, record)
    assert done[0] == done[-1] == "write output/lobby/manifest.json"
    assert len(done) > 4
    assert {name: data.split()[-1] for name, data in published(output).items()} == {
        f"lobby/{file.name}": b"new" for file in record.outputs
    }


def test_publishing_again_changes_nothing(output: MemoryBlobStore, tmp_path: Path) -> None:
    record = committed(output, tmp_path, "run1", "")
    publish(record, output, nothing)
    assert changes(output, record) == []


@pytest.mark.parametrize("pause", ["before the check", "after the check"])
def test_a_paused_runner_cannot_bring_an_old_result_back(output: MemoryBlobStore, tmp_path: Path, pause: str) -> None:
    """Paused at any moment; meanwhile its successor publishes this run and a newer one.

    Before a check the runner learns that it lost the scene; after it, only the conditions of its requests are left.
    """
    oldest, old, new = (committed(output, tmp_path, f"run{i}", text) for i, text in enumerate(("oldest", "old", "new")))

    def run(pause_at: int) -> int:
        """Publishes `old` over `oldest`; returns how often it checked."""
        for name in list(published(output)):
            output.delete(name)
        publish(oldest, output, nothing)
        checks, overtaken = 0, False

        def check() -> None:
            nonlocal checks, overtaken
            checks += 1
            if checks == pause_at:
                publish(old, output, nothing)
                publish(new, output, nothing)
                overtaken = True
                if pause == "after the check":
                    return
            if overtaken:
                raise LeaseLost("paused for too long")

        with contextlib.suppress(LeaseLost, Conflict):
            publish(old, output, check)
        return checks

    total = run(pause_at=0)
    assert total > 4
    for pause_at in range(1, total + 1):
        run(pause_at)
        assert {data.split()[-1] for data in published(output).values()} == {b"new"}, pause_at
        assert len(published(output)) == 4


def test_outputs_that_vanished_after_the_commit_are_an_error(output: MemoryBlobStore, tmp_path: Path) -> None:
    record = committed(output, tmp_path, "run1", "")
    output.delete("lobby/runs/run1/lobby.ply")
    with pytest.raises(StorageError, match=r"runs/run1/lobby\.ply"):
        publish(record, output, nothing)
    assert published(output) == {}


def test_a_copy_that_a_killed_runner_left_under_way_is_waited_for_before_the_manifest_names_it(tmp_path: Path) -> None:
    clock = ManualClock()
    output = MemoryBlobStore("output", clock, copy_plan=lambda: (100, True), pause=clock.advance)
    record = committed(output, tmp_path, "run-1", "one")
    folder = "lobby/runs/run-1/"
    output.begin_copy(output, folder + "lobby.ply", "lobby/lobby.ply", source_etag=None, if_absent=True)
    publish(record, output, nothing)
    assert published(output)["lobby/lobby.ply"] == b"lobby.ply one"
    assert all(blob.whole for blob in output.list())


def test_what_only_an_older_run_wrote_does_not_stay_published(output: MemoryBlobStore, tmp_path: Path) -> None:
    """It leaves after the manifest that does not name it; a file that somebody else put there stays."""
    old = committed(output, tmp_path, "run1", "old", (*NAMES, "viewer.html"))
    publish(old, output, nothing)
    output.write("lobby/notes.txt", b"a person's own")
    output.copy_from(output, "lobby/runs/run1/viewer.html", "lobby/cam2/viewer.html", source_etag=None, if_absent=True)
    record = committed(output, tmp_path, "run2", "new")
    done = changes(output, record)
    assert done[-2:] == ["write output/lobby/manifest.json", "delete output/lobby/viewer.html"]
    assert set(published(output)) == {f"lobby/{name}" for name in (*NAMES, "notes.txt", "cam2/viewer.html")}
    assert output.read("lobby/runs/run1/viewer.html")[0] == b"viewer.html old"


def test_a_run_that_was_killed_before_it_removed_the_old_is_finished_by_the_next(
    output: MemoryBlobStore, tmp_path: Path
) -> None:
    publish(committed(output, tmp_path, "run1", "old", (*NAMES, "viewer.html")), output, nothing)
    record = committed(output, tmp_path, "run2", "new")
    with pytest.raises(Killed):
        publish(record, FaultPlan(output.clock, [Rule(Fault.KILLED_BEFORE, "delete", "viewer")]).store(output), nothing)
    assert "lobby/viewer.html" in published(output)
    publish(record, output, nothing)
    assert "lobby/viewer.html" not in published(output)


def test_a_paused_runner_removes_nothing_that_its_successor_published(output: MemoryBlobStore, tmp_path: Path) -> None:
    """It was about to remove the viewer of run 1; meanwhile run 3 has published one."""
    publish(committed(output, tmp_path, "run1", "old", (*NAMES, "viewer.html")), output, nothing)
    paused = committed(output, tmp_path, "run2", "run2")
    newest = committed(output, tmp_path, "run3", "run3", (*NAMES, "viewer.html"))
    pause = Meanwhile(lambda: publish(newest, output, nothing), "delete", "viewer.html")
    publish(paused, FaultPlan(output.clock, meanwhile=[pause]).store(output), nothing)
    assert published(output)["lobby/viewer.html"] == b"viewer.html run3"
