"""A container that is a folder, as most tests of the folder adapter want it."""

from __future__ import annotations

from pathlib import Path

import pytest

from scenejobs.adapters.folder import FolderBlobStore


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "input").mkdir()
    return tmp_path / "input"


@pytest.fixture
def store(folder: Path) -> FolderBlobStore:
    return FolderBlobStore(folder)
