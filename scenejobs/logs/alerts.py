"""Alerts: the log line that is written whenever a limit or a fault postpones or ends work.

Each is an ERROR whose message begins with the alert's name, which never changes, and whose fields are `event`, the same
name, and what belongs to it. An alarm rule on `guard.` finds them all (docs/configuration.md).
"""

from __future__ import annotations

import logging
from enum import StrEnum


class Alert(StrEnum):
    """Names of the alerts, as alarm rules know them."""

    GPU_BUDGET = "guard.gpu_budget"  # the day's minutes are used up: nothing is started
    NO_GPU = "guard.no_gpu"  # executions end before they begin: one probe at a time, further and further apart
    NO_LIFE = "guard.no_life"  # an execution is listed as running and does nothing: it is stopped and counts no more
    START_REFUSED = "guard.start_refused"  # the compute service refuses to start executions
    SCENE_RUNS = "guard.scene_runs"  # one scene was run too often today: it waits for the next day
    ATTEMPTS = "guard.attempts"  # a scene used up its attempts and is dead-lettered
    DEADLINE = "guard.deadline"  # an attempt ran past its deadline or stalled
    BLOCKED = "guard.blocked"  # a scene cannot be brought to its end, or an upload not deleted: somebody has to help
    HELD = "guard.held"  # a scene whose inputs are being brought back by somebody who did not finish


def log_alert(log: logging.Logger, alert: Alert, text: str, **fields: object) -> None:
    """One line at ERROR: `guard.gpu_budget: 600 of 600 minutes are used up`."""
    log.error("%s: %s", alert, text, extra={"event": str(alert), **fields})
