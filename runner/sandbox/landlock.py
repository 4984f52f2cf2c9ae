"""Landlock: a process gives up the file system, but for named folders, and no child of it gets it back.

Facts from include/uapi/linux/landlock.h and Documentation/userspace-api/landlock.rst of the kernel:
  - system calls 444 (create ruleset), 445 (add rule), 446 (restrict self), the same on every architecture;
  - an access is denied only when the ruleset handles it, so each version (ABI) names the accesses it knows;
  - ABI 2 (5.19) adds REFER, 3 (6.2) TRUNCATE, 4 (6.7) TCP bind and connect, 5 (6.10) IOCTL_DEV, 6 (6.12) the scopes
    "abstract unix socket" and "signal";
  - descriptors that are open already stay usable;
  - a process in a Landlock domain cannot trace, nor read /proc/<pid>/environ or /mem of, a process outside of it;
  - it binds the calling thread and what comes after it, so it belongs before the first other thread.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Sequence
from pathlib import Path

from runner.process import linux

CREATE_RULESET, ADD_RULE, RESTRICT_SELF = 444, 445, 446
CREATE_RULESET_VERSION = 1
RULE_PATH_BENEATH = 1

EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
REMOVE_DIR, REMOVE_FILE = 1 << 4, 1 << 5
MAKE_CHAR, MAKE_DIR, MAKE_REG, MAKE_SOCK, MAKE_FIFO, MAKE_BLOCK, MAKE_SYM = (1 << bit for bit in range(6, 13))
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
NET_TCP = (1 << 0) | (1 << 1)  # bind, connect
SCOPES = (1 << 0) | (1 << 1)  # abstract unix sockets, signals

READ = READ_FILE | READ_DIR  # never EXECUTE: nothing is started from inside
CHANGE = (
    WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_CHAR | MAKE_DIR | MAKE_REG | MAKE_SOCK | MAKE_FIFO | MAKE_BLOCK
    | MAKE_SYM | REFER | TRUNCATE | IOCTL_DEV
)  # fmt: skip
OWN_FOLDER = READ_FILE | READ_DIR | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE
ON_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV  # all that a rule for a single file may hold
NEWER = {REFER: 2, TRUNCATE: 3, IOCTL_DEV: 5}  # access -> first ABI that knows it


def abi() -> int:
    """The kernel's version of Landlock; 0 where there is none or it is switched off."""
    if not linux.supported():
        return 0
    try:
        return linux.syscall(CREATE_RULESET, None, 0, CREATE_RULESET_VERSION)
    except OSError:
        return 0


def known(accesses: int, version: int) -> int:
    """Those of the accesses that this ABI can handle."""
    for access, first in NEWER.items():
        if version < first:
            accesses &= ~access
    return accesses


def restrict(write: Sequence[Path], read: Sequence[Path] | None) -> int:
    """From here on: changes only below `write`, reading only below `read` and `write`; no program is started.

    Where the kernel knows how: no TCP, no signals to others, no abstract sockets of others.

    read: None leaves reading as it is. Folders that do not exist are passed over. Needs no_new_privs. Returns the ABI.
    Raises OSError where the kernel refuses.
    """
    version = abi()
    if version == 0:
        raise OSError("this kernel has no Landlock")
    handled = known(CHANGE | EXECUTE if read is None else CHANGE | EXECUTE | READ, version)
    attributes = struct.pack("=Q", handled)
    if version >= 4:
        attributes += struct.pack("=Q", NET_TCP)
    if version >= 6:
        attributes += struct.pack("=Q", SCOPES)
    ruleset = linux.syscall(CREATE_RULESET, ctypes.create_string_buffer(attributes), len(attributes), 0)
    try:
        for folders, allowed in ((write, OWN_FOLDER), (read or (), READ)):
            for folder in folders:
                _allow(ruleset, folder, known(allowed, version) & handled)
        linux.syscall(RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    return version


def _allow(ruleset: int, folder: Path, accesses: int) -> None:
    try:
        descriptor = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    except (FileNotFoundError, PermissionError):  # what cannot be reached needs no rule
        return
    try:
        if not folder.is_dir():
            accesses &= ON_FILES
        rule = struct.pack("=Qi", accesses, descriptor)  # struct landlock_path_beneath_attr is packed
        linux.syscall(ADD_RULE, ruleset, RULE_PATH_BENEATH, ctypes.create_string_buffer(rule), 0)
    finally:
        os.close(descriptor)
