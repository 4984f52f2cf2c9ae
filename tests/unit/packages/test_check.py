"""`make locks-check`: a Python that is only named says so, and ends nothing."""

from __future__ import annotations

import sys
from pathlib import Path

from scripts.packages.check import works


def test_a_name_without_a_python_behind_it_is_none(tmp_path: Path) -> None:
    shim = tmp_path / "python3.99"
    shim.write_text("#!/bin/sh\necho 'python3.99: command not found' >&2\nexit 127\n")
    shim.chmod(0o755)
    assert works(sys.executable)
    assert not works(str(shim))
    assert not works(str(tmp_path / "nowhere"))
