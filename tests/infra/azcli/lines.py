"""Every command line of `az` that scripts, hooks, programs and documents contain."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.infra.docs.documents import DOCUMENTS, commands
from tests.infra.scripts.scripted import ROOT

ANY = "1"  # in the place of what a shell variable holds: a text, and a whole number
ID = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a"
WRAPPERS = ("az_tsv", "az_quiet", "call az")
VALUES = {"$until": "2026-12-31T00:00Z"}  # where a text will not do
END = re.compile(r"[();<>|&]+")
HOLE = re.compile(r"\$\{[^}]*\}|\$\w+|\$\(.*\)", re.DOTALL)


@dataclass(frozen=True)
class Line:
    """One of them. `whole`: it has all its options; else it is a part, as in a sentence or around `"$@"`."""

    where: str
    words: tuple[str, ...]
    whole: bool

    @property
    def key(self) -> tuple[str, ...]:
        """Alike for lines that differ in values of shell variables alone."""
        return (*self.words, str(self.whole))


def of_scripts() -> Iterator[Line]:
    """Calls, and what scripts print for a person to type."""
    for path in sorted([*(ROOT / "scripts").rglob("*.sh"), *(ROOT / "infra").glob("*/*.sh")]):
        text = re.sub(r"\\\n\s*", " ", path.read_text())
        for line in text.splitlines():
            if line.lstrip().startswith("#"):
                continue
            wrappers = "|".join((*WRAPPERS, "run") if path.name == "create-vm.sh" else WRAPPERS)
            for found in re.finditer(rf"(?<![\w'\"./-])(?:{wrappers}) (?=[a-z])", line):
                words = split(line[found.end() :])
                if words:
                    yield line_of(path, words)
            for named in re.findall(r"\$\(names_of ([a-z -]+)\)", line):  # of configure-existing-resources.sh
                yield line_of(path, [*named.split(), "list", "--resource-group", "$place"])
            for found in re.finditer(r"(?:'|\s|: )az ([a-z][^'`;]*)", " ".join(re.findall(r'"([^"]*)"', line))):
                if "--" in found[1]:
                    yield Line(f"{path.name}: {found[1]}", tuple(filled(word) for word in split(found[1])), False)


def line_of(path: Path, words: list[str]) -> Line:
    whole = not any("@" in word or "[*]" in word for word in words)
    # an array is something where an option wants it, and may be nothing elsewhere
    kept = [
        word
        for before, word in zip(["", *words], words, strict=False)
        if word not in ("$@", "$*") and ("[@]" not in word or before.startswith("--"))
    ]
    if kept[0] != "ad" and "--output" not in kept:  # as az_call of scripts/lib.sh
        kept += ["--subscription", ANY, "--output", "tsv", "--only-show-errors"]
    return Line(f"{path.name}: {' '.join(words)}", tuple(filled(word) for word in kept), whole)


def split(text: str) -> list[str]:
    """Words up to the end of the command."""
    lexer = shlex.shlex(re.sub(r"\$\(([^()]|\([^()]*\))*\)", "$inner", text), posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    lexer.commenters = ""
    words = []
    try:
        for word in lexer:
            if END.fullmatch(word):
                break
            words.append(word)
    except ValueError:  # a quote that another line ends
        return []
    if words and words[-1].isdigit() and "2>" in text:
        words.pop()
    return words


def filled(word: str) -> str:
    return VALUES.get(word) or HOLE.sub(ANY, word)


def of_programs() -> Iterator[Line]:
    """What messages tell a person to type."""
    for folder in ("scenejobs", "function_app", "runner", "serve", "watch"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for found in re.findall(r"[(`]az ([a-z][^)`]*--[^)`]*)[)`]", path.read_text()):
                yield Line(f"{path.name}: {found}", tuple(shlex.split(found)), False)


def of_documents() -> Iterator[Line]:
    for document in DOCUMENTS:
        for command in commands(document):
            if command.words[0] == "az":
                words = tuple(filled(word) for word in command.words[1:])
                yield Line(str(command), words, command.block)


def recorded(path: Path) -> Iterator[Line]:
    """What the scripts called in the tests (RECORD_AZ of tests/infra/scripts/scripted.py)."""
    for text in sorted(set(path.read_text().splitlines())):
        words = json.loads(text)
        yield Line(f"called: {' '.join(words)}", tuple(words), True)
