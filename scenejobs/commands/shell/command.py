"""A command: its section of the help, `--json`, and the exit code that it returns."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from scenejobs.adapters.open import Storage
from scenejobs.commands.shell.group import Command
from scenejobs.commands.storage import open_from
from scenejobs.logs.setup import printable
from scenejobs.settings.groups import DispatchSettings

Opening = Callable[[Mapping[str, str]], tuple[Storage, DispatchSettings]]
Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Answer:
    """What a command ends with. document: for `--json`; code: of the process."""

    document: Mapping[str, Any]
    code: int = 0


@dataclass(frozen=True)
class Shell:
    """Where a command was typed: the settings, and whether a program reads what it prints."""

    env: Mapping[str, str]
    json: bool = False
    opening: Opening = open_from

    def open(self) -> tuple[Storage, DispatchSettings]:
        """The storage that the settings name. Raises ConfigurationError, AccessDenied, Busy."""
        return self.opening(self.env)

    def say(self, text: str) -> None:
        """One line for a person; nothing where a program reads."""
        if not self.json:
            print(printable(text), flush=True)

    def warn(self, text: str) -> None:
        """One line on standard error, for both."""
        print(printable(text), file=sys.stderr, flush=True)


def command(
    name: str, summary: str, *parameters: Decorator, section: str, more: str = ""
) -> Callable[[Callable[..., Answer]], Command]:
    """A decorator. The function takes a Shell and the parameters, and returns an Answer.

    summary: one sentence for the list and the help. parameters: `click.argument` and `click.option`, in their order.
    more: what the help says after it.
    """

    def decorate(function: Callable[..., Answer]) -> Command:
        @functools.wraps(function)
        def run(*, as_json: bool, **options: Any) -> int:
            shell = replace(click.get_current_context().obj, json=as_json)
            answer = function(shell, **options)
            if as_json:
                print(json.dumps(answer.document, indent=1, default=str), flush=True)
            return answer.code

        as_option: Decorator = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
        callback: Callable[..., Any] = as_option(run)
        for parameter in reversed(parameters):
            callback = parameter(callback)
        text = summary[0].upper() + summary[1:] + "." + (f"\n\n{more}" if more else "")
        made = click.command(name, cls=Command, help=text, short_help=summary)(callback)
        made.section = section
        return made

    return decorate
