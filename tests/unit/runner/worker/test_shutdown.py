"""From the first signal to the end of the process there are 20 s, and nobody can use more of them than is left."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from runner.job.supervise import JobLimits, Supervision
from runner.process.signals import StopFlag
from runner.worker import shutdown
from scenejobs.errors import Interrupted
from tests.runner_world import ByHand, Cloud

ROOT = Path(__file__).parents[4]


def test_what_follows_on_each_other_fits_into_the_promised_20_s() -> None:
    """The kill may come one poll and a written stack late, the end one look."""
    assert shutdown.JOB_S + JobLimits().poll_s + 0.2 < shutdown.SAVED_S
    assert shutdown.SAVED_S + 5 < shutdown.GONE_S, "nothing is left for giving back"
    assert shutdown.GONE_S + 2 * shutdown.LOOK_S < 20


def test_the_budget_counts_from_the_first_signal() -> None:
    now = [100.0]
    stop = StopFlag(lambda: now[0])
    assert (stop.signalled_s(), stop.stopped_s(), shutdown.job_left_s(stop)) == (None, None, float("inf"))
    stop.set()
    now[0] += 3
    stop.set()
    assert (stop.signalled_s(), stop.stopped_s(), shutdown.job_left_s(stop)) == (3, 3, 5)
    now[0] += 30
    assert shutdown.job_left_s(stop) == 0


def test_the_end_of_an_execution_counts_like_a_signal_but_has_no_last_resort() -> None:
    """The platform comes two minutes later only."""
    now, codes = [0.0], list[int]()
    stop = StopFlag(lambda: now[0])
    stop.end_in(100)
    look = watching(stop, codes)
    now[0] = 99.0
    assert stop.stopped_s() is None
    now[0] = 102.0
    assert (stop.stopped_s(), stop.signalled_s(), shutdown.job_left_s(stop)) == (2, None, 6)
    now[0] = 140.0
    look()
    assert codes == []
    stop.set()
    now[0] += 1
    assert (stop.stopped_s(), stop.signalled_s()) == (41, 1)


def watching(stop: StopFlag, codes: list[int]) -> Callable[[], None]:
    """The watch's look, to be called by hand."""
    threads = ByHand()
    shutdown.last_resort(stop, leave=codes.append, repeat=threads)
    return threads.acts["last resort"]


def test_the_last_resort_waits_for_its_time() -> None:
    now, codes = [0.0], list[int]()
    stop = StopFlag(lambda: now[0])
    look = watching(stop, codes)
    look()
    stop.set()
    now[0] = 18.9
    look()
    assert codes == []
    now[0] = 19.0
    look()
    assert codes == [143]


def test_a_runner_that_hangs_is_gone_all_the_same() -> None:
    """Its main thread waits for something that never comes, and cannot even be interrupted."""
    script = (
        "import os, signal, threading\n"
        "from runner.process.signals import stop_on_signals\n"
        "from runner.worker.shutdown import last_resort\n"
        "with stop_on_signals() as stop:\n"
        "    last_resort(stop, after_s=0.5)\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "    while True: threading.Event().wait()\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, timeout=60, capture_output=True, text=True)
    assert done.returncode == Interrupted.exit_code
    assert "left to its lease" in done.stderr


def test_a_job_is_told_what_is_left_of_the_runners_time(tmp_path: Path) -> None:
    now = [0.0]
    cloud = Cloud(tmp_path)
    cloud.stop = StopFlag(lambda: now[0])
    cloud.upload("lobby/a.mp4", b"a")
    cloud.queue("lobby")

    def stopped(job: object, supervision: Supervision) -> dict[str, object]:
        assert supervision.grace_left_s() == float("inf")
        cloud.stop.set()
        now[0] = 2.5
        assert supervision.grace_left_s() == shutdown.JOB_S - 2.5
        raise Interrupted("told to stop", stage="training")

    with pytest.raises(Interrupted):
        cloud.worker(stopped).drain()
