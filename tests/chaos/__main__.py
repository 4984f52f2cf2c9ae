"""Every chaos scenario at full size, one after another: `python -m tests.chaos [--points N]`. `make chaos`.

A scenario is a module of this package with `main(argv) -> int`; each writes benchmarks/results/chaos_<name>.md.
"""

from __future__ import annotations

import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

AT_POINTS = ("kill", "zombie", "lost_answers", "takeover")  # take the arguments of the command line
NAMES = (*AT_POINTS, "faults", "deaths", "gil", "sigterm", "storm", "thousand")


def present() -> list[str]:
    return [name for name in NAMES if (Path(__file__).parent / f"{name}.py").is_file()]


def main(argv: Sequence[str]) -> int:
    failed = []
    for name in present():
        print(f"== {name}", flush=True)
        began = time.monotonic()
        if importlib.import_module(f"tests.chaos.{name}").main(argv if name in AT_POINTS else ()):
            failed.append(name)
        print(f"== {name}: {'FAILED' if name in failed else 'passed'} in {time.monotonic() - began:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
