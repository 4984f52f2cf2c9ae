"""A backup, a lost account, and a restored one, on the storage emulator: the rehearsal of docs/backup.md."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from function_app.wiring import assemble
from local.azurite import Azurite
from scenejobs.adapters.azure.clients import open_containers, open_queues
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.incoming import batches
from tests.azurite import fresh_settings
from tests.azurite_scene import ROOT, Scene, names

pytestmark = pytest.mark.slow


def call(desk: Scene, *arguments: str, code: int = 0) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=ROOT, env=desk.env, capture_output=True, text=True, timeout=60,
        check=False,
    )  # fmt: skip
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def sweep(desk: Scene) -> None:
    settings = DispatchSettings(quiet_s=0, max_wait_s=0)
    assemble(desk.containers, desk.queues, MemoryCompute(), settings).sweeper.sweep()


def everything(containers: Containers) -> dict[str, list[tuple[str, bytes, Any]]]:
    stores = (containers.input, containers.output, containers.processed, containers.error, containers.state)
    return {
        role: [(blob.name, store.read(blob.name)[0], blob.metadata.keys()) for blob in store.list()]
        for role, store in zip(("input", "output", "processed", "error", "state"), stores, strict=True)
    }


@pytest.mark.azurite
def test_an_account_that_was_lost_comes_back_whole_and_its_scenes_go_on(
    azurite: Azurite, storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Path
) -> None:
    lost = Scene(storage, containers, queues, tmp_path)
    lost.upload("lobby/view1.mp4", b"first")
    lost.queue()
    assert lost.run().returncode == 0
    lost.upload("cellar/view1.mp4", b"")  # ends in error
    lost.queue("cellar")
    assert lost.run().returncode == 0
    assert names(containers.error)
    lost.upload("attic/view1.mp4", b"sealed, and not begun")
    sweep(lost)
    assert list(batches.of_scene(containers.state, "attic"))
    kept = tmp_path / "backup"
    call(lost, "scripts.backup", "save", str(kept))
    lost.upload("hall/view1.mp4", b"waits")  # came after: the second save reads this one
    assert "blobs" in call(lost, "scripts.backup", "save", str(kept))
    before = everything(containers)

    settings = fresh_settings(azurite)  # another account, as far as any program can see
    back = Scene(settings, open_containers(settings), open_queues(settings), tmp_path)
    call(back, "scripts.backup", "restore", str(kept))
    assert everything(back.containers) == before
    assert "not empty" in call(back, "scripts.backup", "restore", str(kept), code=2)
    call(back, "scenejobs", "audit", "--deep")

    sweep(back)
    assert back.run().returncode == 0, "the upload that waited is worked on: nothing but the sweep was needed"
    assert {"hall/manifest.json", "attic/manifest.json"} <= set(names(back.containers.output))
    back.upload("lobby/view2.mp4", b"late")
    back.queue()
    assert back.run().returncode == 0
    manifest = json.loads(back.containers.output.read("lobby/manifest.json")[0])
    assert [(file["filename"], file["generation"]) for file in manifest["files"]] == [
        ("view1.mp4", 1),
        ("view2.mp4", 2),
    ]
    call(back, "scenejobs", "retry", "cellar", "--dry-run")
    call(back, "scenejobs", "audit", "--deep")

    back.containers.processed.delete("lobby/view1.mp4")  # one file is lost
    call(back, "scenejobs", "audit", code=1)
    call(back, "scripts.backup", "restore", str(kept), "--missing")
    assert "lobby/view1.mp4" in names(back.containers.processed)
    (damaged,) = [each for each in json.loads((kept / "index.json").read_text()) if each["name"] == "lobby/view1.mp4"]
    (kept / damaged["file"]).write_bytes(b"worst")
    back.containers.processed.delete("lobby/view1.mp4")
    assert "is damaged" in call(back, "scripts.backup", "restore", str(kept), "--missing", code=3)


def test_folders_that_were_copied_back_are_audited_clean_and_their_scenes_grow(tmp_path: Path) -> None:
    data, env = tmp_path / "data", {"PATH": os.environ["PATH"], "BACKEND": "mock", "MIN_DISK_SPACE_GB": "0"}
    env |= {"DATA_PATH": str(data), "TEMP_PATH": str(tmp_path), "RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "lobby"}

    def run(*arguments: str) -> int:
        done = subprocess.run([sys.executable, "-m", *arguments], cwd=ROOT, env=env, capture_output=True, check=False)
        return done.returncode

    (data / "input/lobby").mkdir(parents=True)
    (data / "input/lobby/view1.mp4").write_bytes(b"first")
    assert run("runner") == 0
    shutil.copytree(data, tmp_path / "kept")  # with times, as cp -a
    shutil.rmtree(data)
    shutil.copytree(tmp_path / "kept", data)
    assert run("scenejobs", "restored") == 0
    assert run("scenejobs", "audit", "--deep") == 0
    (data / "input/lobby").mkdir(exist_ok=True)
    (data / "input/lobby/view2.mp4").write_bytes(b"late")
    assert run("runner") == 0
    manifest = json.loads((data / "output/lobby/manifest.json").read_text())
    assert [file["filename"] for file in manifest["files"]] == ["view1.mp4", "view2.mp4"]
