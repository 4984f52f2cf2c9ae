"""The differences between the implementations are said in one place, and documented."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from scenejobs.errors import Busy
from scenejobs.ports import Queues
from tests.contract.conftest import DIFFERENCES

PROTOCOL = Path(__file__).parents[2] / "docs/protocol.md"


def test_the_documented_table_is_the_suites() -> None:
    rows = re.findall(r"^\| (.+?) \| (yes)? ?\| (yes)? ?\| (yes)? ?\|$", PROTOCOL.read_text(), re.MULTILINE)
    kinds = ("azurite", "folder", "memory")
    documented = {row[0]: tuple(kind for kind, yes in zip(kinds, row[1:], strict=True) if yes) for row in rows}
    assert documented == DIFFERENCES


@pytest.mark.azurite
def test_a_message_that_is_no_xml_hides_itself_and_not_the_others(queues: Queues) -> None:
    """The emulator takes a control character, which the service refuses, and fails to hand it out again."""
    queues.jobs.send("a\x00b")
    with pytest.raises(Busy):
        queues.jobs.waiting()
    queues.jobs.receive(30)
    queues.jobs.send("good")
    message = queues.jobs.receive(30)
    assert message is not None
    assert message.text == "good"
