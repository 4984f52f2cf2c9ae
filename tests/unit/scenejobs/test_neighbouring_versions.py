"""Function app and runner of neighbouring versions work together, for between two deployments they do.

What the version before left behind, in the middle of everything, is kept in tests/golden/versions: it was written by
that version's own code, under which tests/neighbours.py runs as well. To renew it for version COMMIT:

    PYTHONPATH=CHECKOUT python -P tests/neighbours.py make > tests/golden/versions/COMMIT.json
"""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests import neighbours

ROOT = Path(__file__).parents[3]
BEFORE = "f85ac23"
KEPT = ROOT / f"tests/golden/versions/{BEFORE}.json"
WORLDS = sorted(json.loads(KEPT.read_text()))
NEWER_ONLY = "killed with doubt"  # what only a newer program may go on with (scenejobs/state/records.py)


def uploads(names: dict[str, list[str]]) -> set[str]:
    """What users sent, wherever it lies now."""
    written_by_us = ("error.json", "run.log", "ready.txt")
    found = {name for kind in ("input", "processed", "error") for name in names[kind]}
    return {name for name in found if not name.endswith(written_by_us)}


def nothing_is_lost(before: Any, after: Any) -> None:
    names = {kind: list(blobs) for kind, blobs in before["stores"].items()}
    assert uploads(after["names"]) == uploads(names)
    assert after["messages"]["poison"] == 0


def all_is_done(before: Any, after: Any) -> None:
    nothing_is_lost(before, after)
    assert after["violations"] == []
    assert after["said"] == []
    assert after["names"]["input"] == []
    assert set(after["messages"].values()) == {0}
    for name in uploads(after["names"]):
        folder, kind = name.split("/")[0], "error" if name.startswith("bad") else "output"
        assert any(found.startswith(f"{folder}/") for found in after["names"][kind]), name


@pytest.mark.parametrize("world", WORLDS)
def test_what_the_version_before_left_behind_is_brought_to_its_end(world: str, tmp_path: Path) -> None:
    before = json.loads(KEPT.read_text())[world]
    all_is_done(before, neighbours.went_on(before, tmp_path))


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What this version leaves behind."""
    worlds = neighbours.Worlds(tmp_path_factory.mktemp("ours"))
    worlds.make()
    return {name: neighbours.dumped(days) for name, days in worlds.made.items()}


@pytest.fixture(scope="module")
def in_theirs(ours: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """What the version before makes of it: its own code, from the history of this repository."""
    packed = _archive()
    if packed is None:
        pytest.skip(f"the history does not hold {BEFORE}: a shallow clone")
    folder = tmp_path_factory.mktemp("theirs")
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    done = subprocess.run(
        [sys.executable, "-P", str(ROOT / "tests/neighbours.py"), "go_on"],
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin"}, cwd=folder, input=json.dumps(ours),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return json.loads(done.stdout)


@cache
def _archive() -> bytes | None:
    paths = ["scenejobs", "runner", "function_app", "tests/days.py", "tests/runner_world.py", "tests/doubles"]
    done = subprocess.run(["git", "archive", BEFORE, *paths], cwd=ROOT, capture_output=True, check=False)
    return done.stdout if done.returncode == 0 else None


@pytest.mark.parametrize("world", [name for name in WORLDS if name != NEWER_ONLY])
def test_what_this_version_leaves_behind_is_brought_to_its_end_by_the_version_before(
    world: str, ours: Any, in_theirs: Any
) -> None:
    """After a return to the image before, with the function app of either."""
    all_is_done(ours[world], in_theirs[world])


def test_what_only_a_newer_program_may_go_on_with_waits_for_it_and_says_so(
    ours: Any, in_theirs: Any, tmp_path: Path
) -> None:
    """A result in doubt that is to be withheld: the version before would publish it over a good one."""
    theirs = in_theirs[NEWER_ONLY]
    nothing_is_lost(ours[NEWER_ONLY], theirs)
    assert any("a newer program wrote it" in line for line in theirs["said"])
    assert theirs["jobs_run"] == 0
    again = neighbours.went_on(theirs["after"], tmp_path)
    all_is_done(theirs["after"], again)


def test_what_the_version_before_made_of_our_work_is_in_order_for_us(in_theirs: Any, tmp_path: Path) -> None:
    """Back and forth: the audit of this version finds nothing in it."""
    for number, world in enumerate(sorted(set(in_theirs) - {NEWER_ONLY})):
        after = neighbours.went_on(in_theirs[world]["after"], tmp_path / str(number))
        all_is_done(in_theirs[world]["after"], after)
        assert after["jobs_run"] == 0, "nothing is done twice"
