"""An error is the same on the other side of a process, or it is said that it cannot be read."""

from __future__ import annotations

import pytest

from runner.process.error_json import dump_error, load_error
from scenejobs.errors import (
    MAX_CAUSE_BYTES,
    AccessDenied,
    Busy,
    Code,
    InputError,
    Interrupted,
    ResourceError,
    RunnerError,
    SceneJobError,
)

WHOLE = '{"kind": "InputError", "stage": "", "code": "TOO_SHORT", "cause": "c", "advice": "a"'


@pytest.mark.parametrize(
    "error",
    [
        InputError("c", advice="a", code=Code.TOO_SHORT, stage="frame_extraction"),
        AccessDenied("c", advice="a"),
        ResourceError("c", code=Code.OUT_OF_MEMORY),
        Interrupted("c", stage="training"),
        RunnerError("ünïcode \n \x00", advice="a"),
    ],
)
def test_an_error_is_the_same_on_the_other_side(error: SceneJobError) -> None:
    loaded = load_error(dump_error(error))
    assert type(loaded) is type(error)
    assert loaded.failure() == error.failure()


def test_an_error_of_a_class_the_other_side_does_not_rebuild_becomes_the_nearest() -> None:
    assert load_error(dump_error(Busy("throttled"))).exit_code == 3


def test_long_texts_are_cut_on_either_side() -> None:
    assert len(load_error(dump_error(InputError("x" * 10_000))).cause) == MAX_CAUSE_BYTES
    assert len(load_error(WHOLE.replace('"c"', f'"{"x" * 10_000}"') + "}").cause) == MAX_CAUSE_BYTES


def test_what_the_next_test_damages_is_an_error_as_it_is() -> None:
    assert type(load_error(WHOLE + "}")) is InputError


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"kind": "KeyboardInterrupt"}',
        '{"kind": "InputError"}',
        "[" * 100_000,
        b"\xff",
        WHOLE + ', "more": 1}',
        WHOLE.replace("InputError", "KeyboardInterrupt") + "}",
        WHOLE.replace("TOO_SHORT", "UNHEARD_OF") + "}",
        WHOLE.replace('"c"', "1") + "}",
    ],
)
def test_a_failure_file_that_cannot_be_read_is_a_crash(text: str | bytes) -> None:
    error = load_error(text)
    assert type(error) is RunnerError
    assert error.code == Code.JOB_CRASHED
