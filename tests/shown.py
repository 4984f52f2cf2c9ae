"""What the documents show to be typed: lines of blocks, in order, and code within sentences."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from tests.infra.containers.images import ROOT

OURS = ("video-splat", "scenejobs")
SHELL = ("sh", "bash")
FENCE = re.compile(r"^(```+)([\w-]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)
MADE = re.compile(r"<!-- generated: .*?<!-- end -->\n", re.DOTALL)
HISTORY = ("CHANGELOG.md", "docs/decisions/", "benchmarks/results/", "tests/")
TYPED = (
    *OURS, "pip", "python", "python3", "make", "func", "docker", "kubectl", "az", "azd", "curl", "sudo", "export",
    "mkdir", "cp", "cd", "ls", "for",
)  # fmt: skip
SET = rf"(?:[A-Z_]+=\S+ )+(?:{'|'.join(OURS)}) "  # variables before one of ours
BEGINS = re.compile(rf"(?:(?:{'|'.join(TYPED)}) |\.venv/bin/|scripts/|infra/|LPIPS_WEIGHTS=|{SET})")


def documents() -> list[str]:
    """README and every page that is not history."""
    done = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [name for name in done.stdout.splitlines() if not name.startswith(HISTORY) and (ROOT / name).is_file()]


@dataclass(frozen=True)
class Line:
    """One that is typed. text: as printed, with its comment. section: the heading that it stands under."""

    document: str
    section: str
    text: str

    @property
    def words(self) -> list[str]:
        """Of the first command, without comment and variables before it."""
        try:
            found = shlex.split(self.text, comments=True)
        except ValueError:  # half of a line that has quotes around both
            found = self.text.split()
        while found and re.fullmatch(r"[A-Z_]+=\S*", found[0]):
            found = found[1:]
        return found

    @property
    def stays(self) -> bool:
        """The page says that it runs until Ctrl-C, in a terminal of its own."""
        return "# in a terminal of its own" in self.text


def lines(document: str) -> Iterator[Line]:
    """Of the blocks: all of a block that says it is for a shell, of others those that begin with a command."""
    section, text = "", MADE.sub("", (ROOT / document).read_text())
    for part in re.split(r"^(#+ .*\n)", text, flags=re.MULTILINE):
        if part.startswith("#"):
            section = part.lstrip("#").strip()
            continue
        blocks = [(kind, re.sub(r"\\\n\s*", "", body)) for _, kind, body in FENCE.findall(part)]
        blocks.append(("", "".join(re.findall(r"^ {4}(.*\n)", FENCE.sub("", part), re.MULTILINE))))
        for kind, body in blocks:
            for line in body.splitlines():
                if kind in SHELL or (kind == "" and BEGINS.match(line) and _is_typed(line)):
                    yield Line(document, section, line)


def _is_typed(line: str) -> bool:
    """`infra/...` may be a path in a drawing of folders, and `make` a verb."""
    try:
        return bool(shlex.split(line, comments=True))
    except ValueError:
        return False


def spoken(document: str) -> Iterator[Line]:
    """Commands of ours within sentences, one by one. `scenejobs` alone is the command, or the package."""
    text = FENCE.sub("", MADE.sub("", (ROOT / document).read_text()))
    for span in re.findall(r"`([^`]+)`", re.sub(r"^ {4}.*$", "", text, flags=re.MULTILINE)):
        for piece in re.split(r", then | && ", " ".join(span.split())):
            if re.match(rf"([A-Z_]+=\S* )*({'|'.join(OURS)}) [a-z]", piece):
                yield Line(document, "", piece)


def our_calls() -> list[Line]:
    """Every line of a document in which one of our two commands is called, wherever in it."""
    shown = [line for document in documents() for line in (*lines(document), *spoken(document))]
    calls = []
    for line in shown:
        for part in re.split(r"(?:&&|\|\||;|\||\bexec (?:watch|cloud|watch-cpu|video-splat)\b| -- |\$\()", line.text):
            one = Line(line.document, line.section, part.strip())
            if one.words[:1] and one.words[0] in OURS:
                calls.append(one)
    return calls
