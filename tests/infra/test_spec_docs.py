"""docs/spec.md has every promise once, and everything it names is there."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.infra.scripted import ROOT

TEXT = (ROOT / "docs/spec.md").read_text()
IDS = {
    "The main path": (
        "F7", "F8", "F9", "F10/11", "F12/13", "F40", "F41", "F42", "F43/44", "F45", "F50/67", "F51", "F52", "F28",
    ),
    "azd and tooling": (
        "F20", "F21", "F22", "F23-25", "F26", "F27", "F29-32", "F33", "F34/35/95", "F70",
    ),
    "Long-running service": (
        "F1", "F2/16", "F3-5/14/49", "F15", "F60/61", "F62", "F63/64/65/66", "F72", "F73", "F74", "F90", "F89", "F86",
        "F85", "F92", "F94",
    ),
    "Security and operations": ("O1", "O2", "O3", "O4", "O5", "O6", "O7", "O8"),
}  # fmt: skip


def rows(section: str = "") -> list[list[str]]:
    """Cells of the tables, without their heads."""
    whole = TEXT[TEXT.index(f"## {section}\n") :] if section else TEXT
    lines = re.split(r"\n## ", whole[3:] if section else whole)[0 if section else slice(None)]
    text = lines if isinstance(lines, str) else "\n".join(lines)
    return [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines() if re.match(r"\| [FO]\d", line)
    ]


@pytest.mark.parametrize("section", IDS)
def test_every_promise_is_there_once(section: str) -> None:
    assert Counter(row[0] for row in rows(section)) == Counter(IDS[section])


def test_every_row_says_where_it_lives_how_it_was_checked_and_what_is_left() -> None:
    assert len(rows()) == sum(len(ids) for ids in IDS.values())
    for id, promise, where, checked, left in rows():
        assert len(promise) > 10, id
        assert re.search(r"`[\w./-]+`", where), id
        assert re.search(r"`(tests/|benchmarks/|make )", checked), id
        assert left, id


def test_every_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`([\w-]+(?:/[\w.-]+)*\.\w+)(?:::\w+)?`", TEXT)) - {
        "manifest.json", ".checkpoint.json", "metrics.json", "run.log",
    }  # fmt: skip
    scripts = {name for name in named if (ROOT / "scripts" / name).is_file()}  # by their names, as people call them
    assert {name for name in named - scripts if not (ROOT / name).is_file()} == set()
    assert len(named) > 80


def test_every_test_that_is_named_exists() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", TEXT)
    assert len(named) > 60
    for path, name in named:
        code = (ROOT / path).read_text()
        assert re.search(rf"^def {name}\(" if name else r"^def test_", code, re.MULTILINE), f"{path}::{name}"


def test_every_make_target_that_is_named_is_in_the_makefile() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"`make ([\w-]+)`", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target
