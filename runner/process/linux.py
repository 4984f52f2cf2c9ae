"""System calls that Python has no wrapper for, by ctypes. For Linux on x86_64 and aarch64; see `supported`."""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_NO_NEW_PRIVS = 38
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000
CAPABILITY_VERSION_3 = 0x20080522  # linux/capability.h, as are the numbers below
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_KILL, CAP_SETGID, CAP_SETUID = 0, 1, 5, 6, 7

ORPHANED = 143  # exit code of a process whose parent ended before it began: as after SIGTERM

_libc = ctypes.CDLL(None, use_errno=True)


def supported() -> bool:
    return sys.platform == "linux" and platform.machine() in ("x86_64", "aarch64")


def syscall(number: int, *arguments: int | ctypes.Array[ctypes.c_char] | None) -> int:
    """The call's result. Raises OSError as the kernel says. Pointers: buffers of ctypes, or None."""
    passed = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = _libc.syscall(ctypes.c_long(number), *passed)
    return _checked(result)


def prctl(option: int, value: int) -> None:
    _checked(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def unshare(flags: int) -> None:
    """Leaves the parent's namespaces. With CLONE_NEWUSER only while the process has one thread."""
    _checked(_libc.unshare(ctypes.c_int(flags)))


def drop_capabilities() -> None:
    """Of this thread: effective, permitted, inheritable."""
    header = ctypes.create_string_buffer(CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4), 8)
    _checked(_libc.capset(header, ctypes.create_string_buffer(24)))


def has_capabilities(numbers: Collection[int]) -> bool:
    """Whether this thread may use all of these. Root in a container that drops them is root in name only."""
    status = Path("/proc/thread-self/status").read_text(encoding="ascii", errors="replace")
    effective = int(next(line for line in status.splitlines() if line.startswith("CapEff:")).split()[1], 16)
    return all(effective >> number & 1 for number in numbers)


def harden_against_neighbours() -> None:
    """For a process that holds credentials: /proc/<pid>/environ and its memory are closed to others of the same user,
    and it leaves no core file. Nothing where the system is not Linux."""
    if sys.platform == "linux":
        prctl(PR_SET_DUMPABLE, 0)


def threads() -> int:
    """Of this process."""
    return len(os.listdir("/proc/self/task"))


def _checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def signal_at_parents_death(number: int, parent: int) -> bool:
    """Linux sends this process the signal when its parent ends, however that ends. False: it has ended already.

    parent: its process id, known from before a moment at which it could have ended.
    """
    if sys.platform == "linux":
        prctl(PR_SET_PDEATHSIG, number)
    return os.getppid() == parent


def die_with_parent() -> None:
    """Nobody needs the work of a process whose parent was killed: it is killed as well."""
    if not signal_at_parents_death(signal.SIGKILL, os.getppid()):
        os.kill(os.getpid(), signal.SIGKILL)


def become(parent: int, command: Sequence[str]) -> NoReturn:
    """Becomes another program, which gets SIGTERM when the parent ends."""
    if not signal_at_parents_death(signal.SIGTERM, parent):
        sys.exit(ORPHANED)
    os.execv(command[0], list(command))


if __name__ == "__main__":  # by its path: `python -I -S runner/process/linux.py PARENT PROGRAM ARGUMENT...`
    become(int(sys.argv[1]), sys.argv[2:])
