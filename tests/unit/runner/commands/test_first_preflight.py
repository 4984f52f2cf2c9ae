"""The first execution of a program looks at its machine, and keeps what it found."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime

import pytest

from runner.commands.first_preflight import preflight_once
from scenejobs.adapters.memory.blobs import MemoryBlobStore
from scenejobs.state.layout import PREFLIGHT_RECORD

ENV = {"PATH": os.environ["PATH"], "BACKEND": "mock", "MIN_DISK_SPACE_GB": "1e9"}


def now() -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC)


def test_it_runs_once_for_a_program_and_what_failed_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Work is not refused for it: what is really missing stops the scene with its own code."""
    state = MemoryBlobStore("state")
    preflight_once(state, ENV, "job-dev-1", now)
    kept = json.loads(state.read(PREFLIGHT_RECORD)[0])
    assert (kept["passed"], kept["execution"]) == (False, "job-dev-1")
    assert {check["name"]: check["passed"] for check in kept["checks"]}["packages"]
    assert "preflight failed" in caplog.text
    assert "storage" in caplog.text
    preflight_once(state, {"PATH": "/none"}, "job-dev-2", now)
    assert json.loads(state.read(PREFLIGHT_RECORD)[0]) == kept

    state.write(PREFLIGHT_RECORD, json.dumps({**kept, "program": "another"}).encode())
    preflight_once(state, ENV, "job-dev-3", now, timeout_s=0.01)
    kept = json.loads(state.read(PREFLIGHT_RECORD)[0])
    assert (kept["passed"], kept["execution"]) == (False, "job-dev-3")
    assert "not done after" in kept["checks"][0]["detail"]


def test_what_a_stop_cut_off_is_not_kept() -> None:
    state = MemoryBlobStore("state")
    preflight_once(state, ENV, "job-dev-1", now, is_stopped=lambda: True, timeout_s=0.01)
    assert list(state.list()) == []
