"""Addressing a blob whose name no client can address: `a/../b` exists when somebody wrote it another way.

Clients resolve dot segments before they send, so that a call meant for `a/../b` would reach `b`. Here every character
that is not plain is percent-encoded, the dots of dot segments too, and the path goes out exactly as it was signed.
Used for one thing only: removing a refused upload (`scenejobs refused`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import quote, urlsplit, urlunsplit

import requests
from azure.core.pipeline import PipelineRequest
from azure.core.pipeline.transport import RequestsTransport
from azure.storage.blob import BlobClient, ContainerClient

_NEUTRAL = "x"  # stands in for the name until the path is put in


class _Path:
    """Request hook: puts the encoded name into the path, before the request is signed."""

    def __init__(self, name: str) -> None:
        self._name = encoded(name)
        self.url = ""

    def __call__(self, request: PipelineRequest[Any]) -> None:
        parts = urlsplit(request.http_request.url)
        container, _, _ = parts.path.rpartition("/")
        self.url = urlunsplit(parts._replace(path=f"{container}/{self._name}"))
        request.http_request.url = self.url


class _Session(requests.Session):
    """`requests` decodes `%2E` again when it prepares a request; this puts back what was signed."""

    def __init__(self, path: _Path) -> None:
        super().__init__()
        self._path = path
        self.trust_env = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        request.url = self._path.url
        return super().send(request, **options)


@contextmanager
def addressed(container: ContainerClient, name: str) -> Iterator[tuple[BlobClient, Callable[[Any], None]]]:
    """A client, and the `raw_request_hook` that its one call needs to reach the blob of exactly this name."""
    path = _Path(name)
    client = BlobClient.from_blob_url(
        _neutral_url(container),
        credential=container.credential,
        transport=RequestsTransport(session=_Session(path), use_env_settings=False),
        retry_total=0,  # a retry would put the path in twice
    )
    with client:
        yield client, path


def delete_raw(container: ContainerClient, name: str, conditions: dict[str, Any]) -> None:
    """Deletes the blob of exactly this name. Raises what the SDK raises."""
    with addressed(container, name) as (client, path):
        client.delete_blob(raw_request_hook=path, **conditions)


def encoded(name: str) -> str:
    """One path: slashes separate, everything else that could be read as something is encoded."""
    return "/".join(
        quote(segment, safe="").replace(".", "%2E") if segment in (".", "..") else quote(segment, safe="")
        for segment in name.split("/")
    )


def _neutral_url(container: ContainerClient) -> str:
    parts = urlsplit(container.url)  # with the SAS, where there is one
    return urlunsplit(parts._replace(path=f"{parts.path}/{_NEUTRAL}"))
