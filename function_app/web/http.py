"""Requests, answers and problems (RFC 9457) as plain values."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from typing import Any
from urllib.parse import unquote

import msgspec

from function_app.web.documents import Problem
from scenejobs.logs.redact import redact

MAX_BODY_BYTES = 256 * 1024
MAX_PATH_CHARS = 8192  # names have 1024 characters at most, and percent-encoded up to twelve for each
MOST_SEGMENTS = 300
JSON = "application/json"
# Of every answer: nothing is kept by proxies, shown in a foreign frame, taken for another type or told to other sites.
ALWAYS = {
    "Cache-Control": "private, no-cache",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


@dataclass(frozen=True)
class Request:
    """path: below /api/, percent-encoded as it was sent: "scenes/lobby". headers: with their names in small letters."""

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def segments(self) -> tuple[str, ...]:
        """Of the path, decoded once. Raises Refused."""
        if len(self.path) > MAX_PATH_CHARS or self.path.count("/") > MOST_SEGMENTS:
            raise Refused(HTTPStatus.REQUEST_URI_TOO_LONG, f"a path has {MAX_PATH_CHARS} characters at most")
        try:
            return tuple(unquote(segment, errors="strict") for segment in self.path.split("/"))
        except UnicodeDecodeError as exc:
            raise Refused(HTTPStatus.BAD_REQUEST, "the path is no UTF-8") from exc


@dataclass(frozen=True)
class Response:
    """What is answered."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @staticmethod
    def of(document: Any, status: int = HTTPStatus.OK) -> Response:
        return Response(status, msgspec.json.encode(document), {"Content-Type": JSON})

    def tagged(self, request: Request) -> Response:
        """With the ETag of its content; 304 without it where the asker has that already."""
        etag = f'"{hashlib.sha256(self.body).hexdigest()[:32]}"'
        known = [text.strip().removeprefix("W/") for text in request.headers.get("if-none-match", "").split(",")]
        if etag in known or "*" in known:
            # with the same headers: a browser takes those of a 304 for the ones it has, the page's policy among them
            return replace(self, status=HTTPStatus.NOT_MODIFIED, body=b"", headers={**self.headers, "ETag": etag})
        return replace(self, headers={**self.headers, "ETag": etag})

    def guarded(self) -> Response:
        return replace(self, headers={**ALWAYS, **self.headers})


class Refused(Exception):
    """A request that is not answered as it was meant. code, advice: as of scenejobs.errors, where there is one."""

    def __init__(
        self, status: int, detail: str, *, code: str = "", advice: str = "", headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.code, self.advice = HTTPStatus(status), redact(detail), code, redact(advice)
        self.headers = headers or {}

    def response(self) -> Response:
        body = Problem(
            title=self.status.phrase, status=self.status, detail=self.detail, code=self.code, advice=self.advice
        )
        headers = {"Content-Type": "application/problem+json", **self.headers}
        return Response(self.status, msgspec.json.encode(body), headers)
