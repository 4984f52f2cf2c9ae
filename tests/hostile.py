"""What a decoder does that a hostile video took over: `python -m tests.hostile <descriptor of the answers' pipe>`.

Closes itself in like the decoder process, then tries one attack and tells how far it came: {"done": what} where it
worked, {"refused": which error} where not. Standard library only, so that any Python of the system can run it.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from runner.sandbox import lockdown
from runner.sandbox.seccomp import DECODER

LIBC = ctypes.CDLL(None, use_errno=True)
X32_GETPID = 0x40000000 + 39
SYS_FORK, SYS_CLONE, SYS_PTRACE, SYS_TGKILL, SYS_PROCESS_VM_READV, SYS_UNSHARE, SYS_BPF = (
    57,
    56,
    101,
    234,
    310,
    272,
    321,
)


def call(number: int, *arguments: Any) -> int:
    result: int = LIBC.syscall(number, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def send(pipe: int, message: Any) -> None:
    os.write(pipe, json.dumps(message).encode() + b"\n")


class Attacks:
    """Each public method is one attack."""

    def __init__(self, pipe: int, arguments: dict[str, Any]) -> None:
        self._pipe = pipe
        self._arguments = arguments
        self._parent = os.getppid()

    # ---- reading what is not its own ----

    def parent_environment(self) -> str:
        return Path(f"/proc/{self._parent}/environ").read_bytes().decode(errors="replace")

    def parent_memory(self) -> str:
        with open(f"/proc/{self._parent}/mem", "rb"):
            return "opened"

    def parent_descriptors(self) -> list[str]:
        return os.listdir(f"/proc/{self._parent}/fd")

    def own_environment(self) -> dict[str, str]:
        return dict(os.environ)

    def read_file(self) -> str:
        return Path(self._arguments["path"]).read_text()

    def list_folder(self) -> list[str]:
        return os.listdir(self._arguments["path"])

    # ---- network ----

    def connect(self) -> str:
        family = socket.AF_INET6 if ":" in self._arguments["host"] else socket.AF_INET
        with socket.socket(family) as tried:
            tried.settimeout(2)
            tried.connect((self._arguments["host"], self._arguments["port"]))
        return "connected"

    def datagram(self) -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as tried:
            tried.sendto(b"secret", ("127.0.0.1", self._arguments["port"]))
        return "sent"

    def local_socket(self) -> str:
        with socket.socket(socket.AF_UNIX) as tried:
            tried.connect(self._arguments["path"])
        return "connected"

    def netlink(self) -> str:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW):
            return "opened"

    # ---- changing what is not its own ----

    def write_file(self) -> str:
        Path(self._arguments["path"]).write_text("written by the attacker")
        return "written"

    def remove_file(self) -> str:
        os.unlink(self._arguments["path"])
        return "removed"

    def link(self) -> str:
        os.link(self._arguments["path"], "linked")
        return Path("linked").read_text()

    def symbolic_link(self) -> str:
        os.symlink(self._arguments["path"], "linked")
        return Path("linked").read_text()

    def device(self) -> str:
        os.mknod("device", 0o600 | 0o020000, os.makedev(1, 3))
        return "made"

    # ---- other processes ----

    def fork(self) -> str:
        if os.fork() == 0:
            os._exit(0)
        return "forked"

    def fork_by_number(self) -> str:
        if call(SYS_CLONE, signal.SIGCHLD, 0, 0, 0, 0) == 0:
            os._exit(0)
        return "forked"

    def start_program(self) -> str:
        return subprocess.run(["/bin/echo", "started"], capture_output=True, text=True, check=True).stdout

    def become_a_shell(self) -> str:
        os.execv("/bin/sh", ["sh", "-c", "exit 0"])

    def kill_parent(self) -> str:
        os.kill(self._parent, signal.SIGUSR2)
        return "signalled"

    def kill_parent_by_number(self) -> str:
        call(SYS_TGKILL, self._parent, self._parent, signal.SIGUSR2)
        return "signalled"

    def kill_everybody(self) -> str:
        os.kill(-1, 0)
        return "allowed"

    def trace_parent(self) -> str:
        call(SYS_PTRACE, 16, self._parent, 0, 0)
        return "attached"

    def read_parent_by_number(self) -> str:
        call(SYS_PROCESS_VM_READV, self._parent, 0, 0, 0, 0, 0)
        return "allowed"

    # ---- more rights ----

    def become_root(self) -> str:
        os.setresuid(0, 0, 0)
        return f"user {os.getuid()}"

    def leave_namespaces(self) -> str:
        call(SYS_UNSHARE, 0x10000000)
        return "left"

    def load_kernel_code(self) -> str:
        call(SYS_BPF, 0, 0, 0)
        return "allowed"

    def other_architecture(self) -> str:
        return str(call(X32_GETPID))

    def limits_of_parent(self) -> str:
        import resource

        resource.prlimit(self._parent, resource.RLIMIT_NOFILE, (10, 10))
        return "set"

    # ---- taking too much ----

    def much_memory(self) -> str:
        return f"{len(bytearray(self._arguments['bytes']))} bytes"

    def much_mapped_memory(self) -> str:
        try:
            mapped = mmap.mmap(-1, self._arguments["bytes"])
        except OSError as exc:
            raise MemoryError from exc
        return f"{len(mapped)} bytes"

    def spin(self) -> None:
        while True:
            pass

    def sleep(self) -> None:
        time.sleep(3600)

    def chatter(self) -> None:
        while True:
            send(self._pipe, {"progress": [0.5, "\x1b[2J\nforged line"]})
            time.sleep(0.01)

    def flood(self) -> None:
        while True:
            os.write(self._pipe, b"x" * 65536)

    def complain(self) -> None:
        while True:
            os.write(2, b"complaint " * 5000 + b"\n")

    def many_threads(self) -> str:
        for number in range(5000):
            try:
                threading.Thread(target=time.sleep, args=(3600,), daemon=True).start()
            except RuntimeError:
                return f"{number} threads"
        return "5000 threads"

    def large_file(self) -> str:
        with open("large", "wb") as file:
            for _ in range(100):
                file.write(bytes(1 << 20))
        return "100 MB"

    def many_files(self) -> None:
        self.many_files_and_an_end()
        time.sleep(3600)

    def many_files_and_an_end(self) -> None:
        for number in range(2000):
            Path(f"{number}").touch()

    def folder(self) -> str:
        os.mkdir("d")
        return "made"

    # ---- dying ----

    def abort(self) -> None:
        os.abort()

    def segfault(self) -> None:
        ctypes.string_at(0)

    def leave(self) -> None:
        os._exit(0)

    # ---- lying ----

    def answer(self) -> Any:
        return self._arguments["answer"]

    # ---- what it is there for ----

    def honest_work(self) -> str:
        worker = threading.Thread(target=lambda: Path("frame.png").write_text("frame"))
        worker.start()
        worker.join()
        return Path("frame.png").read_text()


def main(pipe: int) -> None:
    request = json.loads(sys.stdin.buffer.read())
    ceilings = lockdown.Ceilings.from_json(request["ceilings"])
    closed = request["mode"] != "off"
    layers = lockdown.begin(ceilings, layers=closed)
    attack = getattr(Attacks(pipe, request["arguments"]), request["attack"])
    if closed:
        write = [Path.cwd()] if request["writes"] else []
        layers += lockdown.complete(write, read=lockdown.code_folders(), rules=DECODER, user=request["user"])
    send(pipe, {"layers": layers})
    try:
        outcome = {"done": attack()}
    except MemoryError:
        os._exit(lockdown.OUT_OF_MEMORY)
    except OSError as exc:
        outcome = {"refused": exc.strerror}
    send(pipe, {"result": outcome})
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
