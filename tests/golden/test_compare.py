"""The comparison of two records: what must be the same is noticed, what may differ is not, and a gap is never equal."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("compare.py")
RECORD = {
    "exit": 0,
    "files": {
        "demo.ply": {"size_bytes": 758374, "sha256": "0c13"},
        "metrics.json": {"n_gaussians": 7286, "stage_seconds": {"training": 34.276}, "versions": {"numpy": "2.4.0"}},
        "manifest.json": {
            "outputs": [{"name": "demo.ply", "sha256": "0c13"}, {"name": "metrics.json", "sha256": "a1"}]
        },
    },
}


def compared(tmp_path: Path, after: Any, before: Any = RECORD, part: str = "scene-mock") -> tuple[int, str]:
    """Exit code and output."""
    for name, document in (("before", before), ("after", after)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{part}.json").write_text(json.dumps(document))
    command = [sys.executable, PROGRAM, "compare", tmp_path / "before", tmp_path / "after", "--parts", part]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def changed(*path: Any, value: Any) -> Any:
    """The record with one value replaced; None: taken out."""
    document = json.loads(json.dumps(RECORD))
    owner = document
    for step in path[:-1]:
        owner = owner[step]
    if value is None:
        del owner[path[-1]]
    else:
        owner[path[-1]] = value
    return document


def test_the_same_record_is_equal(tmp_path: Path) -> None:
    code, output = compared(tmp_path, RECORD)
    assert (code, output.splitlines()[-1]) == (0, "equal")


@pytest.mark.parametrize(
    ("path", "value", "named"),
    [
        (("files", "demo.ply", "sha256"), "0c14", "/files/demo.ply/sha256"),
        (("files", "metrics.json", "n_gaussians"), 7286.0, "/files/metrics.json/n_gaussians"),  # 7286 was an integer
        (("files", "metrics.json", "n_gaussians"), None, "/files/metrics.json/n_gaussians"),
        (("files", "metrics.json", "stage_seconds"), None, "/files/metrics.json/stage_seconds"),
        (("files", "new.json"), {}, "/files/new.json"),
        (("files", "manifest.json", "outputs", 0, "sha256"), "0c14", "/outputs/[demo.ply]/sha256"),
        (("exit",), 1, "/exit"),
    ],
)
def test_a_change_is_named_and_ends_with_1(tmp_path: Path, path: tuple[Any, ...], value: Any, named: str) -> None:
    code, output = compared(tmp_path, changed(*path, value=value))
    assert (code, output.splitlines()[-1]) == (1, "DIFFERENT")
    assert named in output


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("files", "metrics.json", "stage_seconds", "training"), 40.0),
        (("files", "metrics.json", "versions", "numpy"), "2.5.0"),
        (("files", "manifest.json", "outputs", 1, "sha256"), "b2"),  # of a document with seconds in it
    ],
)
def test_seconds_and_versions_may_differ(tmp_path: Path, path: tuple[Any, ...], value: Any) -> None:
    assert compared(tmp_path, changed(*path, value=value))[0] == 0


def test_a_program_may_load_fewer_heavy_modules_and_not_more(tmp_path: Path) -> None:
    (tmp_path / "fewer").mkdir()
    (tmp_path / "more").mkdir()
    assert compared(tmp_path / "fewer", {"worker": []}, {"worker": ["numpy"]}, "imports")[0] == 0
    assert compared(tmp_path / "more", {"worker": ["numpy", "torch"]}, {"worker": ["numpy"]}, "imports")[0] == 1


def test_a_part_that_was_not_recorded_is_no_part_that_is_equal(tmp_path: Path) -> None:
    command = [sys.executable, PROGRAM, "compare", tmp_path, tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "is missing" in done.stderr
