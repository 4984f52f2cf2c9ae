"""Every program of `video-splat` by its name, as commands of click. What one is given, it reads by itself.

Nothing is imported before it is known which program runs: each has its extra of the package (docs/commands.md).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

import click

from scenejobs.commands.shell.group import Command, group
from scenejobs.errors import Code, ConfigurationError

MODE = "RUN_MODE"
Program = Callable[[Sequence[str]], int]
MAKE, SERVE, DESK = "Make scenes", "Work for others", "On this desk"
MORE = "Settings come from the environment: docs/configuration.md."

video_splat = group(
    "video-splat",
    "Videos to 3D Gaussian Splatting scenes. `video-splat PROGRAM --help` tells the options of each.",
    "Users and operators: `scenejobs --help`.",
)


def program(name: str, summary: str, section: str) -> Callable[[Program], Command]:
    """A command that hands all its words to a program, which has a help of its own."""

    def decorate(function: Program) -> Command:
        words = click.argument("words", nargs=-1, type=click.UNPROCESSED)
        settings = {"ignore_unknown_options": True, "help_option_names": []}
        made = click.command(name, cls=Command, short_help=summary, context_settings=settings, add_help_option=False)(
            words(lambda words: function(words))
        )
        return _added(made, section)

    return decorate


def _added(made: Command, section: str) -> Command:
    made.section = section
    video_splat.add_command(made)
    return made


def mode(name: str, *arguments: str) -> int:
    """What an image does with that RUN_MODE: the word takes its place."""
    choose(MODE, name, str.lower)
    from runner import cli

    return cli.main(arguments)


def choose(variable: str, text: str, read: Callable[[str], str]) -> None:
    """Sets a variable. Raises ConfigurationError where the environment says something else, as the program reads it."""
    found = os.environ.get(variable, "").strip()
    if found and read(found) != read(text):
        raise ConfigurationError(
            f"{variable}={found} in the environment, {text} on the command line",
            code=Code.INVALID_SETTING,
            advice=f"unset {variable}",
        )
    os.environ[variable] = text


@program("scene", "local videos and photos to a scene, without any storage", MAKE)
def scene(words: Sequence[str]) -> int:
    from runner import cli

    return cli.main(["scene", *words])


@program("estimate", "what local videos and photos will take: time, memory, disk, money", MAKE)
def estimate(words: Sequence[str]) -> int:
    from runner import cli

    return cli.main(["estimate", *words])


@program("preflight", "look whether all is there that a job needs", MAKE)
def preflight(words: Sequence[str]) -> int:
    from runner import cli

    return cli.main(["preflight", *words])


@click.command("queue", cls=Command, help=f"Work on the scenes in the queue until it is empty.\n\n{MORE}")
def queue() -> int:
    return mode("queue")


@click.command("batch", cls=Command, help=f"Work on one scene of the storage.\n\n{MORE}")
@click.argument("scene", default="")
def batch(scene: str) -> int:
    """scene: in the place of BATCH_INPUT_PREFIX."""
    if scene:
        choose("BATCH_INPUT_PREFIX", scene, lambda text: text.strip("/"))
    elif not os.environ.get("BATCH_INPUT_PREFIX", "").strip():
        advice = "video-splat batch SCENE, or set BATCH_INPUT_PREFIX"
        raise ConfigurationError("no scene is named", code=Code.MISSING_SETTING, advice=advice)
    return mode("batch")


queue.short_help = "work on the scenes in the queue until it is empty"
batch.short_help = "work on one scene of the storage"
for each in (queue, batch):
    _added(each, SERVE)


@program("serve", "work on what is uploaded to the containers, until it is told to stop", SERVE)
def serve(words: Sequence[str]) -> int:
    if not words:
        return mode("serve")
    from serve import cli

    return cli.main(words)


@program("watch", "work on what is copied to a folder, until it is told to stop", SERVE)
def watch(words: Sequence[str]) -> int:
    if not words:
        return mode("watch")
    from watch import cli

    return cli.main(words)


@program("sweep", "one sweep of the dispatcher by hand: heal what was lost", SERVE)
def sweep(words: Sequence[str]) -> int:
    from function_app import __main__

    return __main__.main(["sweep", *words])


@program("demo", "upload videos to the emulated cloud, wait, fetch the scene", DESK)
def demo(words: Sequence[str]) -> int:
    from local import demo

    return demo.main(words)


@program("cloud", "the whole cloud on this machine, emulated, until it is stopped", DESK)
def cloud(words: Sequence[str]) -> int:
    from local import cloud

    return cloud.main(words)


@program("desk", "what `func start` of the Functions Core Tools needs, and a scene that shows it", DESK)
def desk(words: Sequence[str]) -> int:
    from local import desk

    return desk.main(words)


@program("azurite", "the storage emulator alone", DESK)
def azurite(words: Sequence[str]) -> int:
    from local import azurite

    return azurite.main(words)


@program("jobs-api", "the emulated Container Apps jobs API alone", DESK)
def jobs_api(words: Sequence[str]) -> int:
    from local.jobs_api import server

    return server.main(words)
