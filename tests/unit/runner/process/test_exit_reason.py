"""What a death is called."""

from __future__ import annotations

import signal

import pytest

from runner.process.exit_reason import ExitReason, exit_of, reason_in_words, signal_name


@pytest.mark.parametrize(
    ("returncode", "ended_for", "reason", "code", "number"),
    [
        (0, None, ExitReason.OK, 0, None),
        (70, None, ExitReason.FAILED, 70, None),
        (-signal.SIGSEGV, None, ExitReason.CRASHED, None, signal.SIGSEGV),
        (-signal.SIGKILL, None, ExitReason.KILLED_FOR_MEMORY, None, signal.SIGKILL),
        (-signal.SIGKILL, ExitReason.SILENT, ExitReason.SILENT, None, signal.SIGKILL),
        (0, ExitReason.STOPPED, ExitReason.STOPPED, 0, None),
    ],
)
def test_the_reason_comes_from_the_supervisor_else_from_the_code(
    returncode: int, ended_for: ExitReason | None, reason: ExitReason, code: int | None, number: int | None
) -> None:
    end = exit_of(returncode, ended_for)
    assert (end.reason, end.code, end.signal) == (reason, code, number)


@pytest.mark.parametrize(
    ("returncode", "oom_kills", "parts"),
    [
        (-signal.SIGSEGV, 0, ["SIGSEGV"]),
        (-(signal.SIGRTMIN + 3), 0, [str(signal.SIGRTMIN + 3)]),
        (-signal.SIGKILL, 0, ["signal 9", "probably"]),
        (-signal.SIGKILL, 1, ["for memory"]),
        (7, 0, ["exit code 7", "without a result"]),
    ],
)
def test_a_death_is_explained(returncode: int, oom_kills: int, parts: list[str]) -> None:
    words = exit_of(returncode, oom_kills=oom_kills).explained()
    assert all(part in words for part in parts)
    assert ("probably" in words) == ("probably" in parts), "a kill that the kernel counted is sure"


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("terminate called after throwing an instance of 'std::bad_alloc'", ExitReason.KILLED_FOR_MEMORY),
        ("Traceback\nMemoryError", ExitReason.KILLED_FOR_MEMORY),
        ("OSError: [Errno 28] No space left on device", ExitReason.DISK_FULL),
        ("SQLite error: database or disk is full", ExitReason.DISK_FULL),
        ("Check failed: x > 0", None),
        ("", None),
    ],
)
def test_last_words_that_name_memory_or_disk_are_understood(words: str, reason: ExitReason | None) -> None:
    assert reason_in_words(words) is reason


def test_a_signal_without_a_name_is_a_number() -> None:
    assert signal_name(signal.SIGABRT) == "SIGABRT"
    assert signal_name(signal.SIGRTMIN + 3) == f"signal {signal.SIGRTMIN + 3}"
