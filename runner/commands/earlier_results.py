"""What an earlier run left in the folder of the results: put aside while a run works, gone when it succeeds.

A failed run would else leave `error.json` beside a scene of another day. Only what is provably ours is ever removed: a
file that the manifest of the earlier run names, with the hash that it has there.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from runner.files.describe import describe_file

FOLDER = "previous"
MANIFEST = "manifest.json"
NAMES = frozenset({
    MANIFEST, "metrics.json", "cameras.json", "orientation.json", "viewer.html", "report.html", "poster.jpg",
    "comparison_worst.png", "comparison_worst_2.png", "comparison_worst_3.png", "comparison_median.png",
    "comparison_best.png",
})  # fmt: skip
SUFFIXES = (".ply", ".splat", ".spz", ".compressed.ply")


def is_result(file: str, name: str) -> bool:
    """Whether a result of this stem has a file of this name. Poses that it had are read before they are replaced."""
    return file != "cameras.json" and (file in NAMES or file in {name + suffix for suffix in SUFFIXES})


def put_aside(out: Path, name: str, inputs: Collection[Path]) -> Path | None:
    """Moves an earlier result to a folder of its own in `out`; returns that folder, None where there is no result.

    name: stem of the new result. inputs: files that this run reads, which stay. Raises OSError.
    """
    found = [path for path in _results(out, name) if path not in inputs]
    if not found:
        return None
    aside = out / FOLDER
    number = 2
    while aside.exists() or aside.is_symlink():
        aside, number = out / f"{FOLDER}-{number}", number + 1
    aside.mkdir()
    for path in found:
        path.rename(aside / path.name)
    return aside


def remove_results(out: Path, name: str, inputs: Collection[Path]) -> None:
    """What a run that failed has written so far; earlier results were put aside before it began."""
    for path in _results(out, name):
        if path not in inputs:
            path.unlink(missing_ok=True)


def forget(aside: Path | None) -> None:
    """Removes an earlier result after a new one has taken its place. What cannot be proved to be ours stays."""
    if aside is None:
        return
    stated = _stated(aside)
    for name, sha256 in stated.items():
        path = aside / name
        if path.is_file() and not path.is_symlink() and describe_file(path).sha256 == sha256:
            path.unlink()
    if stated:
        (aside / MANIFEST).unlink()
    if not any(aside.iterdir()):
        aside.rmdir()


def _results(out: Path, name: str) -> list[Path]:
    names = NAMES | {name + suffix for suffix in SUFFIXES} | _stated(out).keys()
    return sorted(out / each for each in names if (out / each).is_file() or (out / each).is_symlink())


def _stated(folder: Path) -> dict[str, str]:
    """Names and hashes of the files that the manifest there names. It may be anybody's file: nothing is believed."""
    try:
        manifest: Any = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        found = {str(each["name"]): str(each["sha256"]) for each in manifest["outputs"]}
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return {}
    return {name: sha256 for name, sha256 in found.items() if name == Path(name).name and name not in ("", ".", "..")}
