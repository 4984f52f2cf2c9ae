"""The folder of a job is private, and gone with its job."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.job.workspace import FOLDER_PREFIX, job_folder
from scenejobs.errors import ConfigurationError


def test_the_folder_of_a_job_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with job_folder(str(tmp_path / "base")) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep" / "er").mkdir(parents=True)
    assert not folder.exists()


def test_folders_of_killed_runners_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    abandoned = tmp_path / f"{FOLDER_PREFIX}abandoned"
    abandoned.mkdir()
    (abandoned / ".lock").touch()
    foreign = tmp_path / "holiday"
    foreign.mkdir()
    with job_folder(str(tmp_path)) as living, job_folder(str(tmp_path)):
        assert living.exists()
        assert not abandoned.exists()
    assert foreign.exists()


def test_a_workspace_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file"), job_folder(str(tmp_path / "file" / "below")):
        pass
