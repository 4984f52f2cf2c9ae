"""Code inside the sandbox tries to get out, and how it ends is told. Real processes; see tests/hostile.py."""

from __future__ import annotations

import json
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

from runner.sandbox import landlock, lockdown
from runner.sandbox.lockdown import Ceilings
from runner.sandbox.run import Bounds, own_user, run
from scenejobs.errors import Code, InputError, Interrupted, ResourceError, RunnerError

ROOT = Path(__file__).parents[4]
COMMAND = (sys.executable, "-P", "-m", "tests.hostile")
GIB = 1024**3
REFUSED = {"Operation not permitted", "Permission denied", "Function not implemented"}

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or landlock.abi() < 1, reason="this kernel has no Landlock: less is closed than is asserted"
)


def attack(name: str, folder: Path | None = None, mode: str = "auto", **arguments: Any) -> Any:
    given = {key: arguments.pop(key) for key in ("on_progress", "on_layers") if key in arguments}
    bounds = Bounds(
        Ceilings(arguments.pop("memory", GIB), arguments.pop("cpu_s", 20), 1 << 20),
        wall_s=arguments.pop("wall_s", 30), silence_s=arguments.pop("silence_s", 30),
        answer_bytes=1 << 16, files=10, folder_bytes=4 << 20,
    )  # fmt: skip
    request = {"attack": name, "arguments": arguments, "writes": folder is not None}
    return run(request, about="view1.mp4", bounds=bounds, mode=mode, command=COMMAND, folder=folder, **given)


def refused(outcome: Any) -> bool:
    return outcome.get("refused") in REFUSED


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The folder that the sandbox may write to."""
    folder = tmp_path / "own"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def everybodys() -> Iterator[Path]:
    """A folder in which any user may write: the way to pytest's own is closed to others, which would refuse as well."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o777)
        (folder / "own").mkdir()
        (folder / "own").chmod(0o777)
        yield folder


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
from tests.unit.runner.sandbox.test_sandbox import attack
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


# ---- what it must not take ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["much_memory", "much_mapped_memory"])
def test_memory_beyond_the_limit_refuses_the_video(name: str) -> None:
    with pytest.raises(InputError, match=r"view1\.mp4 takes more than 1\.0 GiB of memory") as caught:
        attack(name, bytes=2 * GIB)
    assert caught.value.code == Code.TOO_LARGE


def test_processor_time_beyond_the_limit_refuses_the_video() -> None:
    with pytest.raises(InputError, match=r"more than 1 s of computing") as caught:
        attack("spin", cpu_s=1)
    assert caught.value.code == Code.TOO_LARGE


def test_a_decoder_that_hangs_is_ended() -> None:
    with pytest.raises(InputError, match=r"did not come to a picture for 1 s") as caught:
        attack("sleep", silence_s=1)
    assert caught.value.code == Code.UNSAFE_VIDEO


def test_reports_do_not_prolong_the_time_and_cannot_forge_lines() -> None:
    details: set[str] = set()
    with pytest.raises(InputError, match=r"takes more than 1 s") as caught:
        attack("chatter", wall_s=1, silence_s=30, on_progress=lambda _share, detail: details.add(detail))
    assert caught.value.code == Code.TOO_LARGE
    assert "\\x1b[2J\\nforged line" in details


@pytest.mark.parametrize("name", ["flood", "complain"])
def test_a_flood_of_words_is_thrown_away(name: str) -> None:
    """The parent's memory does not grow: 65 MB/s and more would show."""
    before = _resident_bytes()
    with pytest.raises(InputError):
        attack(name, wall_s=1)
    assert _resident_bytes() - before < 64 << 20


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(os.getuid() != 0, reason="without a user of its own its threads are bounded by memory")
def test_threads_are_bounded() -> None:
    assert int(attack("many_threads", memory=4 * GIB)["done"].split()[0]) < 64


def test_a_file_beyond_its_size_is_not_written(own: Path) -> None:
    assert attack("large_file", own) == {"refused": "File too large"}
    assert (own / "large").stat().st_size <= 1 << 20


def test_folders_are_not_made(own: Path) -> None:
    """A tree thousands deep could not be removed."""
    assert refused(attack("folder", own))


@pytest.mark.parametrize("name", ["many_files", "many_files_and_an_end"])
def test_more_files_than_asked_for_refuse_the_video(own: Path, name: str) -> None:
    with pytest.raises(InputError, match=r"wrote more than it was asked for") as caught:
        attack(name, own)
    assert caught.value.code == Code.UNSAFE_VIDEO


# ---- how it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "how"), [("abort", "SIGABRT"), ("segfault", "SIGSEGV")])
def test_a_crash_refuses_the_video_and_is_not_tried_again(name: str, how: str) -> None:
    with pytest.raises(InputError, match=rf"view1\.mp4 died of {how}") as caught:
        attack(name)
    assert caught.value.code == Code.UNSAFE_VIDEO
    assert caught.value.advice


def test_an_end_without_an_answer_refuses_the_video() -> None:
    with pytest.raises(InputError, match="without an answer"):
        attack("leave")


def test_a_kill_from_outside_is_the_machines_fault_and_is_tried_again() -> None:
    """The out-of-memory killer of the system takes whom it likes."""

    children = Path(f"/proc/self/task/{os.getpid()}/children")
    others = children.read_text().split()  # an emulator of other tests

    def kill(_share: float, _detail: str) -> None:
        for child in set(children.read_text().split()).difference(others):
            os.kill(int(child), signal.SIGKILL)

    with pytest.raises(ResourceError) as caught:
        attack("sleep", on_progress=kill)
    assert caught.value.code == Code.OUT_OF_MEMORY


def test_an_exception_of_ours_is_a_bug() -> None:
    with pytest.raises(RunnerError, match="AttributeError") as caught:
        run(
            {"action": "survey"}, about="view1.mp4", mode="auto", command=(sys.executable, "-P", "-c", RAISES),
            bounds=Bounds(Ceilings(GIB, 10, 0), 30, 30, 1 << 16, 0, 0),
        )  # fmt: skip
    assert caught.value.code == Code.BUG


RAISES = "import sys\ntry:\n None.x\nexcept AttributeError as e:\n print(repr(e), file=sys.stderr)\n sys.exit(70)"


def test_a_stop_ends_it_and_leaves_no_process() -> None:
    def stop(_share: float, _detail: str) -> None:
        raise Interrupted("told to stop")

    children = Path(f"/proc/self/task/{os.getpid()}/children")
    before = children.read_text()  # an emulator of other tests
    with pytest.raises(Interrupted):
        attack("sleep", on_progress=stop)
    assert children.read_text() == before


def test_layers_that_are_too_few_can_be_refused_before_the_file_is_looked_at() -> None:
    class Refused(Exception):
        pass

    def look(layers: list[str]) -> None:
        assert lockdown.missing(layers) == [lockdown.NO_NEW_PRIVILEGES, lockdown.LANDLOCK, lockdown.SECCOMP]
        raise Refused

    with pytest.raises(Refused):
        attack("honest_work", mode="off", on_layers=look)


# ---- the milder profile of structure from motion ---------------------------------------------------------------------

MILD = """
import ctypes, json, os, socket, sys
from pathlib import Path
from runner.sandbox import lockdown, seccomp
own, other = Path(sys.argv[1]), Path(sys.argv[2])
lockdown.complete([own], read=None, rules=seccomp.NO_NETWORK)
def tried(action):
    try:
        return {"done": str(action())[:20]}
    except OSError as exc:
        return {"refused": exc.strerror}
print(json.dumps({
    "read": tried(lambda: Path("/etc/hostname").exists()),
    "folder": tried(lambda: (own / "new").mkdir()),
    "write": tried(lambda: (own / "new" / "file").write_text("x")),
    "socket": tried(lambda: socket.socket(socket.AF_INET)),
    "local": tried(lambda: socket.socket(socket.AF_UNIX)),
    "outside": tried(lambda: (other / "file").write_text("x")),
    "environment": tried(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()),
    "dumpable": tried(lambda: ctypes.CDLL(None).prctl(3)),
}), flush=True)
os.execv("/bin/sh", ["sh", "-c", "echo started"])
"""


def test_reconstruction_writes_its_workspace_and_has_no_network_and_starts_nothing(own: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MILD, str(own), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    assert found.pop("dumpable") == {"done": "0"}, "others of its user may look into it"
    assert {name for name, outcome in found.items() if "done" in outcome} == {"read", "folder", "write"}
    assert all(refused(found[name]) for name in ("socket", "local", "outside", "environment"))
    assert done.returncode == -signal.SIGSYS
    assert "started" not in done.stdout


# ---- without root ---------------------------------------------------------------------------------------------------

SYSTEM_PYTHON = "/usr/bin/python3"
AS_A_USER = """
import json, os, sys
from pathlib import Path
from runner.process import linux
from tests.unit.runner.sandbox import test_sandbox as t
os.chdir(sys.argv[1])
os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
t.COMMAND = (t.SYSTEM_PYTHON, "-P", "-m", "tests.hostile")
own = Path(sys.argv[1]) / "own"
own.mkdir()
(Path(sys.argv[1]) / "other").write_text("canary-secret")
linux.prctl(linux.PR_SET_DUMPABLE, 1)  # as after a start; the change of the user above cleared it
before = t.attack("parent_environment", mode="off")
linux.harden_against_neighbours()
print(json.dumps({
    "open": before,
    "hardened": t.attack("parent_environment", mode="off"),
    "layers": t.layers_of(own),
    "attacks": {
        name: t.attack(name, own, **arguments) for name, arguments in {
            "honest_work": {}, "parent_environment": {}, "parent_memory": {}, "fork": {}, "kill_parent": {},
            "connect": {"host": "127.0.0.1", "port": 9}, "read_file": {"path": sys.argv[1] + "/other"},
            "write_file": {"path": sys.argv[1] + "/other"},
        }.items()
    },
}))
"""


def layers_of(own: Path) -> list[str]:
    layers: list[str] = []
    attack("honest_work", own, on_layers=layers.extend)
    return layers


def _system_python_is_new_enough() -> bool:
    if not Path(SYSTEM_PYTHON).exists():
        return False
    asked = [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "True"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
@pytest.mark.skipif(not _system_python_is_new_enough(), reason="needs a Python that other users can reach")
def test_a_user_without_privileges_is_closed_in_by_the_other_layers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As in a container that runs as user 10001: parent and decoder are the same user.

    And a runner that has hardened itself is closed even to a neighbour without any sandbox.
    """
    folder = tmp_path_factory.mktemp("user")
    for path in (folder, *folder.parents):
        if path.owner() == "root" and str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", AS_A_USER, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "done" in found["open"]
    assert refused(found["hardened"])
    assert lockdown.missing(found["layers"]) == []
    assert lockdown.OWN_USER not in found["layers"]
    assert found["attacks"].pop("honest_work") == {"done": "frame"}
    assert {name: outcome for name, outcome in found["attacks"].items() if not refused(outcome)} == {}


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be root without rights")
def test_root_without_capabilities_does_its_work_as_any_user(own: Path) -> None:
    """As in a container with `--user 0 --cap-drop ALL`: it may not become another user, which ended every decoder."""
    program = (
        "import sys; from pathlib import Path\n"
        "from runner.process import linux; from runner.sandbox import run as sandbox\n"
        "from tests.unit.runner.sandbox.test_sandbox import attack\n"
        "assert sandbox.own_user() is not None\n"
        "linux.drop_capabilities(); assert sandbox.own_user() is None\n"
        "print(attack('honest_work', Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(own)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{'done': 'frame'}\n", done.stderr
