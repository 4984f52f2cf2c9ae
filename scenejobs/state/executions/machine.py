"""What an execution found on its machine, `state/preflight.json`, and whether that is why no runner begins.

The first execution of a program writes it, and one that cannot work on its machine at all, before it stops. To the
dispatcher such an execution looks like one that never got a machine; here is the true reason.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from scenejobs.errors import NotFound
from scenejobs.ports import SMALL_BYTES, BlobStore
from scenejobs.state import codec
from scenejobs.state.executions.start_backoff import StarterState
from scenejobs.state.layout import PREFLIGHT_RECORD

CLOCKS_S = 60.0  # so far the clocks of runner and storage may be apart


def load(state: BlobStore) -> dict[str, Any]:
    """The record; {} where there is none, or it cannot be read."""
    try:
        data, _ = state.read(PREFLIGHT_RECORD, limit_bytes=SMALL_BYTES)
        kept = codec.loads(data)
    except (NotFound, ValueError):
        return {}
    return kept if isinstance(kept, dict) else {}


def held_back(state: BlobStore, starter: StarterState, now: datetime) -> str:
    """Why queued work does not begin, for people: what a runner found on its machine, else what the starter knows."""
    text = starter.held_back(now)
    since = starter.unanswered_since
    found = refused(state, since) if text and since else ""
    return f"no runner can work on its machine: {found}" if found else text


def refused(state: BlobStore, since: datetime) -> str:
    """What stopped an execution that was started since then; "" when nothing did, or nobody knows."""
    kept = load(state)
    try:
        if kept["stopped"] is not True or codec.parse_time(kept["at"]) < since - timedelta(seconds=CLOCKS_S):
            return ""
        return next((str(check["detail"]) for check in kept["checks"] if not check["passed"]), "")
    except (KeyError, TypeError, ValueError):
        return ""
