"""Notices to a webhook: read by somebody else's program for Standard Webhooks, and by one for CloudEvents."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from cloudevents.http import from_http
from standardwebhooks.webhooks import Webhook as ForeignWebhook
from standardwebhooks.webhooks import WebhookVerificationError

from scenejobs.adapters.azure.notices import Topic
from scenejobs.adapters.notices.targets import open_targets
from scenejobs.adapters.notices.webhook import Webhook, check_url, secret_of
from scenejobs.errors import ConfigurationError, InfrastructureError
from scenejobs.logs.redact import redact
from scenejobs.settings.notices import NoticeSettings
from scenejobs.settings.reader import read
from scenejobs.state.notices.events import Event, Type

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
EVENT = Event(
    Type.COMPLETED, "lobby\u00e9", "run-1", datetime(2026, 1, 2, tzinfo=UTC), {"generation": 1, "doubtful": False}
)


class Receiver(HTTPServer):
    """Keeps what it gets, and answers as it is told to."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.got: list[tuple[str, dict[str, str], bytes]] = []
        self.answer = 204
        self.location = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook?team=a"


class Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.got.append((self.path, headers, body))
        self.send_response(self.server.answer)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    def log_message(self, *_: Any) -> None:
        """Nobody reads it."""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_foreign_program_verifies_the_signature_and_reads_the_event(receiver: Receiver) -> None:
    Webhook(receiver.url, secret_of(SECRET), allow_private=True).send(EVENT.id, EVENT.to_json())
    [(path, headers, body)] = receiver.got
    assert path == "/hook?team=a"
    assert headers["webhook-id"] == EVENT.id
    assert ForeignWebhook(SECRET).verify(body, headers)["subject"] == "lobby\u00e9"
    with pytest.raises(WebhookVerificationError):
        ForeignWebhook(SECRET).verify(body + b" ", headers)
    with pytest.raises(WebhookVerificationError):
        ForeignWebhook("whsec_" + base64.b64encode(bytes(32)).decode()).verify(body, headers)
    event = from_http(headers, body)
    assert (event["specversion"], event["type"]) == ("1.0", "video-splat.SceneCompleted")
    assert (event["id"], event["source"], event["subject"]) == (EVENT.id, "/video-splat", "lobby\u00e9")
    assert event.data == {"scene": "lobby\u00e9", "generation": 1, "doubtful": False}


@pytest.mark.parametrize("answer", [301, 302, 307, 400, 404, 429, 500])
def test_what_is_not_taken_is_an_error_and_no_redirect_is_followed(receiver: Receiver, answer: int) -> None:
    receiver.answer, receiver.location = answer, receiver.url
    with pytest.raises(InfrastructureError, match=f"answered {answer}"):
        Webhook(receiver.url, allow_private=True).send(EVENT.id, EVENT.to_json())
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.0.0.4", "192.168.1.1", "169.254.169.254", "::1", "fd00::1", "::ffff:10.0.0.1", "0.0.0.0"],
)
def test_a_private_address_is_refused_unless_it_is_allowed(receiver: Receiver, address: str) -> None:
    """Also where a public one was found beside it: which of them is asked is nothing to rely on."""
    hook = Webhook(receiver.url, lookup=lambda host, port: ["93.184.216.34", address])
    with pytest.raises(InfrastructureError, match="NOTIFY_ALLOW_PRIVATE"):
        hook.send(EVENT.id, EVENT.to_json())
    assert receiver.got == []


def test_nobody_who_answers_is_an_error() -> None:
    with pytest.raises(InfrastructureError, match="does not answer"):
        Webhook("http://127.0.0.1:9/", allow_private=True).send(EVENT.id, EVENT.to_json())


@pytest.mark.parametrize(
    "url",
    ["http://example.org/", "ftp://example.org/", "https://", "https://a:b@example.org/", "https://example.org:x/"],
)
def test_an_address_that_may_not_be_used_stops_the_program(url: str) -> None:
    with pytest.raises(ConfigurationError, match="NOTIFY_URL"):
        check_url(url, allow_private=False)


@pytest.mark.parametrize("text", ["whsec_short", "whsec_" + base64.b64encode(bytes(8)).decode(), "whsec_!!!"])
def test_a_secret_that_is_none_stops_the_program_and_is_not_told(text: str) -> None:
    with pytest.raises(ConfigurationError, match="NOTIFY_SECRET is not") as found:
        open_targets(NoticeSettings(url="https://example.org/", secret=text))
    assert text not in str(found.value)


def test_the_secret_comes_from_a_file_and_is_in_no_log(tmp_path: Any) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")
    env = {"NOTIFY_URL": "https://example.org/", "NOTIFY_SECRET_FILE": str(tmp_path / "secret")}
    targets = open_targets(read(NoticeSettings, env))
    assert list(targets) == ["webhook"]
    assert "secret" not in repr(targets).lower()
    assert SECRET not in redact(f"it is {SECRET}")


def test_over_folders_there_is_a_webhook_alone() -> None:
    assert open_targets(NoticeSettings()) == {}
    with pytest.raises(ConfigurationError, match="NOTIFY_QUEUE"):
        open_targets(NoticeSettings(queue="told"))


def test_a_topic_gets_a_batch_of_one_with_the_token_of_the_identity() -> None:
    sent: list[tuple[str, bytes, dict[str, str]]] = []

    def post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        sent.append((url, body, headers))
        return (200, "") if len(sent) == 1 else (403, "no role")

    topic = Topic("https://t.westeurope-1.eventgrid.azure.net/api/events", lambda: "token", post)
    topic.send(EVENT.id, EVENT.to_json())
    [(url, body, headers)] = sent
    assert url == "https://t.westeurope-1.eventgrid.azure.net/api/events?api-version=2018-01-01"
    assert headers["Content-Type"].startswith("application/cloudevents-batch+json")
    assert headers["Authorization"] == "Bearer token"
    assert json.loads(body) == [json.loads(EVENT.to_json())]
    with pytest.raises(InfrastructureError, match="EventGrid Data Sender"):
        topic.send(EVENT.id, EVENT.to_json())
