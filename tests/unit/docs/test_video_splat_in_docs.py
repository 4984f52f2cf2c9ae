"""Every `video-splat` command that a document shows is parsed as a whole by the program that it starts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import click
import pytest

from scenejobs.errors import ConfigurationError
from tests.shown import our_calls
from video_splat.programs import video_splat

NAME = "video-splat"


class Parsed(BaseException):
    """The program has read its words, and would begin now."""


def shown() -> list[tuple[str, ...]]:
    """Words of each call, without the brackets of what may be left out and the dots of what may be repeated.

    A program that is named alone is named, not shown.
    """
    found = set()
    for line in our_calls():
        words = [word.strip("[]").removesuffix("...") for word in line.words]
        words = [word for word in words if word]
        if words[0] == NAME and len(words) > 2:
            found.add(tuple(words[1:]))
    return sorted(found)


@pytest.fixture(autouse=True)
def parsing_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    parse = argparse.ArgumentParser.parse_args

    def parsed(self: argparse.ArgumentParser, *arguments: Any, **more: Any) -> None:
        self.allow_abbrev = False  # half an option is taken from a person, and is nothing to show to one
        parse(self, *arguments, **more)
        raise Parsed

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parsed)
    monkeypatch.delenv("RUN_MODE", raising=False)


def start(words: Sequence[str]) -> None:
    """Raises Parsed, click.UsageError, ConfigurationError, SystemExit."""
    with video_splat.make_context(NAME, list(words)) as context:
        name, command, rest = video_splat.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        with command.make_context(name, rest, parent=context) as own:
            if "words" not in own.params:  # click has read them all
                raise Parsed
            assert command.invoke(own) != 0
            raise ConfigurationError("the program ended with an error before it began")


def test_documents_show_commands() -> None:
    assert len(shown()) >= 10
    assert {words[0] for words in shown()} >= {"scene", "cloud", "desk", "batch", "preflight", "watch"}


@pytest.mark.parametrize("words", shown(), ids=" ".join)
def test_a_command_that_is_shown_is_taken_as_a_whole(words: tuple[str, ...]) -> None:
    with pytest.raises(Parsed):
        start(words)


@pytest.mark.parametrize(
    "line",
    [
        "nothing", "scene view1.mp4 --outt lobby", "scene --preset laptop", "watch helth", "batch lobby other",
        "desk stop", "preflight --no-storag", "cloud",
    ],
)  # fmt: skip
def test_one_that_is_not_is_noticed(line: str) -> None:
    with pytest.raises((click.UsageError, ConfigurationError, SystemExit)):
        start(line.split())
