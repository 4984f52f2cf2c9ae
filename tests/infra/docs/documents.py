"""The commands that the documents show, wherever they stand: in blocks and in the middle of a sentence."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass

from tests.infra.scripts.scripted import ROOT

DOCUMENTS = (
    "docs/deployment.md", "docs/watch.md", "docs/images.md", "docs/operations.md", "docs/spec.md",
    "README.md", "docs/SECURITY.md", "docs/azd-dry-run.md", "docs/azd-first-run.md", "docs/backup.md",
    "docs/batch.md", "docs/migration.md", "docs/sizing.md", "docs/versions.md", "docs/web.md", "infra/README.md",
)  # fmt: skip
SCRIPTS = ("scripts/", "infra/aci/", "infra/vm/")
TOOLS = ("az", "azd", "docker", "kubectl", "make", "python", *SCRIPTS)
FENCE = re.compile(r"^(```+)([\w-]*)\n(.*?)^\1$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Command:
    """One of them, without the comment behind it."""

    document: str
    words: tuple[str, ...]
    block: bool = False  # not in the middle of a sentence, where options may be left out

    def __str__(self) -> str:
        return f"{self.document}: {' '.join(self.words)}"

    @property
    def options(self) -> list[str]:
        return [word.partition("=")[0] for word in self.words if word.startswith("--")]


def text(document: str) -> str:
    return (ROOT / document).read_text()


def commands(document: str) -> Iterator[Command]:
    """Of blocks and of code within sentences. Shell variables before a command and `sudo` are left out."""
    whole = text(document)
    lines = [line for kind, body in _blocks(whole) if kind in ("", "sh", "bash") for line in body]
    prose = FENCE.sub("", whole)
    lines += [line.strip() for line in prose.splitlines() if line.startswith("    ")]
    blocks = len(lines)
    for span in re.findall(r"`([^`]+)`", re.sub(r"^    .*$", "", prose, flags=re.MULTILINE)):
        lines += re.split(r"(?:, then | && )", " ".join(span.split()))
    for number, line in enumerate(lines):
        command = _command(line)
        if command:
            yield Command(document, command, number < blocks)


def _blocks(whole: str) -> Iterator[tuple[str, list[str]]]:
    for _, kind, body in FENCE.findall(whole):
        yield kind, re.sub(r"\\\n\s*", "", body).splitlines()


def _command(line: str) -> tuple[str, ...]:
    try:
        found = shlex.split(line, comments=True)
    except ValueError:  # an apostrophe: no command
        return ()
    while found and (found[0] == "sudo" or re.fullmatch(r"[A-Z_]+=\S*", found[0])):
        found = found[1:]
    if len(found) < 2 and not (found and found[0].startswith(SCRIPTS)):
        return ()
    known = any(found[0] == tool or (tool[-1] == "/" and found[0].startswith(tool)) for tool in TOOLS)
    return tuple(found) if known and not found[0].endswith((".md", ".tsv", ".yaml", ".bicep", "/")) else ()
