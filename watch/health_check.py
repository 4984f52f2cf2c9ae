"""`video-splat watch health`: the client of /health, which the images' HEALTHCHECK runs every 30 s."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException

from scenejobs.errors import ConfigurationError
from scenejobs.settings.groups import RunnerSettings, WatchSettings
from scenejobs.settings.reader import read_all

TIMEOUT_S = 5.0


def health(env: Mapping[str, str], *, if_watching: bool = False, live: bool = False) -> int:
    """Prints the response of /health, or of /health/live. Returns 0 when it is 200, 1 when it is not or there is none.

    if_watching: 0 in the modes without a server. An image's health check runs in every mode, and a job has no server:
    its own parent watches its progress (JOB_STALL_SECS). Raises ConfigurationError.
    """
    runner, settings = read_all((RunnerSettings, WatchSettings), env)
    if if_watching and (runner.mode not in ("watch", "serve") or not settings.health):
        return 0
    if not settings.health:
        raise ConfigurationError("HEALTH_CHECK_ENABLED is off", advice="there is nobody to ask")
    host = "127.0.0.1" if settings.listen in ("0.0.0.0", "::") else settings.listen
    connection = HTTPConnection(host, settings.health_port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/health/live" if live else "/health")
        response = connection.getresponse()
        print(response.read().decode())
        return 0 if response.status == 200 else 1
    except (OSError, HTTPException) as exc:
        print(f"error: nobody answers at {host}:{settings.health_port}: {exc}", file=sys.stderr)
        return 1
    finally:
        connection.close()
