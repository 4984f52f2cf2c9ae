"""Folders or an account: the settings say which, and never both."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from scenejobs.adapters.folder import Places
from scenejobs.adapters.open import nowhere, open_storage, places
from scenejobs.errors import ConfigurationError
from scenejobs.settings.storage import FolderSettings, StorageSettings

ROOT = Path(__file__).parents[4]


def test_a_data_path_means_folders(tmp_path: Path) -> None:
    storage = open_storage(FolderSettings(data=str(tmp_path)), StorageSettings(), check=True)
    storage.containers.input.write("lobby/a.mp4", b"1")
    assert (tmp_path / "input/lobby/a.mp4").read_bytes() == b"1"
    assert storage.means == "folders"


@pytest.mark.parametrize("account", [StorageSettings(account="shop"), StorageSettings(endpoint="https://x.example")])
def test_folders_and_an_account_together_are_refused(tmp_path: Path, account: StorageSettings) -> None:
    with pytest.raises(ConfigurationError, match="it is not clear where the scenes are"):
        open_storage(FolderSettings(data=str(tmp_path)), account)


def test_each_folder_may_lie_elsewhere(tmp_path: Path) -> None:
    found = places(FolderSettings(data=str(tmp_path), processed="/slow/processed"))
    assert found == Places(
        tmp_path / "input", tmp_path / "output", Path("/slow/processed"), tmp_path / "error", tmp_path / "state"
    )
    assert places(FolderSettings()).state == Path("/data/state")


def test_one_shot_and_user_commands_work_on_folders(tmp_path: Path) -> None:
    """As a container instance does with a mounted share: batch mode, then status; and nothing of Azure is imported."""
    (tmp_path / "input/lobby").mkdir(parents=True)
    (tmp_path / "input/lobby/a.mp4").write_bytes(b"1")
    env = {"PATH": os.environ["PATH"], "DATA_PATH": str(tmp_path), "BACKEND": "mock", "MIN_DISK_SPACE_GB": "0"}
    batch = {**env, "RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "lobby"}
    program = (
        "import sys; from runner import cli; code = cli.main([]); "
        "print(code, [name for name in sys.modules if name.split('.')[0] == 'azure'])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, cwd=ROOT, env=batch, capture_output=True, text=True, check=True)
    assert done.stdout == "0 []\n"
    command = [sys.executable, "-m", "scenejobs", "status", "lobby"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert done.stdout == "lobby: done\n"
    assert json.loads((tmp_path / "output/lobby/manifest.json").read_text())["mock"] is True


def test_folders_that_nothing_names_are_those_of_an_image_or_asked_for(tmp_path: Path) -> None:
    there, gone = str(tmp_path), str(tmp_path / "gone")
    assert not nowhere(FolderSettings(), default=there)
    assert not nowhere(FolderSettings(data="/anywhere"), default=gone)
    named = FolderSettings(input="/i", output="/o", processed="/p", error="/e", state="/s")
    assert not nowhere(named, default=gone)
    for lacking in (FolderSettings(), replace(named, state=""), replace(named, output="")):
        assert "is not set" in nowhere(lacking, default=gone)
