"""LOG_LEVEL is read by every program, and the older service's words for it are taken."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from function_app import __main__ as function_app_main
from runner import cli
from scenejobs.commands import cli as commands
from scenejobs.settings.groups import LogSettings
from scenejobs.settings.reader import read
from watch import cli as watch_cli

ROOT = Path(__file__).parents[2]
FUNCTION_APP = "import logging; from function_app import wiring; wiring.app(); print(logging.getLogger().level)"


@pytest.fixture(autouse=True)
def root_level() -> Iterator[None]:
    level = logging.getLogger().level
    yield
    logging.getLogger().setLevel(level)


def run(program: str, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> int:
    for name, text in env.items():
        monkeypatch.setenv(name, text)
    match program.split():
        case ["scenejobs", *arguments]:
            return commands.main(arguments)
        case ["function_app", *arguments]:
            return function_app_main.main(arguments)
        case ["watch", *arguments]:
            return watch_cli.main(arguments, env)
        case [_, *arguments]:
            return cli.main([given.format(**env) for given in arguments], env)
    raise AssertionError(program)


@pytest.mark.parametrize(
    "program",
    [
        "scenejobs status", "scenejobs audit", "function_app sweep", "watch", "runner", "runner preflight",
        "runner scene {DATA_PATH}/a.mp4 --out {DATA_PATH}/out",
    ],
)  # fmt: skip
def test_a_level_that_is_none_stops_every_program_by_name(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"x")
    env = {"DATA_PATH": str(tmp_path), "LOG_LEVEL": "loud", "BACKEND": "mock", "PATH": os.environ["PATH"]}
    assert run(program, env, monkeypatch) == 2
    assert "LOG_LEVEL='loud' is not allowed: use one of DEBUG, INFO, WARNING, ERROR" in capsys.readouterr().err


@pytest.mark.parametrize(("word", "level"), [("warn", "WARNING"), ("trace", "DEBUG"), ("Warn", "WARNING")])
def test_the_older_words_are_taken(word: str, level: str) -> None:
    assert read(LogSettings, {"LOG_LEVEL": word}).level == level


def test_the_function_app_logs_from_the_level_on() -> None:
    env = {
        "PATH": os.environ["PATH"], "LOG_LEVEL": "warn", "AZURE_STORAGE_ACCOUNT": "shop", "AZURE_SUBSCRIPTION_ID": "s",
        "AZURE_STORAGE_SAS_TOKEN": "sv=1&sig=abcdefgh", "AZURE_RESOURCE_GROUP": "g", "RUNNER_JOB_NAME": "j",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", FUNCTION_APP], cwd=ROOT, env=env, capture_output=True, text=True, check=True
    )
    assert int(done.stdout) == logging.WARNING


def test_a_command_for_people_tells_what_it_is_told_to_tell(tmp_path: Path) -> None:
    """Its log is text, beside what it prints; nothing but warnings where nothing is set."""
    program = (
        "import logging, os; from scenejobs.logs.setup import configure_command; configure_command(os.environ); "
        "logging.getLogger('a').info('said'); logging.getLogger('a').warning('warned')"
    )
    told = [
        subprocess.run([sys.executable, "-c", program], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
        for env in ({}, {"LOG_LEVEL": "info"})
    ]
    assert [("said" in done.stderr, "warned" in done.stderr) for done in told] == [(False, True), (True, True)]
    assert not any("{" in done.stderr for done in told)
