"""However a child process ends, the supervisor says why, and leaves nothing behind. Real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.process.exit_reason import BY_SUPERVISOR, Exit, ExitReason
from runner.process.supervise import KEPT_CHARS, KEPT_LINES, Child, Grace, supervise
from tests.children import children, dies, program

ROOT = Path(__file__).parents[4]
HANGS = "time.sleep(60)"


class Lines(list[bytes]):
    """What a child said."""

    def take(self, line: bytes) -> bool:
        self.append(line)
        return True


class Stop(Exception):
    """What a check raises."""


def run(
    code: str,
    *,
    request: bytes | None = None,
    on_line: Callable[[bytes], bool] = lambda _line: True,
    check: Callable[[], None] = lambda: None,
    grace: Grace | None = None,
    **changed: object,
) -> Exit:
    child = Child(program(code), {}, poll_s=0.02, **changed)  # type: ignore[arg-type]
    return supervise(child, request, on_line, check, grace)


# ---- why it ended ----------------------------------------------------------------------------------------------------


def test_a_child_that_ends_with_code_0_is_ok() -> None:
    assert run("pass") == Exit(ExitReason.OK, 0)


def test_another_code_is_a_failure() -> None:
    assert run("sys.exit(7)") == Exit(ExitReason.FAILED, 7)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM, signal.SIGRTMIN + 2])
def test_a_signal_of_its_own_is_a_crash(number: int) -> None:
    assert run(f"os.kill(os.getpid(), {int(number)})") == Exit(ExitReason.CRASHED, None, number)


def test_a_kill_by_somebody_else_is_taken_for_memory() -> None:
    end = run("os.kill(os.getpid(), signal.SIGKILL)")
    assert (end.reason, end.code, end.signal) == (ExitReason.KILLED_FOR_MEMORY, None, signal.SIGKILL)


def test_a_child_that_takes_too_long_is_ended_however_much_it_says() -> None:
    end = run("while True: say(b'x'); time.sleep(0.01)", wall_s=0.5, silence_s=30)
    assert (end.reason, end.signal) == (ExitReason.TIMED_OUT, signal.SIGKILL)


def test_a_child_without_a_sign_of_life_is_ended() -> None:
    assert run(HANGS, wall_s=60, silence_s=0.3).reason is ExitReason.SILENT


def test_a_line_that_is_no_sign_of_life_does_not_prolong_the_silence() -> None:
    code = "while True: say(b'noise'); time.sleep(0.01)"
    assert run(code, wall_s=60, silence_s=0.3, on_line=lambda line: line != b"noise").reason is ExitReason.SILENT


def test_a_child_that_says_enough_is_not_silent() -> None:
    end = run("for _ in range(12): say(b'x'); time.sleep(0.1)", silence_s=1.0)
    assert end.reason is ExitReason.OK


def test_a_child_that_leaves_no_room_is_ended() -> None:
    assert run(HANGS, has_room=lambda: False).reason is ExitReason.DISK_FULL


def test_a_child_is_stopped_when_somebody_requests_it() -> None:
    grace = Grace(b"stop\n", 0.2, stop_requested=lambda: True)
    assert run(HANGS, grace=grace).reason is ExitReason.STOPPED


def test_every_reason_of_the_supervisor_is_known_as_its_own() -> None:
    by_itself = {ExitReason.OK, ExitReason.FAILED, ExitReason.CRASHED, ExitReason.KILLED_FOR_MEMORY}
    assert set(ExitReason) == by_itself | BY_SUPERVISOR


# ---- asking before killing -------------------------------------------------------------------------------------------


def test_a_child_that_is_asked_has_time_to_end_by_itself(tmp_path: Path) -> None:
    asked: list[ExitReason] = []
    killed: list[ExitReason] = []
    grace = Grace(
        b"stop\n", 30, stop_requested=lambda: True,
        on_ask=asked.append, on_kill=lambda reason, _pid: killed.append(reason),
    )  # fmt: skip
    code = f"open({str(tmp_path / 'saved')!r}, 'wb').write(os.read(0, 64)); sys.exit(3)"
    assert run(code, grace=grace) == Exit(ExitReason.STOPPED, 3)
    assert (tmp_path / "saved").read_bytes() == b"stop\n"
    assert (asked, killed) == ([ExitReason.STOPPED], [])


@pytest.mark.parametrize(("seconds", "left_s"), [(0.2, 60.0), (60.0, 0.2)], ids=["its own time", "the time left"])
def test_a_child_that_does_not_end_in_time_is_killed(seconds: float, left_s: float) -> None:
    killed: list[ExitReason] = []
    grace = Grace(
        b"stop\n", seconds, left_s=lambda: left_s, on_kill=lambda reason, _pid: killed.append(reason)
    )  # fmt: skip
    end = run(HANGS, wall_s=0.2, grace=grace)
    assert (end.reason, end.signal) == (ExitReason.TIMED_OUT, signal.SIGKILL)
    assert killed == [ExitReason.TIMED_OUT]


# ---- what it says ----------------------------------------------------------------------------------------------------


def test_every_line_arrives_also_the_last_before_its_end() -> None:
    lines = Lines()
    assert run("for i in range(2000): say(b'%d' % i)", on_line=lines.take).reason is ExitReason.OK
    assert lines == [b"%d" % number for number in range(2000)]


def test_a_line_that_is_too_long_is_thrown_away() -> None:
    lines = Lines()
    code = "say(b'x' * 101); say(b'y' * 100); say(b'z' * 1000000); say(b'end')"
    run(code, line_bytes=100, on_line=lines.take)
    assert lines == [b"y" * 100, b"end"]


def test_lines_can_come_on_standard_output(tmp_path: Path) -> None:
    lines = Lines()
    end = run(
        "print('said', len(sys.argv)); print('complained', file=sys.stderr)", lines_on_stdout=True,
        output=tmp_path / "log", on_line=lines.take,
    )  # fmt: skip
    assert lines == [b"said 1"], "no descriptor is added to the command"
    assert (tmp_path / "log").read_text() == "complained\n"
    assert end.last_words == "complained"


def test_of_its_output_the_end_is_kept_without_secrets() -> None:
    code = """
        for number in range(1000): print(number)
        print("https://a.example/b?sv=1&sig=c2VjcmV0c2VjcmV0&se=2", file=sys.stderr)
        print("\\x1b[2J" + "x" * 10000, flush=True)
    """
    end = run(code)
    assert len(end.last_lines) == KEPT_LINES
    assert all(len(line) <= KEPT_CHARS for line in end.last_lines)
    assert "c2VjcmV0" not in end.last_words
    assert "\x1b" not in end.last_words


def test_its_output_is_appended_to_a_file(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("before\n")
    end = run("print('a' * 5000); print('last')", output=tmp_path / "log")
    assert (tmp_path / "log").read_text() == f"before\n{'a' * 5000}\nlast\n"
    assert end.last_words.endswith("a\nlast")
    assert len(end.last_words) <= 2000


def test_the_request_arrives_whole_and_its_end_is_seen() -> None:
    lines = Lines()
    request = bytes(range(1, 256)) * 4000
    code = "say(b'%d' % len(sys.stdin.buffer.read()))"
    run(code, request=request, on_line=lines.take)
    assert lines == [str(len(request)).encode()]


def test_a_child_that_ends_before_it_has_read_the_request_is_judged_by_its_end() -> None:
    assert run("sys.exit(4)", request=b"x" * 4_000_000) == Exit(ExitReason.FAILED, 4)


# ---- what it gets ----------------------------------------------------------------------------------------------------


def test_nothing_of_this_process_reaches_it_but_what_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AZURE_CLIENT_SECRET", "canary")
    with (tmp_path / "secret").open("w+") as secret, (tmp_path / "passed").open("w+") as passed:
        os.set_inheritable(secret.fileno(), True)
        said = Lines()
        code = """
            def there(number):
                try:
                    os.fstat(number)
                except OSError:
                    return False
                return True
            say(json.dumps([dict(os.environ), os.getcwd(), [there(int(number)) for number in sys.argv[1:3]]]).encode())
        """
        child = Child(
            [*program(code), str(secret.fileno()), str(passed.fileno())], {"PATH": "/bin"}, folder=tmp_path,
            descriptors=[passed.fileno()],
        )  # fmt: skip
        assert supervise(child, None, said.take).reason is ExitReason.OK
    variables, folder, there = json.loads(said[0])
    assert variables.pop("PATH") == "/bin"
    assert variables.keys() <= {"LC_CTYPE"}, "Python sets this one by itself"
    assert (folder, there) == (str(tmp_path), [False, True])


# ---- what it leaves behind -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("raising", ["check", "on_line"])
def test_what_a_check_raises_kills_the_child_and_is_passed_on(raising: str) -> None:
    def fail(*_arguments: object) -> bool:
        raise Stop

    before = children()
    callbacks = {raising: fail}
    with pytest.raises(Stop):
        run(f"say(b'x'); {HANGS}", **callbacks)  # type: ignore[arg-type]
    assert children() <= before


def test_a_process_that_it_started_dies_with_it() -> None:
    """Also when the child itself ends well, and with the pipes in the hands of the other."""
    pids = Lines()
    code = """
        if (other := os.fork()) == 0:
            time.sleep(60)
            os._exit(0)
        say(b"%d" % other)
    """
    began = time.monotonic()
    end = run(code, on_line=pids.take)
    assert end.reason is ExitReason.OK
    assert time.monotonic() - began < 30, "it waited for the other process"
    assert dies(int(pids[0]))


PARENT = f"""
    import sys
    sys.path.insert(0, {str(ROOT)!r})
    from runner.process.supervise import Child, supervise
    def show(line):
        print(line.decode(), flush=True)
        return True
    supervise(Child([sys.executable, "-P", "-c", sys.argv[1]], {{"PYTHONPATH": {str(ROOT)!r}}}), None, show)
"""
DIES_WITH_PARENT = "linux.die_with_parent()"
SEES_THE_END = "threading.Thread(target=lambda: os.read(0, 1) or os._exit(0), daemon=True).start()"


@pytest.mark.parametrize("way", [DIES_WITH_PARENT, SEES_THE_END], ids=["by the kernel", "by the end of its input"])
def test_a_child_ends_with_its_parent(way: str) -> None:
    """SIGKILL of the parent, which nobody can handle."""
    code = (
        "import os, sys, threading, time; from runner.process import linux\n"
        f"{way}\nos.write(int(sys.argv[-1]), b'%d\\n' % os.getpid()); time.sleep(60)"
    )
    command = [sys.executable, "-c", textwrap.dedent(PARENT), code]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    assert dies(pid)


def test_a_program_that_becomes_another_ends_with_its_parent() -> None:
    """As the emulators of the local cloud do: `linux.py` is run by its path, with no package of ours."""
    wrapped = (
        f"[sys.executable, '-I', '-S', {str(ROOT / 'runner/process/linux.py')!r}, str(os.getpid()), *sys.argv[1:]]"
    )
    code = f"import os, subprocess, sys; print(subprocess.Popen({wrapped}).pid, flush=True); os.read(0, 1)"
    command = [sys.executable, "-c", code, sys.executable, "-c", f"import time; {HANGS}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
        parent.wait()
    assert dies(pid)


def test_a_program_whose_parent_is_gone_is_not_started() -> None:
    command = [sys.executable, "-I", "-S", str(ROOT / "runner/process/linux.py"), "1", "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (143, b"")
