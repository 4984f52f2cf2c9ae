"""The small parts around a run: signals, disk, the job's folder, the log."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runner.files.disk import require_space
from runner.job.run_log import collected, tail
from runner.job.workspace import FOLDER_PREFIX, job_folder
from runner.process.signals import stop_on_signals
from scenejobs.errors import Code, ConfigurationError, Interrupted, ResourceError

ROOT = Path(__file__).parents[4]


# ---- signals ---------------------------------------------------------------------------------------------------------


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


# ---- disk ------------------------------------------------------------------------------------------------------------


def test_a_job_that_does_not_fit_is_refused_with_the_sizes(tmp_path: Path) -> None:
    require_space(tmp_path, input_bytes=1000, reserve_gb=0)
    with pytest.raises(
        ResourceError, match=r"GB are free in .*, 1000002\.0 GB are needed \(1\.0 GB of input x 2"
    ) as caught:
        require_space(tmp_path, input_bytes=10**9, reserve_gb=1e6)
    assert caught.value.code == Code.DISK_FULL


def test_the_folder_of_a_job_is_private_and_gone_afterwards(tmp_path: Path) -> None:
    with job_folder(str(tmp_path / "base")) as folder:
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "deep" / "er").mkdir(parents=True)
    assert not folder.exists()


def test_folders_of_killed_runners_are_removed_and_those_of_living_ones_are_not(tmp_path: Path) -> None:
    abandoned = tmp_path / f"{FOLDER_PREFIX}abandoned"
    abandoned.mkdir()
    (abandoned / ".lock").touch()
    foreign = tmp_path / "holiday"
    foreign.mkdir()
    with job_folder(str(tmp_path)) as living, job_folder(str(tmp_path)):
        assert living.exists()
        assert not abandoned.exists()
    assert foreign.exists()


def test_a_workspace_that_cannot_be_used_is_a_wrong_setting(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="file"), job_folder(str(tmp_path / "file" / "below")):
        pass


# ---- log -------------------------------------------------------------------------------------------------------------


def test_what_is_logged_during_a_run_is_collected_without_secrets(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    with collected(path):
        logging.getLogger("runner.test").warning("asked https://a.example/b?sv=1&sig=c2VjcmV0c2VjcmV0&se=2")
    logging.getLogger("runner.test").warning("after")
    text = path.read_text(encoding="utf-8")
    assert "asked https://a.example/b" in text
    assert "c2VjcmV0" not in text
    assert "after" not in text


def test_the_end_of_a_long_log_is_kept_from_the_beginning_of_a_line(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    assert tail(path) == b""
    path.write_bytes(b"first\nsecond\nthird\n")
    assert tail(path) == b"first\nsecond\nthird\n"
    assert tail(path, limit_bytes=10) == b"third\n"
