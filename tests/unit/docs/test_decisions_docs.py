"""docs/decisions/: one file per package, each decision once, with a status. Merges of branches once doubled a third."""

from __future__ import annotations

import re
from pathlib import Path

FOLDER = Path(__file__).parents[3] / "docs/decisions"
FILES = sorted(path for path in FOLDER.glob("*.md") if path.name != "README.md")
ENTRY = re.compile(r"^- \*\*(\d+)\*\* \((holds|replaced by (\d+))\) \*\*(.+?)\*\*", re.MULTILINE | re.DOTALL)
ENTRIES = [found for path in FILES for found in ENTRY.findall(path.read_text())]


def test_each_decision_stands_there_once_under_the_next_number() -> None:
    titles = [" ".join(title.split()) for *_, title in ENTRIES]
    assert len(set(titles)) == len(titles)
    assert sorted(int(number) for number, *_ in ENTRIES) == list(range(1, len(ENTRIES) + 1))


def test_nothing_is_listed_in_another_way() -> None:
    listed = [line for path in FILES for line in re.findall(r"^(?:[-*+] |\d+[.)] ).*", path.read_text(), re.MULTILINE)]
    assert len(listed) == len(ENTRIES)


def test_what_replaces_a_decision_is_a_later_one() -> None:
    for number, _, by, _ in ENTRIES:
        assert not by or int(number) < int(by) <= len(ENTRIES)


def test_the_table_names_each_file_with_its_number_of_decisions() -> None:
    rows = re.findall(r"^\| \[(\S+)\]\(\1\.md\) \| .+ \| (\d+) \|$", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert rows == [(name, str(len(ENTRY.findall((FOLDER / f"{name}.md").read_text())))) for name, _ in rows]
    assert {name for name, _ in rows} == {path.stem for path in FILES}
