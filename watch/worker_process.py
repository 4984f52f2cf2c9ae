"""The worker of watch mode, `python -m watch.worker_process PARENT`: a runner that stops when PARENT ends.

Otherwise a killed watch would leave a worker behind, and its successor would start a second one beside it.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress

from runner.process.linux import ORPHANED, signal_at_parents_death
from scenejobs.errors import SceneJobError
from watch.local_workers import LAST_WORDS, MAX_WORDS


def main(arguments: list[str]) -> int:
    if not signal_at_parents_death(signal.SIGTERM, int(arguments[0])):
        return ORPHANED
    from runner import cli

    return cli.main([], on_error=_tell)


def _tell(error: SceneJobError) -> None:
    """To the watch, for its health."""
    with suppress(OSError, ValueError):
        os.write(int(os.environ.get(LAST_WORDS, "")), str(error).encode()[:MAX_WORDS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
