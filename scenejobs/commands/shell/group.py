"""A group of commands: its help has headings, it has a `--version`, and without a command it prints its help."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click
from click.shell_completion import shell_complete

from scenejobs.commands.shell import version

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


class Command(click.Command):
    """One that stands under a heading of the help of its group."""

    section = ""

    def get_short_help_str(self, limit: int = 45) -> str:
        """The whole first sentence: a cut one tells nothing, and the help wraps."""
        return self.short_help or super().get_short_help_str(limit)


class Group(click.Group):
    """Prints its commands under the headings of their sections, in the order in which they were added."""

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        sections: dict[str, list[tuple[str, str]]] = {}
        for name, command in self.commands.items():
            section = getattr(command, "section", "") or "Commands"
            sections.setdefault(section, []).append((name, command.get_short_help_str()))
        widest = max(map(len, self.commands))
        for section, rows in sections.items():
            with formatter.section(section):
                formatter.write_dl([(name.ljust(widest), text) for name, text in rows])

    def list_commands(self, _: click.Context) -> list[str]:
        return list(self.commands)


def group(name: str, summary: str, epilog: str) -> Group:
    """An empty one."""
    made = Group(name, help=summary, epilog=epilog, context_settings=CONTEXT, no_args_is_help=True)
    message = version.line(name).replace("%", "%%")
    return click.version_option(version.version(), message=message, help="Print the version.")(made)


def call(group: Group, words: Sequence[str], name: str, obj: object = None) -> int:
    """The exit code of a command line, or of a shell that asks for completions.

    `Group.main` ends the process where the reader of the output has gone. Raises click.ClickException, and what the
    command raises.
    """
    variable = f"_{name.replace('-', '_').upper()}_COMPLETE"
    if instruction := os.environ.get(variable):
        return shell_complete(group, {}, name, variable, instruction)
    try:
        with group.make_context(name, list(words), obj=obj) as context:
            found = group.invoke(context)
    except click.exceptions.Exit as exc:
        return exc.exit_code
    return found if isinstance(found, int) else 0
