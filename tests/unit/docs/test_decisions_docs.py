"""docs/decisions.md stays one list. Merges of branches that both added to it once doubled a third of it."""

from __future__ import annotations

import re
from pathlib import Path

TEXT = (Path(__file__).parents[3] / "docs/decisions.md").read_text()
ENTRIES = re.findall(r"^(\d+)\. \*\*(.+?)\*\*", TEXT, re.MULTILINE | re.DOTALL)


def test_each_decision_stands_there_once_under_the_next_number() -> None:
    titles = [" ".join(title.split()) for _, title in ENTRIES]
    assert len(set(titles)) == len(titles)
    assert [int(number) for number, _ in ENTRIES] == list(range(1, len(ENTRIES) + 1))


def test_nothing_is_listed_in_another_way() -> None:
    assert re.findall(r"^(?:[-*+] |\d+\) ).*", TEXT, re.MULTILINE) == []
    assert len(re.findall(r"^\d", TEXT, re.MULTILINE)) == len(ENTRIES)
