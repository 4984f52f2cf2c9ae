"""An event of an upload that the host tries in vain is not lost to the sweep, and whoever reads the log sees its name.

The host's tries of a blob event follow each other within a second, and then it writes base64 into its poison queue.
"""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from typing import Any

import pytest

from function_app import triggers, wiring
from function_app.given_up import PAUSES_S
from scenejobs.adapters.memory import MemoryQueue
from scenejobs.errors import AccessDenied, Busy, NotFound, SceneJobError
from tests.dispatch import World
from tests.unit.function_app.test_event_grid import GRID, encoded

NAME = "lobby/cam 1/ü.mp4"


class Failing(MemoryQueue):
    """A queue that refuses so many messages."""

    failures = 0
    error: SceneJobError = NotFound("queue debounce does not exist")

    def send(self, text: str, *, delay_s: float = 0) -> None:
        if self.failures:
            self.failures -= 1
            raise self.error
        super().send(text, delay_s=delay_s)


class Late:
    """A dispatcher whose queue of checks is not there yet, and the pauses that were made."""

    def __init__(self, failures: int, error: SceneJobError | None = None) -> None:
        self.world = World()
        self.queue = Failing("debounce", self.world.clock)
        self.queue.failures, self.queue.error = failures, error or self.queue.error
        self.pauses: list[float] = []
        app = self.world.assembled(self.world.state, self.queue, self.world.jobs)
        self.app = replace(app, pause=self.pauses.append)


def note(name: str = NAME, container: str = "input") -> bytes:
    """As host 4.1037 wrote it."""
    body = {"Type": "BlobTrigger", "FunctionId": "Host.Functions.on_upload", "BlobType": "BlockBlob",
            "ContainerName": container, "BlobName": name, "ETag": '"0x8DE2E7A6A1C6D80"'}  # fmt: skip
    return base64.b64encode(json.dumps(body, indent=2).encode())


@pytest.fixture
def handler(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The trigger's function, over a world of its own."""

    def call(name: str, late: Late, body: bytes) -> None:
        monkeypatch.setattr(wiring, "app", lambda: late.app)
        message = type("Message", (), {"get_body": lambda self: body})()
        getattr(triggers, name)._function.get_user_function()(message)

    return call


@pytest.mark.parametrize("error", [NotFound("no queue"), Busy("503"), AccessDenied("a role that is not known yet")])
def test_an_upload_whose_check_cannot_be_sent_for_seconds_waits_for_no_sweep(error: SceneJobError) -> None:
    late = Late(failures=4, error=error)
    late.app.on_upload(NAME, late.world.clock())
    assert late.queue.total() == 1
    assert len(late.pauses) == 4
    assert sorted(late.pauses) == late.pauses


def test_a_call_does_not_try_for_ever() -> None:
    late = Late(failures=99)
    with pytest.raises(NotFound):
        late.app.on_upload(NAME, late.world.clock())
    assert late.pauses == list(PAUSES_S)
    assert sum(PAUSES_S) < 60


def test_a_call_whose_tries_take_long_ends_before_the_host_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each try may take the 45 seconds that the storage client repeats in; the host ends a function after 300."""
    late, times = Late(failures=99, error=Busy("503")), iter(range(0, 10_000, 45))
    monkeypatch.setattr("function_app.given_up.time.monotonic", lambda: next(times))
    with pytest.raises(Busy):
        late.app.on_upload(NAME, late.world.clock())
    assert len(late.pauses) <= 2


def test_an_event_that_was_given_up_becomes_a_check_and_its_upload_is_named_in_the_log(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    late = Late(failures=0)
    late.world.upload(NAME, event=False)
    handler("on_upload_poison", late, note())
    (check,) = late.queue.messages
    assert json.loads(check.text)["blob"] == NAME
    (line,) = [record for record in caplog.records if record.getMessage().startswith("an upload event was given up")]
    assert NAME in line.getMessage()
    assert line.levelno == logging.WARNING


def test_while_the_check_cannot_be_sent_the_host_is_told_so(handler: Any) -> None:
    """A poison queue has none of its own: the host delivers again, a minute later, until it works."""
    late = Late(failures=1)
    with pytest.raises(NotFound):
        handler("on_upload_poison", late, note())
    handler("on_upload_poison", late, note())
    assert late.queue.total() == 1


@pytest.mark.parametrize(
    ("body", "shows"),
    [
        (note(container="other"), "other/lobby/cam 1"),
        (base64.b64encode(b'{"Type": "BlobTrigger", "BlobName": 7}'), '"BlobName": 7'),
        (b"half a mess\x00age", "half a mess"),
        (base64.b64encode(b'{"a": "line\\n\nbreak"}'), "break"),
    ],
)
def test_what_names_no_upload_of_ours_is_logged_readably_and_on_one_line(
    body: bytes, shows: str, handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    late = Late(failures=0)
    handler("on_upload_poison", late, body)
    assert late.queue.total() == 0
    (line,) = [record.getMessage() for record in caplog.records]
    assert shows in line
    assert "\n" not in line


def test_an_event_of_the_queue_that_was_given_up_becomes_a_check_too(
    handler: Any, caplog: pytest.LogCaptureFixture
) -> None:
    late = Late(failures=0)
    handler("on_event_poison", late, encoded(GRID).encode())
    (check,) = late.queue.messages
    assert json.loads(check.text)["scene"] == "lobby"
    refused = late.app.on_event(encoded(GRID | {"eventType": "x"}).encode(), late.world.clock())
    handler("on_event_poison", late, (refused or "").encode())
    assert late.queue.total() == 1
    assert "its type is 'x'" in caplog.text.replace("\\'", "'")
    assert "my-account" in caplog.text  # what was in the base64


def test_a_check_that_was_given_up_is_logged_readably(handler: Any, caplog: pytest.LogCaptureFixture) -> None:
    handler("on_quiet_poison", Late(failures=0), base64.b64encode(b'{"v": 1, "scene": "lobby"}'))
    assert '"scene": "lobby"' in caplog.text
