"""How a child process ended: one value for all children, and the words that explain a death."""

from __future__ import annotations

import signal
from dataclasses import dataclass
from enum import StrEnum


class ExitReason(StrEnum):
    """Why a child process ended. The text beside each is its meaning."""

    OK = "ok"  # by itself, with code 0
    FAILED = "failed"  # by itself, with another code
    CRASHED = "crashed"  # of a signal: native code failed a check, or did what is forbidden
    KILLED_FOR_MEMORY = "killed for memory"  # of a SIGKILL that the supervisor did not send
    TIMED_OUT = "timed out"  # the supervisor ended it: it passed its wall-clock limit
    SILENT = "silent"  # the supervisor ended it: no sign of life for too long
    STOPPED = "stopped"  # the supervisor ended it: a stop was requested
    DISK_FULL = "disk full"  # the supervisor ended it: what it may write to is full


BY_SUPERVISOR = frozenset({ExitReason.TIMED_OUT, ExitReason.SILENT, ExitReason.STOPPED, ExitReason.DISK_FULL})

# What allocators, the system and SQLite write before a process ends because of them.
MEMORY_WORDS = ("bad_alloc", "MemoryError")
DISK_WORDS = ("No space left on device", "disk is full")


@dataclass(frozen=True)
class Exit:
    """The end of one child process."""

    reason: ExitReason
    code: int | None  # exit code; None: it died of a signal
    signal: int | None = None  # number of the signal that it died of
    last_lines: tuple[str, ...] = ()  # of its output, where that was kept
    oom_kills: int = 0  # how often the kernel killed a process of this container for memory meanwhile

    @property
    def last_words(self) -> str:
        return "\n".join(self.last_lines)

    def explained(self, missing: str = "a result") -> str:
        """How it ended by itself, to be put after a noun: "died of SIGSEGV". missing: what it did not leave."""
        if self.signal is None:
            return f"ended with exit code {self.code} and without {missing}"
        if self.reason is not ExitReason.KILLED_FOR_MEMORY:
            return f"died of {signal_name(self.signal)}"
        return f"was killed {'for memory' if self.oom_kills else '(signal 9), probably for memory'}"


def exit_of(
    returncode: int, ended_for: ExitReason | None = None, last_lines: tuple[str, ...] = (), oom_kills: int = 0
) -> Exit:
    """returncode: as `subprocess` gives it, negative for a signal. ended_for: why the supervisor ended it."""
    number = -returncode if returncode < 0 else None
    if ended_for is not None:
        reason = ended_for
    elif number is None:
        reason = ExitReason.FAILED if returncode else ExitReason.OK
    else:
        reason = ExitReason.KILLED_FOR_MEMORY if number == signal.SIGKILL else ExitReason.CRASHED
    return Exit(reason, returncode if number is None else None, number, last_lines, oom_kills)


def reason_in_words(words: str) -> ExitReason | None:
    """KILLED_FOR_MEMORY or DISK_FULL when a child's last words say so. Only for a child that can be believed."""
    if any(word in words for word in MEMORY_WORDS):
        return ExitReason.KILLED_FOR_MEMORY
    return ExitReason.DISK_FULL if any(word in words for word in DISK_WORDS) else None


def signal_name(number: int) -> str:
    """SIGSEGV; a number for a real-time signal, which has no name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
