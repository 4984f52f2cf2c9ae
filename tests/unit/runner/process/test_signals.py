"""A stop by signal sets a flag, at any moment, and a second one is immediate."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.process.signals import stop_on_signals
from scenejobs.errors import Interrupted

ROOT = Path(__file__).parents[4]


def test_a_signal_sets_the_flag_and_nothing_else() -> None:
    with stop_on_signals(signal.SIGUSR2) as stop:
        stop.check("working")
        os.kill(os.getpid(), signal.SIGUSR2)
        assert stop.wait(5)
        with pytest.raises(Interrupted, match="while working"):
            stop.check("working")


def test_the_old_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with stop_on_signals():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(("same_request_s", "code"), [(60.0, 0), (0.05, -signal.SIGTERM)])
def test_a_second_signal_is_immediate_unless_it_is_the_echo_of_the_first(same_request_s: float, code: int) -> None:
    """Container Apps signals every process, and an init forwards it once more: both come at the same time."""
    script = (
        "import time; from runner.process.signals import stop_on_signals\n"
        f"with stop_on_signals(same_request_s={same_request_s}) as stop:\n"
        "    print('ready', flush=True); stop.wait(20); print('first', flush=True); time.sleep(1.5)"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.terminate()
        process.stdout.readline()
        time.sleep(0.1)
        process.terminate()
        try:
            assert process.wait(timeout=30) == code
        finally:
            process.kill()


def test_signals_at_any_moment_do_not_lock_the_flag_up() -> None:
    """The handler runs in the middle of whatever the main thread does, waiting for the flag included."""
    script = (
        "import signal, time; from runner.process.signals import stop_on_signals\n"
        "end = time.monotonic() + 1\n"
        "with stop_on_signals(signal.SIGALRM, same_request_s=60) as stop:\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0.0003, 0.0003)\n"
        "    while time.monotonic() < end: stop.wait(0.001); stop.is_set()\n"
        "    signal.setitimer(signal.ITIMER_REAL, 0)\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=30, check=True)
