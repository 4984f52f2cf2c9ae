"""The layers that close a process in before it opens an untrusted file. Each layer where the system has it.

    limits             memory, processor time, size of a file, open files, processes; no core file
    network namespace  no network device at all
    own user           of a root process: a user id that owns nothing
    no new privileges  set-user-id programs and file capabilities have no effect
    landlock           files: only code to read, only its own folder to write; no TCP, no signals to others
    seccomp            only the system calls that decoding needs

In two steps, because libraries must be loaded in between: `begin` while there is one thread and nothing is loaded,
`complete` when everything is.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import sys
import sysconfig
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from runner.paths import ROOT, RUNNER
from runner.process import linux
from runner.process.linux import die_with_parent
from runner.sandbox import landlock, seccomp

LIMITS, NETWORK, OWN_USER = "limits", "network namespace", "own user"
NO_NEW_PRIVILEGES, LANDLOCK, SECCOMP = "no new privileges", "landlock", "seccomp"
# The least that SANDBOX=require accepts. The other layers need privileges that a container seldom has, and what they
# forbid is forbidden by these as well.
MINIMUM = (LIMITS, NO_NEW_PRIVILEGES, LANDLOCK, SECCOMP)
OPEN_FILES = 64

# Exit codes of a locked-down process that has something to say with it.
EXCEPTION, OUT_OF_MEMORY, NOT_CLOSED = 70, 71, 78


@dataclass(frozen=True)
class Ceilings:
    """Hard limits of the kernel on one process."""

    memory_bytes: int  # of address space
    cpu_s: int  # over all threads
    file_bytes: int  # of one file that it writes

    def to_json(self) -> dict[str, int]:
        return asdict(self)

    @staticmethod
    def from_json(value: dict[str, Any]) -> Ceilings:
        return Ceilings(**value)


def begin(ceilings: Ceilings, *, layers: bool) -> list[str]:
    """First step. layers: False leaves it at the limits (SANDBOX=off). Returns the layers that are active."""
    os.umask(0o077)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # the platform signals every process; the parent decides
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent()
    resource.setrlimit(resource.RLIMIT_AS, (ceilings.memory_bytes, ceilings.memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (ceilings.cpu_s, ceilings.cpu_s + 5))
    resource.setrlimit(resource.RLIMIT_FSIZE, (ceilings.file_bytes, ceilings.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    active = [LIMITS]
    if layers and _leave_the_network():
        active.append(NETWORK)
    return active


def complete(
    write: Sequence[Path],
    *,
    read: Sequence[Path] | None,
    rules: seccomp.Rules,
    user: int | None = None,
    processes: int = 64,
) -> list[str]:
    """Second step, with everything loaded and while there is one thread. Returns the layers that are active now.

    write, read: folders; read None leaves reading as it is. user: id to become; it must succeed. processes: the most of
    that user, threads included. A layer that the system lacks is left out.
    """
    if sys.platform != "linux":
        return []
    if linux.threads() != 1:
        raise RuntimeError("a thread that runs before the sandbox is closed would stay outside of it")
    linux.prctl(linux.PR_SET_NO_NEW_PRIVS, 1)
    active = [NO_NEW_PRIVILEGES]
    if landlock.abi():
        landlock.restrict(write, read)  # before the change of the user, who may not even reach these folders
        active.append(LANDLOCK)
    if user is not None:
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
        active.append(OWN_USER)
    linux.drop_capabilities()
    linux.prctl(linux.PR_SET_DUMPABLE, 0)
    die_with_parent()  # again: the kernel forgets it when the user changes
    with contextlib.suppress(OSError):  # not in this kernel; the caller sees it missing in the list
        seccomp.install(rules)
        active.append(SECCOMP)
    return active


def missing(active: Sequence[str]) -> list[str]:
    """Layers of the minimum that are not active."""
    return [layer for layer in MINIMUM if layer not in active]


def code_folders() -> list[Path]:
    """Where Python, its packages, our own code and shared libraries are: what may be loaded later is to be found."""
    paths = sysconfig.get_paths()
    ours = [RUNNER, ROOT / "scenejobs"]
    python = [Path(sys.prefix), Path(sys.base_prefix), *(Path(paths[key]) for key in ("stdlib", "purelib", "platlib"))]
    system = [Path(folder) for folder in ("/usr/lib", "/usr/lib64", "/lib", "/lib64", "/usr/local/lib")]
    return [*ours, *python, *system, Path("/dev/null"), Path("/dev/urandom")]


def _leave_the_network() -> bool:
    """An empty network namespace; for a user without privileges inside a user namespace, where that is allowed."""
    if sys.platform != "linux":
        return False
    for flags in (0, linux.CLONE_NEWUSER):
        with contextlib.suppress(OSError):
            linux.unshare(flags | linux.CLONE_NEWNET | linux.CLONE_NEWIPC)
            return True
    return False
