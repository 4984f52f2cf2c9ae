"""The page of results: a table for each size of training, a row for each way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from statistics import mean
from typing import Any

Line = dict[str, Any]
HEAD = """# Few views

`python -m benchmarks.few_views`: each way alone on the same poses, which all views together gave. The number behind a
set's name is that of its training views: photos in one or two splits, every fourth frame of films, scored half-way
between. Held-out dB, means over the seeds; *mean*: over the sets, against the first row; CPU s: of training, against
the first row. Best: how much the best of ten looks at the held-out views was above the last, which no rule may know.
A row with an empty cell has fewer sets, one with fewer seeds compares with the first row on those.
"""
SIZE = ("side", "steps", "cap", "exposure")


def page(lines: Sequence[Line]) -> str:
    """lines: of all trainings (`measured` and its key)."""

    def size(line: Line) -> tuple[Any, ...]:
        return tuple(line["key"][name] for name in SIZE)

    tables = [_table(key, list(group)) for key, group in groupby(sorted(lines, key=size), size)]
    return HEAD + "".join(tables)


def _table(size: tuple[Any, ...], lines: Sequence[Line]) -> str:
    side, steps, cap, exposure = size
    ways = list(dict.fromkeys(line["key"]["way"] for line in lines))
    sets = list(dict.fromkeys(line["key"]["set"] for line in lines))
    seeds = sorted({line["key"]["seed"] for line in lines})
    what = f"{side} px, {steps:,} steps, {cap:,} Gaussians, exposure {exposure}, seeds {', '.join(map(str, seeds))}"
    title = f"\n## {what}\n\n"
    head = f"| way | {' | '.join(sets)} | mean | SSIM | train dB | best | CPU s |\n{'| --- ' * (len(sets) + 6)}|\n"
    return title + head + "".join(_row(way, sets, lines, ways[0]) for way in ways)


def _row(way: str, sets: Sequence[str], lines: Sequence[Line], first: str) -> str:
    """Against `first` only the trainings count that both have."""
    mine = {(line["key"]["set"], line["key"]["seed"]): line for line in lines if line["key"]["way"] == way}
    theirs = {(line["key"]["set"], line["key"]["seed"]): line for line in lines if line["key"]["way"] == first}
    pairs = [(mine[key], theirs[key]) for key in mine if key in theirs]
    cells = [_cell(name, mine, theirs) for name in sets]
    gain = mean(one["test"] - other["test"] for one, other in pairs)
    ssim = mean(one["ssim"] - other["ssim"] for one, other in pairs)
    train = mean(one["train"] - other["train"] for one, other in pairs)
    best = mean(max(psnr for _, psnr in one["curve"]) - one["curve"][-1][1] for one in mine.values())
    cpu = sum(one["cpu_s"] for one, _ in pairs) / sum(other["cpu_s"] for _, other in pairs)
    return f"| {way} | {' | '.join(cells)} | {gain:+.2f} | {ssim:+.3f} | {train:+.2f} | {best:.2f} | x {cpu:.2f} |\n"


def _cell(name: str, mine: dict[Any, Line], theirs: dict[Any, Line]) -> str:
    """dB, and the difference to the first way on the same seeds."""
    values = {seed: line["test"] for (of, seed), line in mine.items() if of == name}
    if not values:
        return ""
    apart = [value - theirs[name, seed]["test"] for seed, value in values.items() if (name, seed) in theirs]
    return f"{mean(values.values()):.2f}" + (f" ({mean(apart):+.2f})" if apart and any(apart) else "")
