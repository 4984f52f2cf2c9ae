"""Every refusal says what to do, in words of a person who films, and where that is shown."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scenejobs import filming
from scenejobs.errors import Code, Failure, InputError, RunnerError

PAGE = (Path(__file__).parents[3] / filming.PAGE).read_text(encoding="utf-8")
HEADINGS = {heading.lower().replace(" ", "-") for heading in re.findall(r"^## (.+)$", PAGE, re.MULTILINE)}


@pytest.mark.parametrize("section", filming.Section)
def test_every_section_that_an_advice_points_to_is_there(section: filming.Section) -> None:
    assert section in HEADINGS


def test_codes_with_a_section_exist() -> None:
    assert set(filming.BY_CODE) <= set(Code)


def test_a_refusal_names_its_section_in_error_json_and_on_the_command_line() -> None:
    """By the advice where that is one of ours, else by the code; also after it went through a file."""
    error = InputError("9 of 9 frames show no detail (too dark): a.mp4 0.0-2.0 s", code=Code.NO_DETAIL,
                       advice=filming.LIGHTS_ON)  # fmt: skip
    assert str(error).endswith("switch on the lights (see docs/filming.md#light)")
    assert error.failure().to_json()["see"] == "docs/filming.md#light"
    assert Failure.from_json(error.failure().to_json()).to_json()["see"] == "docs/filming.md#light"
    smeared = InputError("smeared", code=Code.NO_DETAIL, advice=filming.SLOWER_TURNS)
    assert smeared.failure().to_json()["see"] == "docs/filming.md#slowly"


def test_what_is_no_matter_of_filming_points_nowhere() -> None:
    error = RunnerError("it crashed", code=Code.JOB_CRASHED, advice="look at the log")
    assert str(error) == "it crashed: look at the log"
    assert "see" not in error.failure().to_json()
