"""Names that try to be more than names: line breaks, direction marks, markup, options. Through a whole run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTILE = (
    "a\n12:00:00 ERROR forged: line.mp4",
    "evil\u202e4pm.exe.mp4",
    "<img src=x onerror=alert(1)>.mp4",
    "-rf.mp4",
    "%03d;$(touch pwned)`touch pwned`.mp4",
    "\x1b[2J\x1b]0;title\x07.mp4",
    "concat:http|x.mp4",
)  # fmt: skip


def run(folder: Path, videos: list[Path]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "runner", "scene", *map(str, videos), "--out", str(folder / "out")]
    return subprocess.run(
        [*command, "--backend", "mock", "--name", "<script>"], cwd=ROOT, capture_output=True, text=True, check=False
    )


def is_plain(text: str) -> bool:
    return not any(unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") for char in text.replace("\n", ""))


def uploads(folder: Path, content: bytes) -> list[Path]:
    """Each with bytes of its own: the same would be used once."""
    paths = [folder / name for name in HOSTILE]
    for number, path in enumerate(paths):
        path.write_bytes(content + bytes([number]))
    return paths


def test_a_result_names_its_videos_as_data_and_does_nothing_else(tmp_path: Path) -> None:
    done = run(tmp_path, uploads(tmp_path, b"video"))
    assert done.returncode == 0, done.stderr
    assert is_plain(done.stdout + done.stderr)
    for path in (tmp_path / "out").glob("*.json"):
        assert is_plain(path.read_text()), path.name
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert set(HOSTILE) <= _texts(manifest)
    assert b"script" not in (tmp_path / "out" / "<script>.ply").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*HOSTILE, "out"]), "a name was executed"
    assert not (ROOT / "pwned").exists()


def _texts(value: object) -> set[str]:
    if isinstance(value, dict):
        return {text for item in value.items() for part in item for text in _texts(part)}
    if isinstance(value, list):
        return {text for item in value for text in _texts(item)}
    return {value} if isinstance(value, str) else set()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_failure_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    done = run(tmp_path, [tmp_path / name])
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert is_plain(done.stdout + done.stderr)
    log = (tmp_path / "out" / "run.log").read_text()
    assert is_plain(log)
    assert not re.search(r"^12:00:00 ERROR forged", log, re.MULTILINE)
    assert json.loads((tmp_path / "out" / "error.json").read_text())["code"] == "EMPTY_FILE"
