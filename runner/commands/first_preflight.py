"""The preflight of the first execution of a program: run once, before any scene, and kept in `state/preflight.json`.

Whoever deploys sees there whether the machine that the platform gives is one on which scenes can work, without waiting
for a scene to fail. Where a check fails the work goes on: what is really missing stops it with a code of its own.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from runner.cache import provenance
from runner.paths import with_our_code
from scenejobs.errors import SceneJobError
from scenejobs.ports import BlobStore
from scenejobs.state import codec
from scenejobs.state.executions import machine
from scenejobs.state.layout import PREFLIGHT_RECORD

TIMEOUT_S = 300.0

log = logging.getLogger(__name__)


def preflight_once(
    state: BlobStore,
    env: Mapping[str, str],
    execution: str,
    now: Callable[[], datetime],
    is_stopped: Callable[[], bool] = lambda: False,
    timeout_s: float = TIMEOUT_S,
) -> None:
    """Runs every check in a process of its own, unless this program has its result already. Raises nothing.

    The program is another one after a change of the runner's code or of a package that decides a result.
    """
    program = provenance.program_digest()
    try:
        if machine.load(state).get("program") == program:
            return
        found = _run(env, timeout_s)
        if is_stopped():  # the platform ends every process of the container
            return
        _write(state, {"program": program, "at": now().isoformat(), "execution": execution, "stopped": False, **found})
    except SceneJobError as exc:
        log.warning("the first preflight is left out: %s", exc)
        return
    failed = [f"{check['name']}: {check['detail']}" for check in found["checks"] if not check["passed"]]
    if failed:
        log.error("preflight failed (state/%s): %s", PREFLIGHT_RECORD, "; ".join(failed))
    else:
        log.info("preflight passed (state/%s)", PREFLIGHT_RECORD)


def keep_refusal(state: BlobStore, error: SceneJobError, execution: str, now: Callable[[], datetime]) -> None:
    """Keeps why this execution stops before it takes a scene, for `status`. No other one leaves its preflight out."""
    check = {"name": "device", "passed": False, "detail": f"{error.code}: {error}", "code": error.exit_code}
    kept = {"program": "", "at": now().isoformat(), "execution": execution, "stopped": True}
    try:
        _write(state, {**kept, "passed": False, "checks": [check]})
    except SceneJobError as exc:
        log.warning("the reason is not kept in state/%s: %s", PREFLIGHT_RECORD, exc)


def _write(state: BlobStore, record: dict[str, Any]) -> None:
    state.write(PREFLIGHT_RECORD, json.dumps({**record, "versions": provenance.versions()}, indent=1).encode())


def _run(env: Mapping[str, str], timeout_s: float) -> dict[str, Any]:
    command = [sys.executable, "-P", "-m", "runner", "preflight", "--json"]
    try:
        done = subprocess.run(
            command, env=with_our_code(env), capture_output=True, text=True, timeout=timeout_s, check=False
        )
        told = codec.loads(done.stdout)
        return {"passed": bool(told["passed"]), "checks": list(told["checks"])}
    except subprocess.TimeoutExpired:
        detail = f"not done after {timeout_s:.0f} s"
    except (OSError, ValueError, KeyError, TypeError) as exc:
        detail = f"ended without a result: {exc}"
    return {"passed": False, "checks": [{"name": "preflight", "passed": False, "detail": detail, "code": 3}]}
