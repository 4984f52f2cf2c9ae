"""An Event Grid custom topic (its input schema is CloudEvents 1.0), and a queue of the storage account."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from azure.core.exceptions import AzureError
from azure.core.pipeline.transport import RequestsTransport
from azure.core.rest import HttpRequest

from scenejobs.errors import InfrastructureError
from scenejobs.ports import JobQueue

SCOPE = "https://eventgrid.azure.net/.default"
CONTENT_TYPE = "application/cloudevents-batch+json; charset=utf-8"
PATH = "/api/events?api-version=2018-01-01"
Post = Callable[[str, bytes, dict[str, str]], tuple[int, str]]


@dataclass(frozen=True)
class Topic:
    """See scenejobs.ports.NoticeTarget. token: of an identity with the role EventGrid Data Sender on the topic."""

    endpoint: str
    token: Callable[[], str]
    post: Post | None = None

    def send(self, _: str, event: str, /) -> None:
        """Raises InfrastructureError where it was not taken."""
        url = self.endpoint.removesuffix("/").removesuffix("/api/events") + PATH
        body = json.dumps([json.loads(event)]).encode()
        try:
            headers = {"Content-Type": CONTENT_TYPE, "Authorization": f"Bearer {self.token()}"}
            status, said = (self.post or _post)(url, body, headers)
        except AzureError as exc:
            raise InfrastructureError(
                f"NOTIFY_TOPIC_ENDPOINT does not answer: {exc}", advice="see whether it exists"
            ) from exc
        if not 200 <= status < 300:
            advice = "give the identity EventGrid Data Sender on the topic; its input schema is CloudEventSchemaV1_0"
            raise InfrastructureError(f"NOTIFY_TOPIC_ENDPOINT answered {status}: {said[:200]!r}", advice=advice)


def _post(url: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
    with RequestsTransport(connection_timeout=10, read_timeout=10) as transport:
        answer = transport.send(HttpRequest("POST", url, content=body, headers=headers))
        return answer.status_code, answer.text()


@dataclass(frozen=True)
class Queue:
    """See scenejobs.ports.NoticeTarget."""

    queue: JobQueue

    def send(self, _: str, event: str, /) -> None:
        """Raises StorageError."""
        self.queue.send(event)
