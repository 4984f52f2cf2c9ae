"""The table of capacity is what the script says."""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.capacity import Limits, Scene, standing, table, text

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "scale.md"


def test_the_table_is_the_one_that_the_script_prints() -> None:
    found = re.search(r"<!-- capacity -->\n(.*?)\n<!-- end -->", DOCUMENT.read_text(), re.DOTALL)
    assert found is not None
    assert found[1] == text(100, Scene(), Limits())


def test_gpus_are_the_first_wall_and_more_of_them_move_it() -> None:
    assert "GPUs" in table(100, Scene(), Limits())[0][0]
    assert "GPUs" not in table(1_000_000, Scene(), Limits())[0][0]


def test_smaller_limits_carry_less() -> None:
    small = Limits(account_requests_per_s=1000, account_bytes=1e12)
    for measure in (lambda limits: table(10**9, Scene(), limits), lambda limits: standing(Scene(), limits)):
        assert measure(small)[0][2] < measure(Limits())[0][2]
