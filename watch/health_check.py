"""`python -m watch health`: asks the watch that runs here how it is. Health checks run it every half minute."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

from scenejobs.errors import ConfigurationError
from scenejobs.settings.groups import RunnerSettings, WatchSettings
from scenejobs.settings.reader import read_all

TIMEOUT_S = 5.0


def health(env: Mapping[str, str], *, if_watching: bool = False) -> int:
    """Prints the answer of /health; 0 when all is well, 1 when not, or when nobody answers.

    if_watching: 0 where nobody would answer. An image's health check serves every mode, and a job has no server: its
    own parent watches its progress (JOB_STALL_SECS). Raises ConfigurationError.
    """
    runner, settings = read_all((RunnerSettings, WatchSettings), env)
    if if_watching and (runner.mode != "watch" or not settings.health):
        return 0
    if not settings.health:
        raise ConfigurationError("HEALTH_CHECK_ENABLED is off", advice="there is nobody to ask")
    host = "127.0.0.1" if settings.listen in ("0.0.0.0", "::") else settings.listen
    connection = HTTPConnection(host, settings.health_port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        print(answer.read().decode())
        return 0 if answer.status == 200 else 1
    except (OSError, HTTPException) as exc:
        print(f"error: nobody answers at {host}:{settings.health_port}: {exc}", file=sys.stderr)
        return 1
    finally:
        connection.close()
