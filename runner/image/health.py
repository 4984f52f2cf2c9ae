"""The image's health check: `python -m runner.image.health`. Exit code 0 or 1.

In watch mode the service answers on HEALTH_CHECK_PORT. A job has no server: its health is its progress, which its own
parent watches (JOB_STALL_SECS), so there the check passes.
"""

from __future__ import annotations

import os
import sys
import urllib.request
from collections.abc import Mapping

TIMEOUT_S = 5.0


def healthy(env: Mapping[str, str]) -> bool:
    """False when the service does not answer, or says that it is unwell (503)."""
    if env.get("RUN_MODE", "").strip() != "watch" or env.get("HEALTH_CHECK_ENABLED", "true").strip().lower() == "false":
        return True
    address = f"http://127.0.0.1:{env.get('HEALTH_CHECK_PORT', '').strip() or '8080'}/health"
    try:
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(address, timeout=TIMEOUT_S) as answer:
            return bool(answer.status == 200)
    except OSError:  # refused, timed out, or an HTTP error
        return False


if __name__ == "__main__":
    sys.exit(0 if healthy(os.environ) else 1)
