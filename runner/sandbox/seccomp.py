"""seccomp: which system calls a process may still make, as a program that the kernel runs before each of them.

Facts from include/uapi/linux/{seccomp,filter,audit}.h and Documentation/userspace-api/seccomp_filter.rst:
  - the program sees struct seccomp_data: call number at byte 0, architecture at 4, arguments (64 bits each) from 16 on;
  - it is classic BPF, at most 4096 instructions, jumps forward only, conditional ones at most 255 instructions far;
  - the architecture must be looked at first: the same number means another call on another one, and on x86_64 bit 30 of
    the number is the x32 variant;
  - pointers (paths, sockaddr, clone3's struct) cannot be looked into, so clone3 is answered "no such call" and the C
    library falls back to clone, whose flags can be seen.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import struct
from dataclasses import dataclass

from runner.process import linux
from runner.sandbox.syscalls import CONDITIONAL, DECODING, HOSTILE, NETWORK, Table

# seccomp.h
SET_MODE_FILTER, FLAG_TSYNC = 1, 1
KILL_PROCESS, ERRNO, ALLOW = 0x80000000, 0x00050000, 0x7FFF0000
SECCOMP = {"x86_64": 317, "aarch64": 277}  # number of the call itself
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}  # audit.h: AUDIT_ARCH_*
X32_BIT = 0x40000000

# bpf_common.h: BPF_LD|BPF_W|BPF_ABS; BPF_JMP with BPF_JEQ, BPF_JGE, BPF_JSET, each |BPF_K; BPF_RET|BPF_K
LOAD, JUMP_EQUAL, JUMP_AT_LEAST, JUMP_ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
NUMBER, ARCHITECTURE = 0, 4  # offsets into struct seccomp_data

CLONE_THREAD = 0x00010000  # sched.h: a thread of this process, not a new process
# asm-generic/ioctls.h: TCGETS (is it a terminal), FIONREAD, FIONCLEX, FIOCLEX (what Python sets on descriptors)
HARMLESS_IOCTLS = (0x5401, 0x541B, 0x5450, 0x5451)
HARMLESS_PRCTLS = (15, 16, 0x53564D41)  # PR_SET_NAME, PR_GET_NAME, PR_SET_VMA: threads and memory get their names

Instruction = tuple[int, int, int, int]  # code, jump if true, jump if false, constant


@dataclass(frozen=True)
class Rules:
    """What a program does with a call. Calls in no table get `otherwise`."""

    allowed: Table
    refused: Table  # EPERM
    hostile: Table  # the process is killed
    otherwise: int
    threads_only: bool  # clone only for threads, signals only to this process, no limits of others, few ioctls


DECODER = Rules(DECODING, NETWORK, HOSTILE, ERRNO | errno.ENOSYS, threads_only=True)
NO_NETWORK = Rules({}, NETWORK, HOSTILE, ALLOW, threads_only=False)


def argument(index: int) -> int:
    """Offset of the lower half of an argument; both architectures are little-endian."""
    return 16 + 8 * index


def program(rules: Rules, machine: str, pid: int) -> list[Instruction]:
    """The filter for a process with this id on this machine ("x86_64" | "aarch64")."""
    column = list(ARCHITECTURES).index(machine)
    refuse = ERRNO | errno.EPERM
    code: list[Instruction] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (JUMP_EQUAL, 1, 0, ARCHITECTURES[machine]),
        (RETURN, 0, 0, KILL_PROCESS),
        (LOAD, 0, 0, NUMBER),
    ]
    if machine == "x86_64":
        code += [(JUMP_AT_LEAST, 0, 1, X32_BIT), (RETURN, 0, 0, KILL_PROCESS)]
    if rules.threads_only:
        for name, body in _conditions(pid, refuse).items():
            number = CONDITIONAL[name][column]
            if number is not None:
                code += [(JUMP_EQUAL, 0, len(body), number), *body]
    for table, verdict in ((rules.allowed, ALLOW), (rules.refused, refuse), (rules.hostile, KILL_PROCESS)):
        for numbers in table.values():
            number = numbers[column]
            if number is not None:
                code += [(JUMP_EQUAL, 0, 1, number), (RETURN, 0, 0, verdict)]
    return [*code, (RETURN, 0, 0, rules.otherwise)]


def _conditions(pid: int, refuse: int) -> dict[str, list[Instruction]]:
    """What decides about a call by its arguments. Every body ends with a verdict."""
    return {
        "clone3": [(RETURN, 0, 0, ERRNO | errno.ENOSYS)],
        "clone": [
            (LOAD, 0, 0, argument(0)),
            (JUMP_ANY_BIT, 1, 0, CLONE_THREAD),
            (RETURN, 0, 0, refuse),
            (RETURN, 0, 0, ALLOW),
        ],
        "tgkill": _one_of(0, (pid,), refuse),  # abort() signals itself
        "prlimit64": _one_of(0, (0, pid), refuse),
        "ioctl": _one_of(1, HARMLESS_IOCTLS, refuse),
        "prctl": _one_of(0, HARMLESS_PRCTLS, refuse),
    }


def _one_of(index: int, values: tuple[int, ...], refuse: int) -> list[Instruction]:
    code: list[Instruction] = [(LOAD, 0, 0, argument(index))]
    for left, value in zip(range(len(values), 0, -1), values, strict=True):
        code.append((JUMP_EQUAL, left, 0, value))
    return [*code, (RETURN, 0, 0, refuse), (RETURN, 0, 0, ALLOW)]


def install(rules: Rules) -> None:
    """Binds every thread of this process. Needs no_new_privs. Raises OSError where the kernel has no seccomp."""
    if not linux.supported():
        raise OSError(errno.ENOSYS, "seccomp is known here for Linux on x86_64 and aarch64 only")
    machine = platform.machine()
    code = program(rules, machine, os.getpid())
    instructions = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *one) for one in code))
    length_and_address = struct.pack("@HP", len(code), ctypes.addressof(instructions))  # struct sock_fprog
    linux.syscall(SECCOMP[machine], SET_MODE_FILTER, FLAG_TSYNC, ctypes.create_string_buffer(length_and_address))
