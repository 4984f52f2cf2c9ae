"""An HTML page as a browser's parser sees it, and the data in its scripts."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = ("meta", "img", "input", "line", "path", "polyline")


def _spaced(words: list[str]) -> str:
    return " ".join(" ".join(words).split())


@dataclass
class Row:
    """One row of a table."""

    cells: list[list[str]] = field(default_factory=list)  # words of each
    classes: set[str] = field(default_factory=set)  # of all elements in it

    @property
    def texts(self) -> list[str]:
        return [_spaced(words) for words in self.cells]


class Reader(HTMLParser):
    """Its elements, attributes, text, rows of tables."""

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.open: list[str] = []
        self.rows: list[Row] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs
        if tag == "tr":
            self.rows.append(Row())
        elif tag in ("td", "th"):
            self.rows[-1].cells.append([])
        if "tr" in self.open:
            self.rows[-1].classes |= {name for key, value in attrs if key == "class" for name in (value or "").split()}
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def handle_data(self, data: str) -> None:
        if self.open[-1:] not in (["style"], ["script"]):
            self.words.append(data)
        if "td" in self.open or "th" in self.open:
            self.rows[-1].cells[-1].append(data)

    @property
    def text(self) -> str:
        return _spaced(self.words)

    def row(self, first: str) -> Row:
        """The row whose first cell begins with this text; there is one."""
        (found,) = [row for row in self.rows if row.texts[0].startswith(first)]
        return found


def script_of(page: str, name: str) -> str:
    """The content of the script element with this id."""
    found = re.search(rf'<script id="{name}"[^>]*>(.*?)</script>', page, re.DOTALL)
    assert found
    return found[1]
