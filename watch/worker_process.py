"""The worker of watch mode, `python -m watch.worker_process PARENT`: the runner in queue mode, ended when PARENT dies.

Without that a killed watch would leave a worker behind, and its successor would start a second one beside it.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1
EXIT_STOPPED = 143


def main(arguments: list[str]) -> int:
    parent = int(arguments[0])
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died before the line above
        return EXIT_STOPPED
    from runner import cli

    return cli.main([])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
