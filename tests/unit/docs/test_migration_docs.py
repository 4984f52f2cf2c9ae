"""docs/migration.md: what it says keeps its name is read, and the images start with the word it tells."""

from __future__ import annotations

import re
from pathlib import Path

from scenejobs.settings import older
from scenejobs.settings.groups import RunnerSettings, table
from scenejobs.settings.reader import read

PAGE = (Path(__file__).parents[3] / "docs/migration.md").read_text()
READ = {row.variable for row in table()}


def test_each_setting_that_keeps_its_name_is_read() -> None:
    kept = PAGE[PAGE.index("What keeps its name") : PAGE.index("The same name, another meaning")]
    named = set(re.findall(r"`([A-Z_]+[A-Z])`", kept))
    assert len(named) > 20
    assert named <= READ
    assert any(name.startswith("BLOBFUSE_") for name in READ)


def test_each_other_variable_is_read_or_told_as_what_is_not() -> None:
    named = set(re.findall(r"`([A-Z]+_[A-Z_]+)(?:=\w+)?`", PAGE))
    assert named <= READ | older.VARIABLES.keys() | {older.FILE_VARIABLE}


def test_without_a_mode_it_is_the_one_the_page_says() -> None:
    assert "here it drains the queue" in PAGE
    assert read(RunnerSettings, {}).mode == "queue"
