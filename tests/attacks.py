"""Attacks of `tests/hostile.py` in the sandbox, for tests: how they are started, and whether they were refused."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import landlock
from runner.sandbox.lockdown import Ceilings
from runner.sandbox.run import Bounds, run

ROOT = Path(__file__).parents[1]
COMMAND = (sys.executable, "-P", "-m", "tests.hostile")
GIB = 1024**3
REFUSED = {"Operation not permitted", "Permission denied", "Function not implemented"}

needs_landlock = pytest.mark.skipif(
    sys.platform != "linux" or landlock.abi() < 1, reason="this kernel has no Landlock: less is closed than is asserted"
)


def attack(
    name: str, folder: Path | None = None, mode: str = "auto", command: Sequence[str] = COMMAND, **arguments: Any
) -> Any:
    given = {key: arguments.pop(key) for key in ("on_progress", "on_layers") if key in arguments}
    bounds = Bounds(
        Ceilings(arguments.pop("memory", GIB), arguments.pop("cpu_s", 20), 1 << 20),
        wall_s=arguments.pop("wall_s", 30), silence_s=arguments.pop("silence_s", 30),
        answer_bytes=1 << 16, files=10, folder_bytes=4 << 20,
    )  # fmt: skip
    request = {"attack": name, "arguments": arguments, "writes": folder is not None}
    return run(request, about="view1.mp4", bounds=bounds, mode=mode, command=command, folder=folder, **given)


def refused(outcome: Any) -> bool:
    return outcome.get("refused") in REFUSED


def layers_of(own: Path, command: Sequence[str] = COMMAND) -> list[str]:
    """The layers that close an attack in."""
    layers: list[str] = []
    attack("honest_work", own, command=command, on_layers=layers.extend)
    return layers
