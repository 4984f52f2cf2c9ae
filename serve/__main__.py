"""Serve mode's command line, by the name that people use; images start `python -m runner` or `python -m serve`.

    video-splat serve          serve the containers until SIGTERM
    video-splat serve health   ask the one that runs here for its health; exit code 0 when it is healthy
    video-splat serve health --live   the same of what a restart cures: for liveness probes

Exit codes: 0 stopped by a signal, 2 configuration, credentials or rights, 3 the storage cannot be reached.
"""

from __future__ import annotations

import sys

from serve import cli

if __name__ == "__main__":
    sys.exit(cli.main(sys.argv[1:]))
