"""Every `scenejobs` command that a document shows is one that the program takes, as a whole line."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from scenejobs.commands.cli import scenejobs

ROOT = Path(__file__).parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
INLINE = re.compile(r"`(scenejobs [^`\n]+)`")
LINE = re.compile(r"^(?:[ ]{4,}|\$ )?(?:[A-Z_]+=\S+ )*(scenejobs [a-z].*)$")


def shown(page: Path) -> list[str]:
    """The lines of code blocks and the words in backticks, without what a shell does with them."""
    found, fenced = list[str](), False
    for line in page.read_text().splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
            continue
        if (fenced or line.startswith("    ")) and (match := LINE.match(line)):
            found.append(match[1])
        elif not fenced:
            found += INLINE.findall(line)
    return [text for each in found if (text := re.split(r"\s#|\s[|>;]|\s&&|:\s|: |, ", each)[0].strip())]


COMMANDS = sorted({command for page in PAGES for command in shown(page) if not set("[]{}<>…") & set(command)})


def parse(command: str) -> None:
    """Raises click.UsageError."""
    words = [word for word in shlex.split(command)[1:] if word != "..."]
    words = [word.removesuffix("...") for word in words]
    with scenejobs.make_context("scenejobs", words) as context:
        name, found, rest = scenejobs.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None
        if rest or "scenejobs " + str(name) != command:  # a command alone is named, not shown
            found.make_context(name, rest, parent=context)


def test_documents_show_commands() -> None:
    assert len(COMMANDS) > 30


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_is_shown_is_taken_as_a_whole(command: str) -> None:
    try:
        parse(command)
    except click.exceptions.Exit:  # --help, --version
        return


@pytest.mark.parametrize("command", ["scenejobs nothing", "scenejobs status lobby --weit", "scenejobs cancel a b"])
def test_one_that_is_not_is_noticed(command: str) -> None:
    with pytest.raises(click.UsageError):
        parse(command)
