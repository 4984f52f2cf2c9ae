"""A webhook: an HTTPS address that gets each event as a POST, signed as Standard Webhooks 1.0 says.

    webhook-id          the id of the event: the same again is the same event
    webhook-timestamp   seconds since 1970, of this try
    webhook-signature   v1,<base64 of HMAC-SHA256 over "id.timestamp.body">

The address is looked up here and asked at exactly what was found: a name that leads into a private network is refused,
also one that does so only the second time. Redirects are not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from scenejobs.errors import Code, ConfigurationError, InfrastructureError

PREFIX = "whsec_"
LEAST_SECRET_BYTES, MOST_SECRET_BYTES = 24, 64  # as Standard Webhooks has them
TIMEOUT_S = 10.0
ANSWER_BYTES = 500  # of a refusal are told
CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

Lookup = Callable[[str, int], list[str]]


@dataclass(frozen=True)
class Webhook:
    """See scenejobs.ports.NoticeTarget. allow_private: addresses inside networks, and plain http to them, are fine."""

    url: str
    secret: bytes = field(repr=False, default=b"")
    allow_private: bool = False
    setting: str = "NOTIFY_URL"  # that names it
    clock: Callable[[], float] = time.time
    lookup: Lookup = lambda host, port: [
        str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    ]

    def send(self, id: str, event: str, /) -> None:
        """Raises InfrastructureError where it was not taken."""
        body, parts = event.encode(), urlsplit(self.url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
        headers = {"Content-Type": CONTENT_TYPE, **self._signed(id, body)}
        connection = _Connection(self._address(host, port), host, port, secure=parts.scheme == "https")
        try:
            connection.request("POST", (parts.path or "/") + (f"?{parts.query}" if parts.query else ""), body, headers)
            answer = connection.getresponse()
            said = answer.read(ANSWER_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as exc:
            raise InfrastructureError(
                f"{self.setting} at {host} does not answer: {exc}", advice="see whether it runs"
            ) from exc
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise InfrastructureError(
                f"{self.setting} at {host} answered {answer.status}: {said[:200]!r}", advice="see its log"
            )

    def _signed(self, id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self.clock()))
        headers = {"webhook-id": id, "webhook-timestamp": timestamp}
        if self.secret:
            digest = hmac.new(self.secret, f"{id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
            headers["webhook-signature"] = f"v1,{base64.b64encode(digest).decode()}"
        return headers

    def _address(self, host: str, port: int) -> str:
        """The first that was found. Raises InfrastructureError where one of them is private and may not be."""
        try:
            found = self.lookup(host, port)
        except OSError as exc:
            raise InfrastructureError(f"{self.setting}: {host} has no address: {exc}", advice="check its name") from exc
        private = [address for address in found if not _is_public(address)]
        if private and not self.allow_private:
            raise InfrastructureError(
                f"{self.setting}: {host} is {private[0]}, inside a private network", code=Code.ACCESS_DENIED,
                advice="set NOTIFY_ALLOW_PRIVATE=true if that is meant",
            )  # fmt: skip
        return found[0]


class _Connection(http.client.HTTPSConnection):
    """To an address that was looked up before, in the name of its host."""

    def __init__(self, address: str, host: str, port: int, *, secure: bool) -> None:
        super().__init__(host, port, timeout=TIMEOUT_S)
        self._address, self._secure = address, secure

    def connect(self) -> None:
        self.sock = socket.create_connection((self._address, self.port), TIMEOUT_S)
        if self._secure:
            self.sock = ssl.create_default_context().wrap_socket(self.sock, server_hostname=self.host)


def _is_public(address: str) -> bool:
    found = ipaddress.ip_address(address.partition("%")[0])
    mapped = getattr(found, "ipv4_mapped", None)
    return (mapped or found).is_global and not found.is_multicast


def check_url(url: str, *, allow_private: bool, setting: str = "NOTIFY_URL") -> None:
    """Raises ConfigurationError for what is no address that may be used."""
    parts = urlsplit(url)
    schemes = ("https", "http") if allow_private else ("https",)
    try:
        wrong = parts.scheme not in schemes or not parts.hostname or bool(parts.port and parts.port < 1)
    except ValueError:  # no port
        wrong = True
    if wrong or parts.username or parts.password or parts.fragment:
        raise ConfigurationError(
            f"{setting} is no {' or '.join(schemes)} address", code=Code.INVALID_SETTING,
            advice="use https://host/path, without a user, a password or a fragment",
        )  # fmt: skip


def secret_of(text: str, setting: str = "NOTIFY_SECRET") -> bytes:
    """Of `whsec_<base64>`. Raises ConfigurationError, which does not tell it."""
    try:
        secret = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        secret = b""
    if not LEAST_SECRET_BYTES <= len(secret) <= MOST_SECRET_BYTES:
        raise ConfigurationError(
            f"{setting} is not {PREFIX} and {LEAST_SECRET_BYTES} to {MOST_SECRET_BYTES} bytes in base64",
            code=Code.INVALID_SETTING, advice='make one: echo "whsec_$(openssl rand -base64 32)"',
        )  # fmt: skip
    return secret
