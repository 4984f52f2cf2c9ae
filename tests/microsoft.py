"""The services of Microsoft that a login needs, on this machine: an HTTPS proxy that answers in their place.

Programs reach it by HTTPS_PROXY and trust it by REQUESTS_CA_BUNDLE, as behind a company's proxy; nothing in them is
replaced. It is the token service (one person, one tenant, refresh tokens), the list of subscriptions for `az login`,
and a blob service that refuses everybody and remembers who asked.
"""

from __future__ import annotations

import base64
import json
import re
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

LOGIN = "login.microsoftonline.com"
MANAGEMENT = "management.azure.com"
BLOBS = "shop.blob.core.windows.net"
TENANT = "11111111-1111-1111-1111-111111111111"
SUBSCRIPTION = "22222222-2222-2222-2222-222222222222"
PERSON = "33333333-3333-3333-3333-333333333333"
NAME = "ada@example.com"
REFRESH = "refresh-token-of-ada"


@dataclass
class Microsoft:
    """What was asked, and how a program gets here."""

    folder: Path
    port: int = 0
    asked: list[tuple[str, dict[str, str]]] = field(default_factory=list)  # of the token service: tenant, form
    bearers: set[str] = field(default_factory=set)  # tokens that the blob service was shown
    refused: bool = False  # the refresh token is not taken any more

    @property
    def env(self) -> dict[str, str]:
        proxy, certificate = f"http://127.0.0.1:{self.port}", str(self.folder / "ca.pem")
        return {
            "HTTPS_PROXY": proxy, "https_proxy": proxy, "REQUESTS_CA_BUNDLE": certificate, "SSL_CERT_FILE": certificate,
        }  # fmt: skip


@contextmanager
def microsoft(folder: Path) -> Iterator[Microsoft]:
    """Answers until the end of the block. folder: for the certificate."""
    state = Microsoft(folder)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_certificate(folder))
    server = _Server(("127.0.0.1", 0), type("Answers", (_Answers,), {"state": state, "context": context}))
    server.daemon_threads = True
    state.port = server.server_port
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _certificate(folder: Path) -> Path:
    """Key and certificate in one file; `ca.pem` is what a client has to trust."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in (LOGIN, MANAGEMENT, BLOBS)]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    public = made.public_bytes(serialization.Encoding.PEM)
    (folder / "ca.pem").write_bytes(public)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = folder / "server.pem"
    path.write_bytes(private + public)
    return path


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that trusts others only (telemetry of `az`) breaks off: nothing to tell."""


class _Answers(BaseHTTPRequestHandler):
    """One connection: CONNECT, then the requests within it."""

    protocol_version = "HTTP/1.1"
    state: Microsoft
    context: ssl.SSLContext

    def log_message(self, *_: Any) -> None:
        """Says nothing."""

    def do_CONNECT(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.flush()
        self.connection = self.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb")
        self.close_connection = False

    def finish(self) -> None:
        super().finish()
        self.rfile.close()
        self.connection.close()

    def do_GET(self) -> None:
        self._answer()

    do_POST = do_PUT = do_HEAD = do_DELETE = do_GET

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        host, path = self.headers["Host"].partition(":")[0], urlsplit(self.path).path
        if host == BLOBS:
            self.state.bearers.add(self.headers.get("Authorization", "").removeprefix("Bearer "))
            self._send(403, {"x-ms-request-id": "1", "x-ms-error-code": "AuthorizationPermissionMismatch"}, {})
            return
        status, answer = self._login(path, body) if host == LOGIN else self._management(path)
        self._send(status, {}, answer)

    def _send(self, status: int, headers: dict[str, str], answer: dict[str, Any]) -> None:
        data = b"" if self.command == "HEAD" else json.dumps(answer).encode()
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _management(self, path: str) -> tuple[int, dict[str, Any]]:
        if path == "/tenants":
            return 200, {"value": [{"id": f"/tenants/{TENANT}", "tenantId": TENANT, "displayName": "Example"}]}
        if path == "/subscriptions":
            of = {"tenantId": TENANT, "state": "Enabled", "displayName": "Example"}
            return 200, {"value": [{"id": f"/subscriptions/{SUBSCRIPTION}", "subscriptionId": SUBSCRIPTION, **of}]}
        return 404, {"error": {"code": "NotFound", "message": path}}

    def _login(self, path: str, body: str) -> tuple[int, dict[str, Any]]:
        tenant = path.split("/")[1]
        at = f"https://{LOGIN}/{tenant}"
        if path.endswith("/openid-configuration"):
            return 200, {
                "issuer": f"https://{LOGIN}/{TENANT}/v2.0", "authorization_endpoint": f"{at}/oauth2/v2.0/authorize",
                "token_endpoint": f"{at}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{at}/oauth2/v2.0/devicecode",
            }  # fmt: skip
        if "discovery/instance" in path:
            aliases = [LOGIN, "login.windows.net"]
            known = {"preferred_network": LOGIN, "preferred_cache": "login.windows.net", "aliases": aliases}
            return 200, {
                "tenant_discovery_endpoint": f"{at}/v2.0/.well-known/openid-configuration",
                "metadata": [known],
            }
        if path.endswith("/devicecode"):
            return 200, {
                "user_code": "A", "device_code": "B", "verification_uri": "https://example.com", "expires_in": 900,
                "interval": 1, "message": "somebody types the code A",
            }  # fmt: skip
        if re.search("userrealm", path, re.IGNORECASE):
            return 200, {"account_type": "Managed"}
        form = {name: values[0] for name, values in parse_qs(body).items()}
        self.state.asked.append((tenant, form))
        if self.state.refused:
            text = "AADSTS70043: The refresh token has expired or is invalid"
            return 400, {"error": "invalid_grant", "error_description": text}
        return 200, self._tokens(form)

    def _tokens(self, form: dict[str, str]) -> dict[str, Any]:
        now, scope = int(time.time()), form.get("scope", "")
        claims = {
            "aud": form["client_id"], "iss": f"https://{LOGIN}/{TENANT}/v2.0", "iat": now, "nbf": now, "sub": "ada",
            "exp": now + 3600, "oid": PERSON, "tid": TENANT, "preferred_username": NAME, "name": "Ada", "ver": "2.0",
        }  # fmt: skip
        return {
            "token_type": "Bearer", "scope": scope, "expires_in": 3600, "ext_expires_in": 3600,
            "access_token": f"token-{len(self.state.asked)}-for-{scope.split(' ')[0]}",
            "refresh_token": REFRESH, "foci": "1", "id_token": f"{_part({'alg': 'none'})}.{_part(claims)}.x",
            "client_info": _part({"uid": PERSON, "utid": TENANT}),
        }  # fmt: skip


def _part(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
