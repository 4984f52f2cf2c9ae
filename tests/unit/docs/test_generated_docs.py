"""What the documents repeat of the code is generated: regenerated, nothing differs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from scripts import generate_docs
from video_splat.programs import video_splat

ROOT = Path(__file__).parents[3]


def test_regenerated_nothing_differs() -> None:
    command = [sys.executable, "-m", "scripts.generate_docs", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("", 0), done.stdout + done.stderr


def test_every_group_of_settings_and_every_command_has_its_block() -> None:
    blocks = {
        block for path in (ROOT / "docs").glob("*.md") for _, block, *_ in generate_docs.BLOCK.findall(path.read_text())
    }
    assert {f"settings {group.__name__}" for group in generate_docs.groups.GROUPS} <= blocks
    assert {"error codes", "exit codes", "presets"} <= blocks
    assert {"commands scenejobs", "command exit codes"} <= blocks
    told = generate_docs.command_pages("scenejobs")
    assert [name for name in generate_docs.scenejobs.commands if f"Usage: scenejobs {name} " not in told] == []
    assert {f"help video-splat {name}" for name in video_splat.commands} <= blocks


def test_a_block_that_is_out_of_date_or_unknown_is_noticed() -> None:
    text = "<!-- generated: exit codes -->\nold\n<!-- end -->\n"
    assert generate_docs.generated(text) != text
    assert generate_docs.generated(generate_docs.generated(text)) == generate_docs.generated(text)
    with pytest.raises(ValueError, match="settngs"):
        generate_docs.generated(text.replace("exit codes", "settngs X"))
    with pytest.raises(ValueError, match="Nothing"):
        generate_docs.generated(text.replace("exit codes", "settings Nothing"))
