"""`scenejobs completion SHELL`: the script that makes a shell complete our commands, names and options."""

from __future__ import annotations

import click
from click.shell_completion import ShellComplete, get_completion_class

from scenejobs.commands.shell.command import Answer, Shell
from scenejobs.commands.shell.command import command as made

PROGRAMS = ("scenejobs", "video-splat")


@made(
    "completion", "print what makes a shell complete commands and options",
    click.argument("shell_name", metavar="SHELL", type=click.Choice(["bash", "zsh", "fish"])),
    click.option(
        "--program", type=click.Choice(PROGRAMS), default=PROGRAMS[0], show_default=True, help="Whose commands."
    ),
    section="This program",
    more='bash: eval "$(scenejobs completion bash)" in ~/.bashrc; zsh the same in ~/.zshrc; '
    "fish: scenejobs completion fish > ~/.config/fish/completions/scenejobs.fish",
)  # fmt: skip
def command(shell: Shell, shell_name: str, program: str) -> Answer:
    kind = get_completion_class(shell_name) or ShellComplete
    variable = f"_{program.replace('-', '_').upper()}_COMPLETE"
    found = kind(click.Command(program), {}, program, variable)
    script = found.source_template % found.source_vars()  # `source()` would start the shell to ask for its version
    if not shell.json:
        print(script)
    return Answer({"shell": shell_name, "script": script})
