"""Log lines: one JSON object each for machines, readable text for people, secrets in neither."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.worker.periodic import Thread
from scenejobs.errors import ConfigurationError
from scenejobs.logs import setup
from scenejobs.logs.setup import report
from scenejobs.settings.groups import LogSettings
from tests.watching import wait_for

ROOT = Path(__file__).parents[4]


@pytest.fixture(autouse=True)
def restored_logging() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    hooks = (sys.excepthook, threading.excepthook, sys.unraisablehook)
    factory = logging.getLogRecordFactory()
    levels = {name: logging.getLogger(name).level for name in (*setup.CHATTY, setup.OF_CONNECTIONS)}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.setLogRecordFactory(factory)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    logging.captureWarnings(False)


Configure = Callable[..., io.StringIO]


@pytest.fixture
def configured() -> Configure:
    """Configures logging and returns what it writes to."""

    def configure(level: Any = "INFO", log_format: Any = "json", **fields: Any) -> io.StringIO:
        stream = io.StringIO()
        setup.configure(LogSettings(level, log_format), stream=stream, **fields)
        return stream

    return configure


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_has_time_level_target_message_and_fields(configured: Configure) -> None:
    stream = configured(job_id="job-7")
    logging.getLogger("runner.training.loop").info(
        "%d of %d", 3, 10, extra={"gaussian_count": 1200, "duration_secs": 1.5}
    )
    (line,) = lines(stream)
    assert abs(datetime.fromisoformat(line.pop("timestamp")) - datetime.now(UTC)) < timedelta(seconds=10)
    assert line == {
        "level": "INFO",
        "target": "runner.training.loop",
        "message": "3 of 10",
        "job_id": "job-7",
        "gaussian_count": 1200,
        "duration_secs": 1.5,
    }


def test_context_adds_fields_and_takes_them_away(configured: Configure) -> None:
    stream = configured()
    with setup.context(scene="lobby"):
        with setup.context(stage="training"):
            logging.info("inner")
        logging.info("outer")
    logging.info("outside")
    seen = [(line["message"], line.get("scene"), line.get("stage")) for line in lines(stream)]
    assert seen == [("inner", "lobby", "training"), ("outer", "lobby", None), ("outside", None, None)]


def test_every_record_is_one_line_whatever_a_name_holds(configured: Configure) -> None:
    """A blob's name with a line break cannot forge a second record."""
    stream = configured()
    logging.info("got %s", 'a\n{"level":"ERROR"}\r\x1b[2J\u2028.mp4')
    (line,) = lines(stream)
    assert line["message"] == 'got a\n{"level":"ERROR"}\r\x1b[2J\u2028.mp4'


def test_text_shows_control_characters_instead_of_obeying_them(configured: Configure) -> None:
    stream = configured(log_format="text", run_id="j")
    logging.getLogger("x").warning("got %s", "a\x1b[2J\u202e.mp4", extra={"scene": "b\nc"})
    text = stream.getvalue()
    assert text.count("\n") == 1
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "WARNING" in text
    assert "x: got a\\x1b[2J\\u202e.mp4 run_id=j scene=b\\nc job_id=b\\nc" in text


@pytest.mark.parametrize("log_format", ["json", "text"])
def test_no_secret_is_written(configured: Configure, log_format: str) -> None:
    """Not from messages, arguments, fields, contexts, exceptions or their causes."""
    secrets = [f"canary{number}%2Fvalue%3D" for number in range(6)]
    stream = configured(log_format=log_format, url=f"https://x?sig={secrets[0]}")
    logging.info("message with sig=" + secrets[1])
    logging.info("argument %s", f"AccountKey={secrets[2]}", extra={"request": {"url": f"https://x?sig={secrets[3]}"}})
    with setup.context(token=f"Bearer {secrets[4]}"):
        logging.info("context")
    try:
        try:
            raise OSError(f"Max retries exceeded with url: /input?sig={secrets[5]}")
        except OSError as exc:
            raise RuntimeError("wrapped") from exc
    except RuntimeError:
        logging.exception("failed")
    text = stream.getvalue()
    assert [secret for secret in secrets if secret in text] == []
    assert "Max retries exceeded" in text
    assert "wrapped" in text


def test_an_exception_is_one_field_with_its_traceback(configured: Configure) -> None:
    stream = configured()
    try:
        raise ValueError("odd")
    except ValueError:
        logging.exception("failed")
    (line,) = lines(stream)
    assert line["message"] == "failed"
    assert line["exception"].endswith("ValueError: odd")


def test_arguments_that_do_not_fit_are_shown_not_raised(configured: Configure) -> None:
    stream = configured()
    logging.info("%d frames", "many")
    assert "'many'" in lines(stream)[0]["message"]


def test_values_that_json_does_not_know_are_written_as_text(configured: Configure) -> None:
    stream = configured()
    logging.info("x", extra={"at": datetime(2026, 1, 1, tzinfo=UTC)})
    assert lines(stream)[0]["at"] == "2026-01-01 00:00:00+00:00"


def test_a_field_cannot_replace_the_message(configured: Configure) -> None:
    stream = configured(level="INFO")
    logging.info("true", extra={"timestamp": "never", "target": "nobody"})
    (line,) = lines(stream)
    assert (line["message"], line["target"]) == ("true", "root")
    assert line["timestamp"] != "never"


def test_the_level_is_obeyed_and_chatty_libraries_are_quiet(configured: Configure) -> None:
    """At DEBUG, urllib3 would print whole URLs."""
    stream = configured(level="DEBUG")
    logging.getLogger("runner").debug("ours")
    logging.getLogger("urllib3.connectionpool").debug("GET /secret")
    logging.getLogger("azure.core.pipeline").info("headers")
    logging.getLogger("azure").warning("theirs")
    assert [line["message"] for line in lines(stream)] == ["ours", "theirs"]
    stream = configured(level="ERROR")
    logging.warning("less")
    logging.getLogger("azure").warning("less")
    assert stream.getvalue() == ""


def test_auto_is_text_on_a_terminal_and_json_elsewhere(configured: Configure) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    logging_text = Terminal()
    setup.configure(LogSettings("INFO", "auto"), stream=logging_text)
    logging.info("hello")
    assert not logging_text.getvalue().startswith("{")
    stream = configured(log_format="auto")
    logging.info("hello")
    assert lines(stream)[0]["message"] == "hello"


def test_configuring_twice_writes_once(configured: Configure) -> None:
    configured()
    stream = configured()
    logging.info("once")
    assert len(lines(stream)) == 1


def test_a_crash_is_logged_without_its_secrets(configured: Configure) -> None:
    stream = configured()
    error = RuntimeError("https://x?sig=canary%3D")
    sys.excepthook(RuntimeError, error, None)

    def crash() -> None:
        raise error

    thread = threading.Thread(target=crash)
    thread.start()
    thread.join()
    assert [line["level"] for line in lines(stream)] == ["CRITICAL", "CRITICAL"]
    assert "canary" not in stream.getvalue()


def test_warnings_become_log_lines(configured: Configure) -> None:
    stream = configured()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        logging.captureWarnings(True)
        warnings.warn("old thing", stacklevel=1)
        logging.captureWarnings(False)
    assert "old thing" in lines(stream)[0]["message"]


def test_the_handlers_of_other_libraries_get_no_secret_either(configured: Configure) -> None:
    """Also one that was there before, on a logger of its own, with a formatter of its own."""
    stream = io.StringIO()
    theirs = logging.getLogger("some.library")
    theirs.propagate = False
    handler = logging.StreamHandler(stream)
    theirs.addHandler(handler)
    try:
        configured()
        later = logging.StreamHandler(stream)
        theirs.addHandler(later)
        theirs.warning("asking %s", "https://x?sig=canary-one")
        try:
            raise OSError("AccountKey=canary-two")
        except OSError:
            theirs.exception("failed")
    finally:
        theirs.handlers.clear()
        theirs.propagate = True
    assert stream.getvalue().count("asking https://x?sig=[REDACTED]") == 2
    assert "Traceback" in stream.getvalue()
    assert "canary" not in stream.getvalue()


def test_an_exception_in_a_destructor_is_logged_without_its_secret(configured: Configure) -> None:
    stream = configured()

    class Broken:
        def __del__(self) -> None:
            raise OSError("sig=canary")

    Broken()
    (line,) = lines(stream)
    assert (line["target"], line["message"]) == ("uncaught", "sig=[REDACTED]")
    assert "canary" not in stream.getvalue()


def test_a_process_with_handlers_of_its_own_is_protected_without_losing_them() -> None:
    """The Functions host: its handlers stay, its level stays, and chatty libraries are quiet."""
    root = logging.getLogger()
    before = list(root.handlers)
    setup.protect()
    setup.protect()
    assert root.handlers == before
    assert logging.getLogger("urllib3").level >= logging.WARNING
    assert logging.getLogger("x").makeRecord("x", 20, "f", 1, "sig=canary", (), None).getMessage() == "sig=[REDACTED]"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("chosen", "stream", "logs", "as_json"),
    [("json", io.StringIO, True, True), ("json", Terminal, True, True), ("auto", io.StringIO, True, True),
     ("", io.StringIO, True, True), ("auto", Terminal, True, False), ("text", io.StringIO, True, False),
     ("json", io.StringIO, False, False), ("auto", io.StringIO, False, False)],
)  # fmt: skip
def test_the_error_that_ends_a_program_is_a_record_in_a_stream_of_records(
    chosen: str, stream: type[io.StringIO], logs: bool, as_json: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker of watch mode wrote `error: ...` between the lines of JSON."""
    written = stream()
    monkeypatch.setattr(sys, "stderr", written)
    report(ConfigurationError("no\n?sig=abcdefgh1 folder", advice="make it"), {"LOG_FORMAT": chosen}, logs=logs)
    (line,) = written.getvalue().splitlines()
    if as_json:
        found = json.loads(line)
        assert (found["level"], found["code"], found["exit_code"]) == ("ERROR", "INVALID_SETTING", 2)
        line = f"error: {found['message']}"
    assert line == "error: no ?sig=[REDACTED] folder: make it"


@pytest.mark.parametrize("program", [["watch"], ["watch.worker_process", str(os.getpid())], ["runner"]])
def test_a_program_that_stops_at_its_settings_says_so_in_json(program: list[str], tmp_path: Path) -> None:
    env = {**os.environ, "LOG_FORMAT": "json", "DATA_PATH": str(tmp_path), "SANDBOX": "perhaps", "RUN_MODE": "queue"}
    command = [sys.executable, "-m", *program]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert [json.loads(line)["exit_code"] for line in (done.stdout + done.stderr).splitlines()] == [2]


def test_a_connection_that_is_made_anew_is_no_warning() -> None:
    """Under twelve checks at once: a line for each connection beyond the pool, and nothing that anybody could do."""
    setup.protect()
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.WARNING)
    assert logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.ERROR)
    assert logging.getLogger("urllib3.util.retry").isEnabledFor(logging.WARNING)


def test_a_line_about_a_scene_says_so_as_job_id_and_run_id(configured: Configure) -> None:
    """Whether the line names them itself or is written within the work; in a thread of that work, too."""
    stream = configured()
    log = logging.getLogger("x")
    log.error("guard.attempts: scene lobby", extra={"scene": "lobby", "run": "r1"})
    with setup.context(job_id="lobby", run_id="r2"):
        log.info("attempt 1 of 3")
        beat = Thread("beat", lambda: log.warning("a heartbeat failed"), 0.01)
        wait_for(lambda: "heartbeat" in stream.getvalue(), "the thread has logged")
        beat.end()
    log.info("outside")
    named = {(line["message"], line.get("job_id"), line.get("run_id")) for line in lines(stream)}
    assert named == {
        ("guard.attempts: scene lobby", "lobby", "r1"), ("attempt 1 of 3", "lobby", "r2"),
        ("a heartbeat failed", "lobby", "r2"), ("outside", None, None),
    }  # fmt: skip
