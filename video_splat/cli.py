"""`video-splat PROGRAM ...`: hands the arguments to a program, which has a help and exit codes of its own.

A mode (`queue`, `batch`, `serve`, `watch`) is what an image does with that RUN_MODE: the word takes its place.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from scenejobs.errors import ConfigurationError

OURS = ("scenejobs", "function_app", "functions_entry", "runner", "serve", "watch", "local", "video_splat")
EXTRAS = "pip install '.[runner,cloud]'; without `cloud` for all but the emulated cloud (docs/commands.md)"


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code of the program; 2 where there is none of that name, or a setting contradicts it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from scenejobs.commands.shell.failing import guarded
        from scenejobs.commands.shell.group import call
        from video_splat.programs import video_splat

        return guarded(lambda: call(video_splat, words, "video-splat"), words[:1])
    except ModuleNotFoundError as exc:
        if exc.name == "local":
            print("the emulated cloud is not in this image; it is in a clone of the repository", file=sys.stderr)
            return ConfigurationError.exit_code
        if exc.name is None or exc.name.split(".")[0] in OURS:
            raise
        missing = ConfigurationError(f"the package {exc.name} is not installed", advice=EXTRAS)
        print(f"error: {missing}", file=sys.stderr)
        return ConfigurationError.exit_code
