"""Only a committed file that is there as it was committed is published, and a mutant of each half of that.

The simulation cannot show it: nothing of ours changes the files of a committed run.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from runner.worker.ending import publish as publishing
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore
from scenejobs.errors import StorageError
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import OutputFile
from scenejobs.state.copies import find
from scenejobs.state.layout import run_folder
from scenejobs.state.record import Phase, SceneRecord

FILE = run_folder("lobby", "run2") + "lobby.ply"


@pytest.fixture
def output() -> MemoryBlobStore:
    """The first run is published, the second one committed."""
    return MemoryBlobStore("output", ManualClock(), copy_plan=lambda: (0.0, True))


def committed(output: MemoryBlobStore, folder: Path, run: str) -> SceneRecord:
    (folder / run).mkdir()
    for name in ("lobby.ply", "manifest.json"):
        (folder / run / name).write_text(f"{name} of {run}")
    outputs = publishing.upload_outputs(folder / run, output, "lobby", run, lambda: None)
    return SceneRecord("lobby", Phase.COMMITTED, run=run, outputs=outputs)


def damage(output: MemoryBlobStore) -> None:
    output.write(FILE, b"another size")


def half_copied(output: MemoryBlobStore) -> None:
    """Somebody restores it, and the copy is under way."""
    data, _ = output.read(FILE)
    output.write("backup", data)
    output._copy_plan = lambda: (600.0, True)
    output.begin_copy(output, "backup", FILE, source_etag=None, if_absent=False)
    output._copy_plan = lambda: (0.0, True)


def nothing_of_it_is_published(
    output: MemoryBlobStore, folder: Path, what_happened: Callable[[MemoryBlobStore], None]
) -> None:
    publishing.publish(committed(output, folder, "run1"), output, lambda: None)
    before = {name: output.read(name)[0] for name in ("lobby/lobby.ply", "lobby/manifest.json")}
    record = committed(output, folder, "run2")
    what_happened(output)
    with pytest.raises(StorageError, match="missing or has another size"):
        publishing.publish(record, output, lambda: None)
    assert {name: output.read(name)[0] for name in before} == before


@pytest.mark.parametrize("what_happened", [damage, half_copied])
def test_what_is_not_as_it_was_committed_is_not_published(
    output: MemoryBlobStore, tmp_path: Path, what_happened: Callable[[MemoryBlobStore], None]
) -> None:
    nothing_of_it_is_published(output, tmp_path, what_happened)


def of_any_size(output: BlobStore, folder: str, file: OutputFile) -> BlobInfo:
    found = find(output, folder + file.name)
    if found is None or not found.whole:
        raise StorageError("missing or has another size")
    return found


def half_is_enough(output: BlobStore, folder: str, file: OutputFile) -> BlobInfo:
    found = find(output, folder + file.name)
    if found is None or found.size_bytes != file.size_bytes:
        raise StorageError("missing or has another size")
    return found


@pytest.mark.parametrize(("mutant", "what_happened"), [(of_any_size, damage), (half_is_enough, half_copied)])
def test_a_missing_rule_is_noticed(
    output: MemoryBlobStore,
    tmp_path: Path,
    mutant: Callable[[BlobStore, str, OutputFile], BlobInfo],
    what_happened: Callable[[MemoryBlobStore], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(publishing, "_committed", mutant)
    with pytest.raises((AssertionError, pytest.fail.Exception, StorageError)):
        nothing_of_it_is_published(output, tmp_path, what_happened)
