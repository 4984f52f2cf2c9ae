"""`video-splat PROGRAM ...`: hands the arguments to a program, which has a help and exit codes of its own.

A mode (`queue`, `batch`, `serve`, `watch`) is what an image does with that RUN_MODE: the word takes its place.
Nothing is imported before it is known which program runs: each has its extra of the package (docs/commands.md).
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from scenejobs.errors import Code, ConfigurationError, SceneJobError

MODE = "RUN_MODE"
OURS = ("scenejobs", "function_app", "functions_entry", "runner", "serve", "watch", "local", "video_splat")
EXTRAS = "pip install '.[runner,cloud]'; without `cloud` for all but the emulated cloud (docs/commands.md)"
Program = Callable[[Sequence[str]], int]


def _runner(command: str) -> Program:
    def run(arguments: Sequence[str]) -> int:
        from runner import cli

        return cli.main([command, *arguments])

    return run


def _mode(mode: str) -> Program:
    def run(arguments: Sequence[str]) -> int:
        parser = argparse.ArgumentParser(
            prog=f"video-splat {mode}",
            description=f"{PROGRAMS[mode][0].capitalize()}.",
            epilog="Settings come from the environment: docs/configuration.md.",
        )
        if mode == "batch":
            parser.add_argument("scene", nargs="?", help="in the place of BATCH_INPUT_PREFIX")
        options = parser.parse_args(arguments)
        _choose(MODE, mode, str.lower)
        if mode == "batch" and options.scene:
            _choose("BATCH_INPUT_PREFIX", options.scene, lambda scene: scene.strip("/"))
        from runner import cli

        return cli.main([])

    return run


def _choose(variable: str, text: str, read: Callable[[str], str]) -> None:
    """Sets a variable. Raises ConfigurationError where the environment says something else, as the program reads it."""
    found = os.environ.get(variable, "").strip()
    if found and read(found) != read(text):
        raise ConfigurationError(
            f"{variable}={found} in the environment, {text} on the command line",
            code=Code.INVALID_SETTING,
            advice=f"unset {variable}",
        )
    os.environ[variable] = text


def _serve(arguments: Sequence[str]) -> int:
    if not arguments:
        return _mode("serve")(arguments)
    from serve import cli

    return cli.main(arguments)


def _watch(arguments: Sequence[str]) -> int:
    if not arguments:
        return _mode("watch")(arguments)
    from watch import cli

    return cli.main(arguments)


def _sweep(arguments: Sequence[str]) -> int:
    from function_app import __main__ as program

    return program.main(["sweep", *arguments])


def _cloud(arguments: Sequence[str]) -> int:
    from local import cloud

    return cloud.main(arguments)


def _demo(arguments: Sequence[str]) -> int:
    from local import demo

    return demo.main(arguments)


def _desk(arguments: Sequence[str]) -> int:
    from local import desk

    return desk.main(arguments)


def _azurite(arguments: Sequence[str]) -> int:
    from local import azurite

    return azurite.main(arguments)


def _jobs_api(arguments: Sequence[str]) -> int:
    from local.jobs_api import server

    return server.main(arguments)


PROGRAMS: dict[str, tuple[str, Program]] = {
    "scene": ("local videos and photos to a scene, without any storage", _runner("scene")),
    "preflight": ("look whether all is there that a job needs", _runner("preflight")),
    "queue": ("work on the scenes in the queue until it is empty", _mode("queue")),
    "batch": ("work on one scene of the storage", _mode("batch")),
    "serve": ("work on what is uploaded to the containers, until it is told to stop", _serve),
    "watch": ("work on what is copied to a folder, until it is told to stop", _watch),
    "sweep": ("one sweep of the dispatcher by hand: heal what was lost", _sweep),
    "demo": ("upload videos to the emulated cloud, wait, fetch the scene", _demo),
    "cloud": ("the whole cloud on this machine, emulated, until it is stopped", _cloud),
    "desk": ("what `func start` of the Functions Core Tools needs, and a scene that shows it", _desk),
    "azurite": ("the storage emulator alone", _azurite),
    "jobs-api": ("the emulated Container Apps jobs API alone", _jobs_api),
}


def parser() -> argparse.ArgumentParser:
    """Of the first word; what follows is the program's."""
    lines = "\n".join(f"  {name:<10}{what}" for name, (what, _) in PROGRAMS.items())
    whole = argparse.ArgumentParser(
        prog="video-splat",
        usage="video-splat [-h] PROGRAM ...",
        description="Videos to 3D Gaussian Splatting scenes. `video-splat PROGRAM --help` tells the options of each.",
        epilog=f"programs:\n{lines}\n\nUsers and operators: `scenejobs --help`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("program", choices=PROGRAMS, help=argparse.SUPPRESS)
    return whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the program; 2 where there is none of that name, or a setting contradicts it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    name = parser().parse_args(words[:1]).program
    try:
        return PROGRAMS[name][1](words[1:])
    except SceneJobError as exc:
        print(f"error: {exc}", file=sys.stderr)
        return exc.exit_code
    except ModuleNotFoundError as exc:
        if exc.name == "local":
            print("the emulated cloud is not in this image; it is in a clone of the repository", file=sys.stderr)
            return ConfigurationError.exit_code
        if exc.name is None or exc.name.split(".")[0] in OURS:
            raise
        missing = ConfigurationError(f"the package {exc.name} is not installed", advice=EXTRAS)
        print(f"error: {missing}", file=sys.stderr)
        return ConfigurationError.exit_code
