"""Real footage for tests. It is not in the repository: its licences allow tests, not redistribution."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def footage(name: str) -> Path:
    """Path of a file or folder of the footage, e.g. `fox/view1.mp4`. Skips the test, saying so, when it is missing."""
    root = os.environ.get("SCENE_FOOTAGE")
    folder = Path(root) if root else Path(__file__).resolve().parents[2] / "shared" / "data"
    path = folder / name
    if not path.exists():
        pytest.skip(f"footage {name} is missing; set SCENE_FOOTAGE to the folder that holds it")
    return path
