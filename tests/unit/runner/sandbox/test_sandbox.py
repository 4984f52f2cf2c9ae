"""Code inside the sandbox tries to get out. Real processes; see tests/hostile.py."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from runner.sandbox import lockdown
from runner.sandbox.run import own_user
from scenejobs.errors import Code, InputError
from tests.attacks import ROOT, attack, needs_landlock, refused

pytestmark = needs_landlock


def any_user_does(script: str, path: Path) -> bool:
    """Whether a shell script on a path ($1) succeeds without a sandbox, for a user like the sandbox's own."""
    user = own_user()
    other: dict[str, Any] = {} if user is None else {"user": user, "group": user, "extra_groups": []}
    command = ["/bin/sh", "-c", script, "sh", str(path)]
    return subprocess.run(command, cwd="/", capture_output=True, check=False, **other).returncode == 0


@contextmanager
def canary() -> Iterator[tuple[int, socket.socket]]:
    """A server on this machine that must not be reached."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        yield server.getsockname()[1], server


def was_reached(server: socket.socket) -> bool:
    try:
        server.accept()[0].close()
    except BlockingIOError:
        return False
    return True


# ---- what it is there for -------------------------------------------------------------------------------------------


def test_honest_work_gets_done_with_threads_and_files_of_its_own(own: Path) -> None:
    layers: list[str] = []
    assert attack("honest_work", own, on_layers=layers.extend) == {"done": "frame"}
    assert (own / "frame.png").read_text() == "frame"
    assert (own / "frame.png").stat().st_uid == os.getuid(), "the file is not this user's"
    assert lockdown.missing(layers) == []
    if os.getuid() == 0:
        assert {lockdown.OWN_USER, lockdown.NETWORK} <= set(layers)


# ---- what it must not do --------------------------------------------------------------------------------------------


PARENT = """
import json, sys
from pathlib import Path
from tests.attacks import attack
print(json.dumps(attack(sys.argv[1], mode=sys.argv[2])))
"""


def attack_on_a_parent_with_a_secret(name: str, mode: str) -> str:
    env = {"PATH": os.environ["PATH"], "IDENTITY_ENDPOINT": "http://127.0.0.1:1", "IDENTITY_HEADER": "canary-secret"}
    command = [sys.executable, "-c", PARENT, name, mode]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", ["parent_environment", "own_environment"])
def test_the_secrets_of_the_parent_are_out_of_reach(name: str) -> None:
    seen = attack_on_a_parent_with_a_secret(name, "auto")
    assert "canary-secret" not in seen
    assert "IDENTITY" not in seen


@pytest.mark.skipif(os.getuid() != 0, reason="the parent's environment is open to its own user and to root only")
def test_without_the_sandbox_the_secrets_would_be_seen() -> None:
    """Shows that the test above can fail."""
    assert "canary-secret" in attack_on_a_parent_with_a_secret("parent_environment", "off")


@pytest.mark.parametrize("name", ["parent_memory", "parent_descriptors"])
def test_the_parent_cannot_be_looked_into(name: str) -> None:
    assert refused(attack(name))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "169.254.169.254"])
def test_no_server_is_reached(host: str) -> None:
    with canary() as (port, server):
        assert refused(attack("connect", host=host, port=port))
        assert refused(attack("datagram", port=port))
        assert not was_reached(server)


def test_without_the_sandbox_the_server_would_be_reached() -> None:
    with canary() as (port, server):
        assert attack("connect", mode="off", host="127.0.0.1", port=port) == {"done": "connected"}
        assert was_reached(server)


def test_no_socket_of_another_kind_is_opened(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        os.chmod(tmp_path / "s", 0o777)
        assert refused(attack("local_socket", path=str(tmp_path / "s")))
    assert refused(attack("netlink"))


def test_no_file_of_another_is_read(everybodys: Path) -> None:
    """Not of the system, not of another job, not by links, not even where the file system would allow it."""
    own, secret = everybodys / "own", everybodys / "other-job.txt"
    secret.write_text("canary-secret")
    secret.chmod(0o644)
    open_files = (Path("/etc/passwd"), secret, own / ".." / secret.name)
    for path in (*open_files, Path("/etc/shadow"), Path("/proc/self/environ")):
        for name in ("read_file", "link", "symbolic_link"):
            assert refused(attack(name, own, path=str(path))), (name, path)
    for path in open_files:
        assert any_user_does('cat "$1"', path), f"{path} was closed anyhow"
    for path in (Path("/"), Path("/proc"), everybodys, Path("/tmp")):
        assert refused(attack("list_folder", own, path=str(path))), path
        assert any_user_does('ls "$1"', path), f"{path} was closed anyhow"


def test_nothing_is_written_outside_its_folder(everybodys: Path) -> None:
    """Not even where everybody may write: afterwards each path is written by a user who owns nothing."""
    own, other = everybodys / "own", everybodys / "other"
    other.write_text("as it was")
    other.chmod(0o666)
    elsewhere = Path(tempfile.gettempdir(), f"{everybodys.name}-new")
    paths = (other, everybodys / "new", own / ".." / "new", elsewhere, Path("/dev/null"))
    try:
        for path in paths:
            assert refused(attack("write_file", own, path=str(path))), path
        assert refused(attack("remove_file", own, path=str(other)))
        assert refused(attack("device", own))
        assert other.read_text() == "as it was"
        assert sorted(path.name for path in everybodys.iterdir()) == ["other", "own"]
        assert not elsewhere.exists()
        for path in paths:
            assert any_user_does('printf x > "$1" && { [ -c "$1" ] || rm "$1"; }', path), f"{path} was closed anyhow"
    finally:
        elsewhere.unlink(missing_ok=True)


def test_without_a_folder_nothing_is_written_at_all(everybodys: Path) -> None:
    assert refused(attack("write_file", path=str(everybodys / "new")))
    assert any_user_does('printf x > "$1"', everybodys / "new")


@pytest.mark.parametrize("name", ["fork", "fork_by_number", "start_program"])
def test_no_process_is_started(name: str) -> None:
    assert refused(attack(name))


@pytest.mark.parametrize("name", ["kill_parent", "kill_parent_by_number", "kill_everybody", "limits_of_parent"])
def test_no_other_process_is_signalled_or_limited(name: str) -> None:
    received: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, _frame: received.append(number))
    try:
        assert refused(attack(name))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert received == []


@pytest.mark.parametrize("name", ["become_root"])
def test_no_right_is_won_back(name: str) -> None:
    assert refused(attack(name))


X86 = pytest.mark.skipif(os.uname().machine != "x86_64", reason="call numbers of x86_64")


@pytest.mark.parametrize(
    "name",
    [
        "become_a_shell",
        *(
            pytest.param(name, marks=X86)
            for name in (
                "trace_parent", "read_parent_by_number", "leave_namespaces", "load_kernel_code", "other_architecture",
            )
        ),
    ],
)  # fmt: skip
def test_what_no_decoder_ever_does_ends_it_at_once_and_refuses_the_video(name: str) -> None:
    with pytest.raises(InputError, match=r"view1\.mp4 tried what its sandbox forbids") as caught:
        attack(name)
    assert caught.value.code == Code.UNSAFE_VIDEO
