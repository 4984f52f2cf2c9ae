"""`video-splat sweep`: one sweep by hand, with the settings of the environment."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict

from function_app import wiring
from scenejobs.errors import SceneJobError
from scenejobs.logs.setup import configure_command


def main(arguments: Sequence[str] | None = None, open_app: Callable[[], wiring.App] = wiring.app) -> int:
    parser = argparse.ArgumentParser(prog="video-splat", description="The dispatcher, by hand.")
    parser.add_argument("command", choices=["sweep"], help="heal what was lost, and print what was found")
    parser.parse_args(arguments)
    try:
        configure_command(os.environ)
        print(json.dumps(asdict(open_app().sweeper.sweep())))
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
