"""Messages that nobody can misread, however they were sent and whatever else lies in the queue."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenejobs.errors import UnreadableMessage
from scenejobs.names import refusal
from scenejobs.state.messages import DebounceCheck, JobMessage

NOW = datetime(2026, 11, 1, 10, 30, 0, 250_000, tzinfo=UTC)
TEXT = st.text(alphabet=st.characters(blacklist_categories=("Cs",)), min_size=1, max_size=200)
TIMES = st.datetimes(min_value=datetime(1970, 1, 1), timezones=st.just(UTC))


@given(TEXT, st.just("") | TEXT, TIMES, st.booleans())
def test_a_check_reads_what_was_written(scene: str, blob: str, seen_at: datetime, ready: bool) -> None:
    check = DebounceCheck(scene, blob, seen_at, ready)
    assert DebounceCheck.from_json(check.to_json()) == check
    assert check.to_json().isascii()


@given(TEXT, TEXT, TIMES, st.just("") | TEXT)
def test_a_job_message_reads_what_was_written(scene: str, batch: str, sent_at: datetime, trace: str) -> None:
    message = JobMessage(scene, batch, sent_at, trace)
    assert JobMessage.from_json(message.to_json()) == message
    assert message.to_json().isascii()


GOOD: dict[str, Any] = {
    "v": 1,
    "scene": "lobby",
    "batch": "b",
    "blob": "lobby/a",
    "seen_at": "2026-11-01T10:00:00+00:00",
}
GOOD["sent_at"] = GOOD["seen_at"]


def test_times_of_other_zones_become_utc() -> None:
    seen_at = "2026-11-01T12:00:00+02:00"
    check = DebounceCheck.from_json(json.dumps({**GOOD, "seen_at": seen_at}))
    assert check.seen_at == datetime(2026, 11, 1, 10, tzinfo=UTC)
    assert check.seen_at.tzinfo is UTC


def test_fields_of_a_newer_minor_program_are_ignored() -> None:
    assert JobMessage.from_json(json.dumps({**GOOD, "colour": "red"})).scene == "lobby"


BAD_BODIES = {
    "nothing": "",
    "no JSON": "lobby",
    "base64 of no JSON": "bG9iYnk=",
    "base64 of a message without fields": "eyJ2IjoxfQ==",
    "base64 of base64 of a message": base64.b64encode(base64.b64encode(json.dumps(GOOD).encode())).decode(),
    "base64 of bytes": "//79/A==",
    "base64 of nesting": base64.b64encode(b"[" * 8000).decode(),
    "a list": "[1]",
    "a text": '"lobby"',
    "nesting": "[" * 8000,
    "a huge number": '{"v":1,"scene":' + "9" * 5000 + "}",
    "too long": json.dumps({**GOOD, "x": "y" * 25_000}),
    **{
        f"{key}={value!r}": json.dumps({**GOOD, key: value})
        for key, values in {
            "v": (None, 0, 2, "1", True, [1]),
            "scene": (None, "", 5, ["lobby"], {"a": 1}),
            "seen_at": (None, "", "yesterday", "2026-11-01T10:00:00", 5, "0001-01-01T00:00:00+14:00"),
            "sent_at": (None, "", "yesterday", "2026-11-01T10:00:00", 5, "9999-12-31T23:59:59-14:00"),
        }.items()
        for value in values
    },
}


@pytest.mark.parametrize("case", BAD_BODIES)
def test_a_message_nobody_can_act_on_is_unreadable_with_a_reason(case: str) -> None:
    """Nothing else is raised, whatever somebody put into the queue."""
    kinds = [DebounceCheck, JobMessage]
    if case.startswith("seen_at"):
        kinds = [DebounceCheck]
    if case.startswith("sent_at"):
        kinds = [JobMessage]
    for kind in kinds:
        with pytest.raises(UnreadableMessage) as error:
            kind.from_json(BAD_BODIES[case])
        assert error.value.cause


@pytest.mark.parametrize("wrap", [
    lambda text: text, lambda text: f" \n{text}\r\n", lambda text: f"\ufeff{text}",
    lambda text: base64.b64encode(text.encode()).decode(), lambda text: base64.encodebytes(text.encode()).decode(),
    lambda text: base64.b64encode(b"\xef\xbb\xbf" + text.encode()).decode(),
])  # fmt: skip
def test_a_message_is_read_however_it_was_sent(wrap: Callable[[str], str]) -> None:
    """Portals and other SDKs send base64, editors a byte order mark."""
    text = json.dumps(GOOD)
    assert JobMessage.from_json(wrap(text)) == JobMessage.from_json(text)
    assert DebounceCheck.from_json(wrap(text)) == DebounceCheck.from_json(text)


@pytest.mark.parametrize("ready", [None, 1, "true", []])
def test_ready_is_true_or_false(ready: object) -> None:
    with pytest.raises(UnreadableMessage):
        DebounceCheck.from_json(json.dumps({**GOOD, "ready": ready}))


ANY_JSON = st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))


@given(st.text() | ANY_JSON.map(json.dumps))
def test_any_text_is_a_message_or_unreadable(text: str) -> None:
    for kind in (DebounceCheck, JobMessage):
        try:
            kind.from_json(text)
        except UnreadableMessage:
            continue


@pytest.mark.parametrize("char", ["n", "界", "📱", '"'])
def test_messages_about_the_longest_names_can_be_read(char: str) -> None:
    scene = char * 500
    name = f"{scene}/{char * 519}.mp4"
    assert refusal(name) is None
    check = DebounceCheck(scene, name, NOW)
    assert DebounceCheck.from_json(check.to_json()) == check
    message = JobMessage(char * 1000, "0" * 16, NOW, "0" * 55)
    assert JobMessage.from_json(message.to_json()) == message
    assert len(message.to_json().encode()) < 48 * 1024  # what a queue takes
