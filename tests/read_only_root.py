"""Runs a command as on a read-only root and without rights: `python -m tests.read_only_root DIR... -- COMMAND...`.

Landlock denies every change outside of the folders; reading and starting programs stay as they are. Root becomes
nobody, or, where nobody else can reach the interpreter, loses every capability.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

from runner.process import linux
from runner.sandbox import landlock

NOBODY = 65534
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38


def main(arguments: list[str]) -> None:
    border = arguments.index("--")
    folders, command = [Path(each) for each in arguments[:border]], arguments[border + 1 :]
    handled = landlock.known(landlock.CHANGE & ~landlock.IOCTL_DEV, landlock.abi())
    ruleset = linux.syscall(landlock.CREATE_RULESET, ctypes.create_string_buffer(struct.pack("=Q", handled)), 8, 0)
    for path, allowed in [*((folder, handled) for folder in folders), (Path("/dev/null"), landlock.WRITE_FILE)]:
        descriptor = os.open(path, os.O_PATH)
        rule = ctypes.create_string_buffer(struct.pack("=Qi", allowed, descriptor))
        linux.syscall(landlock.ADD_RULE, ruleset, landlock.RULE_PATH_BENEATH, rule, 0)
    libc = ctypes.CDLL(None)
    if os.getuid() == 0 and _others_reach(Path(command[0])):
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)
    for capability in range(64):  # gone with the next program; those that the kernel does not know are an error of it
        libc.prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    linux.syscall(landlock.RESTRICT_SELF, ruleset, 0)
    os.execv(command[0], command)


def _others_reach(program: Path) -> bool:
    return all(path.stat().st_mode & 0o001 for at in (program, program.resolve()) for path in (at, *at.parents))


if __name__ == "__main__":
    main(sys.argv[1:])
