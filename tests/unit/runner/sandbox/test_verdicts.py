"""However code inside the sandbox ends, it is said what that means. Real processes; see tests/hostile.py."""

from __future__ import annotations

import os
import signal
import sys

import pytest

from runner.sandbox import lockdown
from runner.sandbox.lockdown import Ceilings
from runner.sandbox.run import Bounds, run
from scenejobs.errors import Code, InputError, Interrupted, ResourceError, RunnerError
from tests.attacks import GIB, attack, needs_landlock
from tests.children import children

pytestmark = needs_landlock


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

    others = children()

    def kill(_share: float, _detail: str) -> None:
        for child in children() - others:
            os.kill(child, signal.SIGKILL)

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

    before = children()
    with pytest.raises(Interrupted):
        attack("sleep", on_progress=stop)
    assert children() == before


def test_layers_that_are_too_few_can_be_refused_before_the_file_is_looked_at() -> None:
    class Refused(Exception):
        pass

    def look(layers: list[str]) -> None:
        assert lockdown.missing(layers) == [lockdown.NO_NEW_PRIVILEGES, lockdown.LANDLOCK, lockdown.SECCOMP]
        raise Refused

    with pytest.raises(Refused):
        attack("honest_work", mode="off", on_layers=look)
