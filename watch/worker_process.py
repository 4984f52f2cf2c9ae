"""The worker of watch mode, `python -m watch.worker_process PARENT`: a runner that stops when PARENT ends.

Otherwise a killed watch would leave a worker behind, and its successor would start a second one beside it.
"""

from __future__ import annotations

import signal
import sys

from runner.process.linux import ORPHANED, signal_at_parents_death


def main(arguments: list[str]) -> int:
    if not signal_at_parents_death(signal.SIGTERM, int(arguments[0])):
        return ORPHANED
    from runner import cli

    return cli.main([])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
