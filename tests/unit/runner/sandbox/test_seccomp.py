"""The filter of system calls, run by an interpreter of ten lines on both architectures, and its table of numbers."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from runner.sandbox.seccomp import (
    ALLOW,
    ARCHITECTURES,
    CLONE_THREAD,
    DECODER,
    ERRNO,
    JUMP_ANY_BIT,
    JUMP_AT_LEAST,
    JUMP_EQUAL,
    KILL_PROCESS,
    LOAD,
    NO_NETWORK,
    RETURN,
    SECCOMP,
    X32_BIT,
    Instruction,
    Rules,
    program,
)
from runner.sandbox.syscalls import CONDITIONAL, DECODING, HOSTILE, NETWORK, Table

PID = 4242
REFUSE, UNKNOWN = ERRNO | errno.EPERM, ERRNO | errno.ENOSYS
HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}
MACHINES = pytest.mark.parametrize("machine", list(ARCHITECTURES))


def verdict(code: list[Instruction], number: int, architecture: int, arguments: tuple[int, ...] = ()) -> int:
    """What the kernel would do: classic BPF as in Documentation/networking/filter.rst."""
    data = struct.pack("=IIQ6Q", number, architecture, 0, *arguments, *[0] * (6 - len(arguments)))
    accumulator = place = 0
    while True:
        operation, if_true, if_false, constant = code[place]
        place += 1
        if operation == RETURN:
            return constant
        if operation == LOAD:
            (accumulator,) = struct.unpack_from("=I", data, constant)
            continue
        holds = {
            JUMP_EQUAL: accumulator == constant,
            JUMP_AT_LEAST: accumulator >= constant,
            JUMP_ANY_BIT: bool(accumulator & constant),
        }[operation]
        place += if_true if holds else if_false


def judged(rules: Rules, machine: str, table: Table, name: str, *arguments: int) -> int | None:
    """None where the architecture has no such call."""
    number = table[name][list(ARCHITECTURES).index(machine)]
    if number is None:
        return None
    return verdict(program(rules, machine, PID), number, ARCHITECTURES[machine], arguments)


@MACHINES
def test_every_call_of_every_table_gets_its_verdict(machine: str) -> None:
    for table, expected in ((DECODING, ALLOW), (NETWORK, REFUSE), (HOSTILE, KILL_PROCESS)):
        found = {name: judged(DECODER, machine, table, name) for name in table}
        assert {name: value for name, value in found.items() if value not in (expected, None)} == {}
    assert verdict(program(DECODER, machine, PID), 9999, ARCHITECTURES[machine]) == UNKNOWN


@MACHINES
def test_reconstruction_may_do_all_but_talk_and_attack(machine: str) -> None:
    for table, expected in ((DECODING, ALLOW), (CONDITIONAL, ALLOW), (NETWORK, REFUSE), (HOSTILE, KILL_PROCESS)):
        assert {judged(NO_NETWORK, machine, table, name) for name in table} <= {expected, None}


@MACHINES
def test_threads_are_made_and_processes_are_not(machine: str) -> None:
    def clone(flags: int) -> int | None:
        return judged(DECODER, machine, CONDITIONAL, "clone", flags)

    of_glibc = 0x3D0F00  # CLONE_VM|FS|FILES|SIGHAND|THREAD|SYSVSEM|SETTLS|PARENT_SETTID|CHILD_CLEARTID
    assert of_glibc & CLONE_THREAD
    assert clone(of_glibc) == ALLOW
    assert clone(17) == REFUSE  # SIGCHLD: fork
    assert clone(0x4111) == REFUSE  # vfork
    assert judged(DECODER, machine, CONDITIONAL, "clone3") == UNKNOWN


@MACHINES
def test_only_this_process_is_signalled_and_limited(machine: str) -> None:
    assert judged(DECODER, machine, CONDITIONAL, "tgkill", PID, 1, 6) == ALLOW
    assert judged(DECODER, machine, CONDITIONAL, "tgkill", 1, 1, 9) == REFUSE
    assert judged(DECODER, machine, CONDITIONAL, "prlimit64", 0) == ALLOW
    assert judged(DECODER, machine, CONDITIONAL, "prlimit64", 1) == REFUSE
    assert judged(DECODER, machine, CONDITIONAL, "ioctl", 1, 0x5401) == ALLOW
    assert judged(DECODER, machine, CONDITIONAL, "ioctl", 1, 0x5412) == REFUSE  # TIOCSTI: types into the terminal
    assert judged(DECODER, machine, CONDITIONAL, "prctl", 15) == ALLOW
    assert judged(DECODER, machine, CONDITIONAL, "prctl", 4) == REFUSE  # PR_SET_DUMPABLE


@MACHINES
def test_calls_of_another_architecture_end_the_process(machine: str) -> None:
    code = program(DECODER, machine, PID)
    assert verdict(code, 0, 0x40000003) == KILL_PROCESS  # i386
    if machine == "x86_64":
        assert verdict(code, X32_BIT, ARCHITECTURES[machine]) == KILL_PROCESS
        assert verdict(code, 0xFFFFFFFF, ARCHITECTURES[machine]) == KILL_PROCESS


@MACHINES
def test_the_program_fits_the_kernels_bounds(machine: str) -> None:
    for rules in (DECODER, NO_NETWORK):
        code = program(rules, machine, PID)
        assert len(code) <= 4096
        assert max(max(one[1], one[2]) for one in code) <= 255


@MACHINES
def test_the_numbers_are_those_of_the_kernels_headers(machine: str) -> None:
    header = HEADERS[machine]
    if not header.exists():
        pytest.skip(f"{header} is not installed")
    text = header.read_text()
    known = {name: int(number) for name, number in re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)}
    if machine == "aarch64":  # names of the generic table for calls that 64-bit systems name otherwise
        known |= {"newfstatat": known["fstatat"]} if "fstatat" in known else {}
    column = list(ARCHITECTURES).index(machine)
    tables = {**DECODING, **CONDITIONAL, **NETWORK, **HOSTILE, "seccomp": (SECCOMP["x86_64"], SECCOMP["aarch64"])}
    ours = {name: numbers[column] for name, numbers in tables.items() if numbers[column] is not None}
    # A call newer than the installed headers is not in them.
    assert {name: number for name, number in ours.items() if known.get(name, number) != number} == {}
    assert len(known.keys() & ours.keys()) > 0.9 * len(ours)
