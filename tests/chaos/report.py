"""The committed result of a scenario: `benchmarks/results/chaos_<name>.md`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks" / "results"


def machine() -> str:
    """Date, cores and load: what a time in a table has to be read with."""
    return f"{datetime.now(UTC):%Y-%m-%d}, {os.cpu_count()} cores (shared), load average {os.getloadavg()[1]:.1f}"


def table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines)


def write(name: str, title: str, *parts: str) -> Path:
    """`python -m tests.chaos.<name>` made it, and a run replaces it whole. The parts are paragraphs and tables."""
    path = FOLDER / f"chaos_{name}.md"
    head = [f"# {title}", f"`python -m tests.chaos.{name}`, {machine()}."]
    path.write_text("\n\n".join([*head, *parts]) + "\n", encoding="utf-8")
    print(path.read_text(encoding="utf-8"))
    return path
