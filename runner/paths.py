"""Where this program's own files are. Modules of every depth ask here, so that none counts its parents."""

import os
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # holds the packages: `runner`, `scenejobs`, ...
RUNNER = ROOT / "runner"


def with_our_code(env: Mapping[str, str]) -> dict[str, str]:
    """The environment of a child that is started with `-P` (nothing of its folder is imported) and runs our code."""
    return {**env, "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), env.get("PYTHONPATH", ""))))}
