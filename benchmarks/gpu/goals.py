"""What is to be shown on a GPU, and what this run says of it: a goal without its measurement is "not measured"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

NOT_MEASURED = "not measured"
HEADER = "| goal | limit | this run |\n| --- | --- | --- |"


@dataclass(frozen=True)
class Timed:
    """One training as the goals see it."""

    scene: str
    run: str
    steps: int
    wall_s: float
    psnr: float
    curve: tuple[tuple[int, float, float], ...]  # step, seconds, dB of the held-out views


def seconds_to(curve: Sequence[tuple[int, float, float]], psnr: float) -> float | None:
    """When a curve first is at `psnr` dB, between two looks by a straight line; None: never."""
    before = (0, 0.0, float("-inf"))
    for look in curve:
        if look[2] >= psnr:
            rise = look[2] - before[2]
            share = (psnr - before[2]) / rise if rise < float("inf") and rise > 0 else 1.0
            return before[1] + share * (look[1] - before[1])
        before = look
    return None


def rows(ours: Sequence[Timed], theirs: Sequence[Timed], gpu: str | None) -> list[str]:
    """Lines of the table. ours: presets; theirs: gsplat's own trainer. gpu: its name; None: nothing here counts."""
    lines = [same_steps(ours, theirs) if gpu else NOT_MEASURED, quarter(ours, theirs) if gpu else NOT_MEASURED]
    table = [
        "| held-out PSNR of ours at as many steps, minus that of gsplat's own trainer | not lower | {} |",
        "| seconds of `standard` to the PSNR of gsplat's own 30,000 steps / its seconds to it | at most 1/4 | {} |",
    ]
    filled = [line.format(value) for line, value in zip(table, lines, strict=True)]
    for preset, name, minutes in (("standard", "A100", 10), ("standard", "T4", 35), ("draft", "A100", 3)):
        here = [run.wall_s for run in ours if run.run == preset] if gpu and name in gpu else []
        value = f"training alone {max(here) / 60:.1f} min" if here else NOT_MEASURED
        filled.append(f"| `{preset}` on a {name}, whole job | at most {minutes} min | {value} |")
    return filled


def same_steps(ours: Sequence[Timed], theirs: Sequence[Timed]) -> str:
    """By scene, where both trained the same number of steps."""
    found = [
        f"{one.scene} {one.run}: {one.psnr - max(other):+.2f} dB"
        for one in ours
        if (other := [run.psnr for run in theirs if (run.scene, run.steps) == (one.scene, one.steps)])
    ]
    return "; ".join(found) or NOT_MEASURED


def quarter(ours: Sequence[Timed], theirs: Sequence[Timed]) -> str:
    """By scene: against the longest run of theirs of best PSNR."""
    found = []
    for scene in dict.fromkeys(run.scene for run in theirs):
        best = max((run for run in theirs if run.scene == scene), key=lambda run: (run.steps, run.psnr))
        for one in ours:
            if (one.scene, one.run) == (scene, "standard"):
                ratio = None if (at := seconds_to(one.curve, best.psnr)) is None else at / best.wall_s
                found.append(f"{scene}: {'never' if ratio is None else f'{ratio:.2f}'}")
    return "; ".join(found) or NOT_MEASURED
