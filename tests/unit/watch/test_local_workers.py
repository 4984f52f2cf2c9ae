"""Workers of watch mode are processes that get folders and settings, and whose end is understood."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from scenejobs.adapters.folder import Places
from scenejobs.errors import ComputeError
from tests.watching import wait_for
from watch.local_workers import LocalCompute, folder_worker_environment


def test_a_worker_gets_folders_and_settings_and_no_account(tmp_path: Path) -> None:
    env = {"AZURE_STORAGE_ACCOUNT": "shop", "AZURE_STORAGE_SAS_TOKEN": "canary", "IDENTITY_HEADER": "canary",
           "BACKEND": "mock", "RUN_MODE": "watch", "OUTPUT_PATH": "/elsewhere"}  # fmt: skip
    found = folder_worker_environment(env, Places.below(tmp_path))
    assert "canary" not in found.values()
    assert not [name for name in found if name.startswith("AZURE_")]
    assert (found["RUN_MODE"], found["BACKEND"]) == ("queue", "mock")
    assert found["OUTPUT_PATH"] == str(tmp_path / "output")


def test_a_worker_that_stands_still_is_killed_after_the_grace(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    deaf = 'trap "" TERM; echo >"$READY"; while :; do sleep 0.05; done'
    compute = LocalCompute({"READY": str(ready), "PATH": os.environ["PATH"]}, ["/bin/sh", "-c", deaf], grace_s=0.2)
    name = compute.start()
    wait_for(ready.exists, "the worker is up")
    compute.stop("watch-unknown")
    compute.stop(name)
    compute.stop(name)
    assert [execution.name for execution in compute.live()] == [name]
    wait_for(lambda: not compute.live(), "the worker was killed")


def test_a_worker_that_stops_at_its_settings_is_not_started_again_at_once(tmp_path: Path) -> None:
    """The starter's waits begin, and the reason is told. Any other end is none of it."""
    code = tmp_path / "code"
    compute = LocalCompute({"CODE": str(code)}, ["/bin/sh", "-c", 'read code <"$CODE"; exit $code'])
    for text, refused in (("0", False), ("3", False), ("2", True), ("143", False)):
        code.write_text(f"{text}\n")
        compute.start()
        wait_for(lambda: not compute.live(), "the worker has ended")
        if refused:
            with pytest.raises(ComputeError, match="stopped at its settings"):
                compute.start()
    compute.end(1)
    assert compute.live() == ()
