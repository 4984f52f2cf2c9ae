"""docs/spec.md has every promise of the older guide once, with a verdict, and evidence that exists."""

from __future__ import annotations

import ast
import hashlib
import re
from collections import Counter
from functools import cache
from itertools import chain
from typing import NamedTuple

from tests.infra.docs.documents import text
from tests.infra.docs.test_deployment_docs import headings
from tests.infra.scripts.scripted import ROOT

# Sections of the guide's promises, and how many each has: 219.
PROMISES = {1: 18, 2: 11, 3: 9, 4: 15, 5: 51, 6: 28, 7: 11, 8: 11, 9: 6, 10: 8, 11: 12, 12: 9, 13: 15, 14: 15}
# Of the numbers and words of all promises: a promise is not made smaller to be kept.
WORDS = "845ed3b6a94c7815"
VERDICTS = ("works", "better", "differs, documented")
# What the machines that run the tests lack.
OUTSIDE = (
    "Azure", "a GPU", "a cluster", "a mount of NFS", "a machine with FUSE", "a collector", "Functions Core Tools",
)  # fmt: skip


class Row(NamedTuple):
    """One line of the tables, cell by cell."""

    number: str
    promise: str
    where: str
    verdict: str
    evidence: str
    note: str

    @property
    def shown(self) -> list[str]:
        """Tests, make targets and scripts that show it here."""
        return [span for part in self.parts if not part.startswith("needs ") for span in re.findall("`(.+?)`", part)]

    @property
    def outside(self) -> list[str]:
        """What else it needs, from "needs Azure: that quota is given"."""
        return [part.removeprefix("needs ").partition(":")[0] for part in self.parts if part.startswith("needs ")]

    @property
    def parts(self) -> list[str]:
        return self.evidence.split("; ")


PAGE = text("docs/spec.md")
ROWS = [
    Row(*(cell.strip() for cell in line.split("|")[1:-1]))
    for line in PAGE.splitlines()
    if re.match(r"\| \d+\.\d+ \|", line)
]


@cache
def functions_of(path: str) -> frozenset[str]:
    """Names of the test functions of a file that are not skipped whatever happens."""
    if not (ROOT / path).is_file():
        return frozenset()
    tree = ast.parse((ROOT / path).read_text())
    return frozenset(
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
        and not any(ast.unparse(mark.func if isinstance(mark, ast.Call) else mark).endswith("mark.skip")
                    for mark in node.decorator_list)
    )  # fmt: skip


def test_every_promise_is_there_once_in_its_words() -> None:
    wanted = [f"{section}.{number + 1}" for section, count in PROMISES.items() for number in range(count)]
    assert len(wanted) == 219
    assert [row.number for row in ROWS] == wanted
    words = "\n".join(f"{row.number} {row.promise}" for row in ROWS)
    assert hashlib.sha256(words.encode()).hexdigest()[:16] == WORDS


def test_each_row_has_a_verdict_and_one_that_differs_a_reason_and_its_page() -> None:
    for row in ROWS:
        assert row.verdict in VERDICTS, row
        if row.verdict == "differs, documented":
            reason = re.sub(r"\[[^\]]*\]\([^)]*\)", "", row.note)
            assert len(reason.split()) >= 5, row
            assert re.search(r"\]\([\w./-]+\.md(#[\w-]+)?\)", row.note), row


def test_the_evidence_of_each_row_exists() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for row in ROWS:
        for part in row.parts:
            assert re.fullmatch(r"needs [^`]+(: .+)?|`[^`]+`(, `[^`]+`)*", part), row
        assert set(row.outside) <= set(OUTSIDE), row
        for span in re.findall("`(.+?)`", row.evidence):
            file, _, name = span.partition("::")
            if span.startswith("make "):
                assert re.search(rf"^{span[5:]}:", makefile, re.MULTILINE), span
            elif span.startswith("tests/"):
                assert name in functions_of(file), span
            else:
                assert re.fullmatch(r"(scripts|infra|benchmarks)/[\w/.-]+\.(sh|py)", span), span
                assert (ROOT / span).is_file(), span
        assert not [span for span in row.shown if span.startswith("tests/gpu/")], "they need a GPU: say so"


def test_the_places_that_each_row_names_exist() -> None:
    for row in ROWS:
        for span in re.findall("`(.+?)`", f"{row.where} {row.note}"):
            if "/" in span or re.search(r"\.(md|py|sh|yaml|bicep|txt|tsv)$", span):
                assert (ROOT / span).exists(), span
        for path, place in re.findall(r"\]\(([\w./-]+)(#[\w-]+)?\)", row.note):
            target = ROOT / "docs" / path
            assert target.is_file(), path
            assert not place or place[1:] in headings(target.read_text()), f"{path}{place}"


def test_the_head_counts_the_rows() -> None:
    counts = {name: int(number) for name, number in re.findall(r"^\| ([\w, ]+?) \| (\d+) \|", PAGE, re.MULTILINE)}
    verdicts = Counter(row.verdict for row in ROWS)
    assert {name: counts.get(name) for name in VERDICTS} == {name: verdicts[name] for name in VERDICTS}
    kinds = Counter((bool(row.shown), bool(row.outside)) for row in ROWS)
    assert counts["here, by tests and commands alone"] == kinds[True, False]
    assert counts["here, and the rest needs something outside"] == kinds[True, True]
    assert counts["nothing here can show it"] == kinds[False, True]


def test_what_is_wrong_would_be_noticed() -> None:
    assert "test_every_promise_is_there_once_in_its_words" in functions_of("tests/infra/docs/test_spec_docs.py")
    assert "functions_of" not in functions_of("tests/infra/docs/test_spec_docs.py")
    spans = list(chain.from_iterable(row.shown for row in ROWS))
    assert len({span for span in spans if span.startswith("tests/")}) > 150
