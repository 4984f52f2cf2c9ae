"""Deliberately bad scenes end with the right code, or with the right cameras. All of them: `make hard`."""

from __future__ import annotations

import pytest

from tests.hard_inputs import CASES, Case, Outcome, named, run

QUICK = ("tripod", "dark", "over-exposed", "blank-wall", "smeared", "cut")  # the rest takes minutes


@pytest.mark.slow
@pytest.mark.parametrize("case", named(QUICK), ids=lambda case: case.name)
def test_a_bad_scene_is_stopped_with_the_right_code_or_rescued_with_the_right_cameras(case: Case, tmp_path):
    outcome = run(case, tmp_path)
    assert outcome.wrong(case) == "", outcome


def test_every_way_to_be_wrong_is_called_so():
    """A wrong scene that passes is the failure nobody would notice: the measure must."""
    may_pass = next(case for case in CASES if case.name == "forward")
    must_stop = next(case for case in CASES if case.name == "dark")
    right = Outcome(None, "", 1.0, position=0.01, angle_deg=0.1)
    assert right.wrong(may_pass) == ""
    assert right.wrong(must_stop) == "passed"
    assert Outcome(None, "", 1.0, position=0.2, angle_deg=0.1).wrong(may_pass).startswith("cameras are off by 20%")
    assert Outcome(None, "", 1.0, position=0.01, angle_deg=0.1, foreign=3).wrong(may_pass).startswith("3 frames")
    assert Outcome(may_pass.codes[0], "", 1.0).wrong(may_pass) == ""
    assert Outcome(must_stop.codes[0], "a.mp4", 1.0).wrong(must_stop) == "does not say 'dark'"
    assert Outcome(may_pass.codes[0], "", 1.0).wrong(must_stop).startswith("stopped with")
