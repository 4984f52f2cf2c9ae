"""Shutdown: one budget of seconds from the first signal to the end of the process.

    0                8             12                  19        20                     30
    | the job stops  | its newest  | attempt, lease    | the     | promised             | the platform kills
    | by itself      | state is    | and message are   | process |                      |
    | or is killed   | saved       | given back        | ends    |                      |

Each step has the rest of the budget, however long it takes itself: a late one has less. What hangs (a store that does
not answer, a machine that stands still) is abandoned at the end: then nothing is given back, and the next runner takes
over when the lease has ended, as after a crash.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable

from runner.process.signals import StopFlag
from runner.worker.periodic import Repeat, Repeating, Thread
from scenejobs.errors import Interrupted

JOB_S = 8.0  # the job is killed after it
SAVED_S = 12.0  # no change to the saved work is begun after it
GONE_S = 19.0  # the process ends after it, whatever it is doing
LOOK_S = 0.25

log = logging.getLogger(__name__)


def job_left_s(stop: StopFlag) -> float:
    """Until the job is killed; infinite while no stop was asked for."""
    stopped_s = stop.stopped_s()
    return float("inf") if stopped_s is None else max(0.0, JOB_S - stopped_s)


def leave(code: int) -> None:
    """Ends this process with all of its threads at once. Its job dies with it, by the kernel."""
    logging.shutdown()
    os._exit(code)


def last_resort(
    stop: StopFlag, *, after_s: float = GONE_S, leave: Callable[[int], None] = leave, repeat: Repeat = Thread
) -> Repeating:
    """Watches from a thread of its own that a stop by signal comes to its end. Ended by the caller."""

    def look() -> None:
        signalled_s = stop.signalled_s()
        if signalled_s is not None and signalled_s >= after_s:
            log.error("told to stop %.0f s ago and not done: what is not given back is left to its lease", signalled_s)
            leave(Interrupted.exit_code)

    return repeat("last resort", look, LOOK_S)
