"""Where the CPU seconds of the pose stage go: features, matching, mapping; of today's stage, and of earlier ones."""

from __future__ import annotations

import resource
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]

PART_OF = {"extract": "features", "probe": "features", "choose_pairs": "matching", "match": "matching"}
"""By the action of a request to the COLMAP process; all others are part of the mapping."""


@dataclass
class Parts:
    """CPU seconds of all processes, by part, and how many pairs of pictures were compared."""

    seconds: dict[str, float] = field(default_factory=lambda: {"features": 0.0, "matching": 0.0, "mapping": 0.0})
    pairs: int = 0


@contextmanager
def cpu_by_part() -> Iterator[Parts]:
    """What the COLMAP processes of the runner take inside the block."""
    from runner.poses.colmap import client

    parts, run = Parts(), client.run

    def timed(request: Any, *rest: Any, **named: Any) -> Any:
        begun = children_s()
        try:
            answer = run(request, *rest, **named)
        finally:
            parts.seconds[PART_OF.get(request.action, "mapping")] += children_s() - begun
        parts.pairs = max(parts.pairs, getattr(answer, "pairs", 0) if request.action == "match" else 0)
        return answer

    client.run = timed  # type: ignore[assignment]
    try:
        yield parts
    finally:
        client.run = run


def children_s() -> float:
    """CPU seconds of the processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def earlier(commit: str, folder: Path) -> Iterator[Path]:
    """A folder to run this benchmark in with the pose stage of an earlier commit, and all else as it is today."""
    from benchmarks.checkout import checked_out  # here: an earlier tree, which this is read in, need not have it

    mixed = folder / "mixed"
    with checked_out(commit, folder / "tree") as tree:
        mixed.mkdir()
        for path in ROOT.iterdir():
            if path.is_dir() and path.name != "runner" and not path.name.startswith("."):
                (mixed / path.name).symlink_to(path)
        # Copies: the runner starts COLMAP's process from the folder that its own files are in.
        shutil.copytree(ROOT / "runner", mixed / "runner", ignore=shutil.ignore_patterns("poses", "__pycache__"))
        shutil.copytree(tree / "runner" / "poses", mixed / "runner" / "poses")
        yield mixed
