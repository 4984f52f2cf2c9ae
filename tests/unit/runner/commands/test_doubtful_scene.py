"""`video-splat scene` whose result is suspect: a success, with one line that says so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner import cli
from runner.report.documents import SCHEMA_FILE

REASON = "Held-out frames are 14.0 dB, 12 dB below training frames."


def scene(tmp_path: Path, *options: str, **env: str) -> int:
    video = tmp_path / "view1.mp4"
    video.write_bytes(b"any bytes do for the mock")
    arguments = ["scene", str(video), "--out", str(tmp_path / "lobby"), "--backend", "mock", *options]
    return cli.main(arguments, {"PATH": os.environ["PATH"], **env})


def load(tmp_path: Path, name: str) -> Any:
    return json.loads((tmp_path / "lobby" / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("options", [(), ("--quiet",)], ids=["", "quiet"])
def test_a_suspect_result_is_exit_0_with_one_line_that_says_why(
    options: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert scene(tmp_path, *options, MOCK_DOUBT=REASON) == 0
    said = capsys.readouterr()
    (line,) = said.err.splitlines()
    assert line.startswith("doubtful (POSES_SUSPECT): Held-out frames are 14.0 dB, 12 dB below training frames: ")
    assert "look at the result" in line
    assert said.out.rstrip().endswith(", doubtful") or options
    manifest = load(tmp_path, "manifest.json")
    jsonschema.validate(manifest, json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    for document in (manifest, load(tmp_path, "metrics.json")):
        assert (document["suspect"], document["doubt"]["reasons"]) == (True, [REASON])
    assert not (tmp_path / "lobby" / "error.json").exists()
    assert REASON in (tmp_path / "lobby" / "report.html").read_text(encoding="utf-8")


def test_any_other_result_says_nothing_of_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scene(tmp_path) == 0
    said = capsys.readouterr()
    assert (said.err, "doubtful" in said.out) == ("", False)
    assert load(tmp_path, "manifest.json")["suspect"] is False
