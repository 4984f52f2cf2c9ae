"""RUN_MODE: a setting of another mode's place stops the program, others give one warning, too few name all modes."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from runner import cli as runner_cli
from scenejobs.settings import modes
from scenejobs.settings.groups import table
from serve import cli as serve_cli
from watch import cli as watch_cli

LOG = logging.getLogger("program")


@pytest.mark.parametrize(
    ("env", "named"),
    [
        ({"RUN_MODE": "watch", "AZURE_STORAGE_ACCOUNT": "shop"}, ["AZURE_STORAGE_ACCOUNT", "RUN_MODE=serve"]),
        ({"RUN_MODE": "watch", "AZURE_BLOB_CONTAINER_INPUT": "in", "JOBS_QUEUE": "j"},
         ["AZURE_BLOB_CONTAINER_INPUT, JOBS_QUEUE"]),
        ({"RUN_MODE": "serve", "AZURE_STORAGE_ACCOUNT": "shop", "INPUT_PATH": "/in"}, ["INPUT_PATH", "RUN_MODE=watch"]),
        ({"RUN_MODE": "Serve", "AZURE_STORAGE_ACCOUNT": "shop", "DATA_PATH": "/data"}, ["DATA_PATH"]),
        ({"AZURE_STORAGE_ACCOUNT": "shop", "INPUT_PATH": "/in", "OUTPUT_PATH": "/out"}, ["INPUT_PATH, OUTPUT_PATH"]),
        ({"RUN_MODE": "batch", "AZURE_STORAGE_ACCOUNT": "shop", "BATCH_INPUT_PREFIX": "a", "ERROR_PATH": "/e"},
         ["ERROR_PATH"]),
        ({"DATA_PATH": "/data", "AZURE_BLOB_CONTAINER_STATE": "s"}, ["AZURE_BLOB_CONTAINER_STATE", "DATA_PATH"]),
    ],
)  # fmt: skip
def test_a_setting_of_another_modes_place_stops_the_program(
    env: dict[str, str], named: list[str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As whoever starts it sees it: exit code 2, and one line that names the settings and the mode that reads them."""
    monkeypatch.setattr("os.execve", lambda *_: pytest.fail("it began"))
    mode = modes.mode_of(env)
    programs = {"watch": watch_cli.main, "serve": serve_cli.main}
    assert programs.get(mode, runner_cli.main)([], env) == 2
    told = capsys.readouterr().err
    assert len(told.splitlines()) == 1
    for part in named:
        assert part in told


@pytest.mark.parametrize(
    "env",
    [
        {"RUN_MODE": "watch", "DATA_PATH": "/data", "INPUT_PATH": "/in", "AZURE_STORAGE_SAS_TOKEN": "x"},
        {"RUN_MODE": "serve", "AZURE_STORAGE_ACCOUNT": "shop", "JOBS_QUEUE": "jobs", "INPUT_PATH": " "},
        {"RUN_MODE": "batch", "AZURE_STORAGE_ACCOUNT": "shop", "OUTPUT_PATH": "/tmp/out"},  # of the older guide
        {"DATA_PATH": "/data", "INPUT_PATH": "/in"},  # a worker of watch mode
        {"AZURE_STORAGE_ACCOUNT": "shop", "AZURE_BLOB_CONTAINER_INPUT": "in"},
    ],
)
def test_its_own_place_and_an_empty_variable_stop_none(env: dict[str, str]) -> None:
    assert list(modes.problems(env)) == []


@pytest.mark.parametrize(
    ("env", "told"),
    [
        ({"RUN_MODE": "queue", "RETENTION_DAYS": "3", "BATCH_JOB_ID": "a"}, "BATCH_JOB_ID, RETENTION_DAYS"),
        ({"RUN_MODE": "batch", "OUTPUT_PATH": "/out", "POLL_INTERVAL_SECS": "3"}, "OUTPUT_PATH, POLL_INTERVAL_SECS"),
        ({"RUN_MODE": "serve", "RETENTION_DAYS": "3", "POLL_INTERVAL_SECS": "3", "MAX_PARALLEL_JOBS": "2"},
         "MAX_PARALLEL_JOBS, RETENTION_DAYS"),
        ({"RUN_MODE": "watch", "AZURE_STORAGE_SAS_TOKEN": "secret", "RETENTION_DAYS": "3", "MAX_WAIT_SECONDS": "9"},
         "AZURE_STORAGE_SAS_TOKEN, MAX_WAIT_SECONDS"),
        ({"QUIET_SECONDS": "3", "HEALTH_CHECK_PORT": ""}, None),
    ],
)  # fmt: skip
def test_other_settings_of_another_mode_give_one_warning(
    env: dict[str, str], told: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    modes.warn(env, LOG)
    assert caplog.messages == ([f"RUN_MODE={modes.mode_of(env)} does not read {told}"] if told else [])


@pytest.mark.parametrize("env", [{}, {"RUN_MODE": "batch"}, {"RUN_MODE": "serve"}])
def test_where_a_setting_is_missing_every_mode_is_named_with_what_it_needs(
    env: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    program = serve_cli.main if env.get("RUN_MODE") == "serve" else runner_cli.main
    assert program([], env) == 2
    told = capsys.readouterr().err
    assert "AZURE_STORAGE_ACCOUNT is not set" in told
    assert ("BATCH_INPUT_PREFIX is not set" in told) is (env.get("RUN_MODE") == "batch")
    assert ("without RUN_MODE it is queue" in told) is (not env)
    for mode, (does, needs) in modes.MODES.items():
        assert f"{mode} ({does}) needs {needs}" in told


def test_what_is_said_of_settings_is_said_of_settings_that_there_are() -> None:
    known = {row.variable for row in table()}
    assert {*modes.ACCOUNT, *modes.FOLDERS}.union(*modes.NOT_READ.values()) <= known
    (kinds,) = {row.kind for row in table() if row.variable == "RUN_MODE"}
    assert kinds.split(" | ") == list(modes.MODES)


def test_a_worker_of_a_machine_gets_nothing_to_warn_of(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    from scenejobs.adapters.folder import Places
    from watch.local_workers import folder_worker_environment as of_watch
    from watch.local_workers import worker_environment as of_serve

    env = {"RETENTION_DAYS": "3", "HEALTH_CHECK_PORT": "1", "MAX_PARALLEL_JOBS": "1", "UPLOADS_QUEUE": "u"}
    for worker in (of_serve({**env, "AZURE_STORAGE_ACCOUNT": "shop"}), of_watch(env, Places.below(tmp_path))):
        assert list(modes.problems(worker)) == []
        modes.warn(worker, LOG)
    assert caplog.messages == []
