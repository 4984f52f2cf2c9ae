"""Folders that the sandbox may write to, or could."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder that the sandbox may write to."""
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder in which any user may write: the way to pytest's own is closed to others, which would refuse as well."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        (folder / "own").mkdir()
        (folder / "own").chmod(0o777)
        yield folder
