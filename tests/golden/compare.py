"""The same before and after: records what a checkout does, and compares two records.

    python tests/golden/compare.py record --repo BEFORE --inputs INPUTS --out A
    python tests/golden/compare.py record --repo AFTER --inputs INPUTS --out B
    python tests/golden/compare.py compare A B        # exit code 1 when anything differs

For changes that must change nothing, such as moving files. A checkout is driven by its commands, settings and blob
names, never by the places of its modules; where that cannot be avoided (`cloud.py`, IMPORTS in `recording.py`), the
places are a table.

    saved-workspace   one CPU training that goes on from a workspace with frames, poses and views. INPUTS holds the
                      workspace and the rendered clips: the first record makes them, all others reuse them.
    from-footage      the same clips to the end on one thread, where poses are the same to the last bit
    scene-mock, scene-refused   `python -m runner scene` with the mock, and with an empty video
    folder            upload, batch mode, status, audit and download over folders, one success and one dead letter
    cloud             dispatcher and runner over the twins in memory: every message, every version of every blob, log
    imports           heavy modules that a program has loaded when it is imported, each in a fresh interpreter

Time stands still and ids are counted (fixed/sitecustomize.py), in child processes too. IGNORED names what may differ.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from recording import HEAVY, PARTS, Checkout, record

ABSENT = "(absent)"
SHOWN = 40  # differences of a part
SHOWN_CHARS = 110  # of a value

# Paths are those of the flattened documents; an entry of a list is named by its "name" where it has one.
IGNORED = {
    "versions of Python and packages": r"/versions/[^/]+$",
    "seconds of stages, of attempts at poses, of trainings": (
        r"/(stage_seconds|attempt_seconds|attempt_s)/[^/]+(/[^/]+)?$|/(seconds|wall_s|eta_s|elapsed_s)$"
    ),
    "when an execution began: the time less the seconds it ran": r"/state/spend/.*/begun_at$",
    "how many blobs of state an audit saw, progress among them": r"/said/blobs/state$",
    "size and hash of documents that hold seconds or versions": (
        r"/(\[(metrics\.json|report\.html|\.checkpoint\.json|manifest\.json)\])/(size_bytes|sha256)$"
    ),
}


def flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """(path, plain value) of everything; an empty list or object counts as a value."""
    if isinstance(value, Mapping) and value:
        for key in value:
            yield from flat(value[key], f"{path}/{key}")
    elif isinstance(value, list) and value:
        names = [entry.get("name") for entry in value if isinstance(entry, dict)]
        named = len(set(names)) == len(value) and None not in names
        for number, entry in enumerate(value):
            yield from flat(entry, f"{path}/[{names[number] if named else number}]")
        if named:
            yield f"{path}/(order)", names
    else:
        yield path, value


@dataclass(frozen=True)
class Compared:
    """One part of two records."""

    values: int
    ignored: int
    differences: list[tuple[str, Any, Any]]  # path, before, after


def compare_part(name: str, before: Any, after: Any) -> Compared:
    if name == "imports":  # fewer are meant; more are a fault
        more = {program: sorted(set(loaded) - set(before.get(program, HEAVY))) for program, loaded in after.items()}
        found = [(f"/{program}", before.get(program), after[program]) for program, extra in more.items() if extra]
        return Compared(len(before), 0, found)
    left, right = dict(flat(before)), dict(flat(after))
    may_differ = [re.compile(pattern) for pattern in IGNORED.values()]
    ignored, differences = 0, list[tuple[str, Any, Any]]()
    for path in dict.fromkeys([*left, *right]):
        one, other = left.get(path, ABSENT), right.get(path, ABSENT)
        if any(pattern.search(path) for pattern in may_differ) and ABSENT not in (one, other):
            ignored += 1
        elif one != other or type(one) is not type(other):
            differences.append((path, one, other))
    return Compared(len(left), ignored, differences)


def compare(before: Path, after: Path, parts: Sequence[str]) -> int:
    """Prints a table and what differs. Returns the exit code."""
    print("ignored, where both have it:")
    for why, pattern in IGNORED.items():
        print(f"  {why}: {pattern}")
    print("  fewer heavy imports than before (more are a difference)\n")
    print(f"{'part':16} {'values':>7} {'ignored':>8} {'different':>10}")
    found: dict[str, Compared] = {}
    for name in parts:
        documents = [folder / f"{name}.json" for folder in (before, after)]
        missing = [str(path) for path in documents if not path.is_file()]
        if missing:
            raise SystemExit(f"{', '.join(missing)} is missing: record it, or choose --parts")
        one, other = (json.loads(path.read_text(encoding="utf-8")) for path in documents)
        found[name] = compare_part(name, one, other)
        print(f"{name:16} {found[name].values:7} {found[name].ignored:8} {len(found[name].differences):10}")
    print()
    show_hashes(before, after, parts)
    for name, compared in found.items():
        for path, one, other in compared.differences[:SHOWN]:
            one, other = excerpts(one, other)
            print(f"{name}: {path}\n    before {one}\n    after  {other}")
        if len(compared.differences) > SHOWN:
            print(f"{name}: and {len(compared.differences) - SHOWN} more")
    equal = not any(compared.differences for compared in found.values())
    print("equal" if equal else "DIFFERENT")
    return 0 if equal else 1


def show_hashes(before: Path, after: Path, parts: Sequence[str]) -> None:
    """Of the scene files of the trainings, for people."""
    for name in parts:
        if name not in ("saved-workspace", "from-footage"):
            continue
        files = [
            json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))["files"] for folder in (before, after)
        ]
        for file in sorted(file for file in files[0] if file.startswith("demo.")):
            one, other = (each.get(file, {}).get("sha256", ABSENT) for each in files)
            print(f"{name:16} {file:20} {one[:16]} {other[:16]} {'same bytes' if one == other else 'OTHER BYTES'}")
    print()


def excerpts(before: Any, after: Any) -> list[str]:
    """Of both, from a little before where they begin to differ."""
    texts = [value if value == ABSENT else json.dumps(value) for value in (before, after)]
    same = next((at for at, (one, other) in enumerate(zip(*texts, strict=False)) if one != other), 0)
    begin = max(0, same - SHOWN_CHARS // 3)
    return [f"{'...' if begin else ''}{text[begin : begin + SHOWN_CHARS]}" for text in texts]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    recording = commands.add_parser("record", help="run everything in a checkout: four to six minutes on two cores")
    recording.add_argument("--repo", type=Path, required=True, help="the checkout")
    recording.add_argument("--inputs", type=Path, required=True, help="clips and workspace; made if missing")
    recording.add_argument("--out", type=Path, required=True, help="folder of the record")
    recording.add_argument("--python", default=sys.executable, help="default: the one that runs this")
    comparing = commands.add_parser("compare", help="compare two records")
    comparing.add_argument("before", type=Path)
    comparing.add_argument("after", type=Path)
    for each in (recording, comparing):
        each.add_argument(
            "--parts", nargs="+", choices=PARTS, default=list(PARTS), metavar="PART", help=", ".join(PARTS)
        )
    options = parser.parse_args()
    if options.command == "compare":
        return compare(options.before, options.after, options.parts)
    checkout = Checkout(options.repo.resolve(), options.inputs.resolve(), options.python)
    record(checkout, options.out, options.parts)
    return 0


if __name__ == "__main__":
    sys.exit(main())
