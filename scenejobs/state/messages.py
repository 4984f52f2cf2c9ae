"""Messages of the two queues: the debounce check and the job."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from scenejobs.errors import UnreadableMessage
from scenejobs.state import codec

MESSAGE_VERSION = 1
BYTE_ORDER_MARK = "\ufeff"
MAX_MESSAGE_CHARS = 24_576  # of ours, the longest holds two names of 800 characters, each of them 12 when escaped
MAX_SIZES = 8  # of uploads, in a check
MAX_SIZE_BYTES = 2**60


# ---- messages -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class DebounceCheck:
    """Delayed message, one per upload event: "look at this scene once the quiet time has passed"."""

    scene: str
    blob: str  # the upload this message stands for; "" when it stands for the scene as a whole
    seen_at: datetime  # when the event came in; MAX_WAIT counts from the oldest upload, not from here
    ready: bool = False  # an end marker was uploaded: do not wait
    ended: bool = True  # the event says that the upload of `blob` is over; False: only that it began, or goes on
    sizes: Mapping[str, int] = field(
        default_factory=dict
    )  # bytes, at the last look, of the youngest uploads (sending.mark)

    def to_json(self) -> str:
        body = {"v": MESSAGE_VERSION, "scene": self.scene, "blob": self.blob, "seen_at": self.seen_at.isoformat()}
        more = {} if self.ended else {"ended": False}
        return _dump({**body, "ready": self.ready, **more, **({"sizes": dict(self.sizes)} if self.sizes else {})})

    @staticmethod
    def from_json(text: str) -> DebounceCheck:
        """Raises UnreadableMessage."""
        body = _load(text)
        ready = body.get("ready", False)
        if not isinstance(ready, bool):
            raise UnreadableMessage("the message's field 'ready' is not true or false")
        return DebounceCheck(
            _text(body, "scene"),
            _text(body, "blob", empty=True),
            _time(body, "seen_at"),
            ready,
            body.get("ended") is not False,
            _sizes(body.get("sizes")),
        )


@dataclass(frozen=True)
class JobMessage:
    """Work message: "there is something to do for this scene". It carries no paths, URLs, commands or settings."""

    scene: str
    batch: str  # digest of the sealed uploads; for logs, the runner takes its own snapshot
    sent_at: datetime
    traceparent: str = ""  # W3C trace context of the event that caused it

    def to_json(self) -> str:
        body = {"v": MESSAGE_VERSION, "scene": self.scene, "batch": self.batch, "sent_at": self.sent_at.isoformat()}
        return _dump({**body, "traceparent": self.traceparent} if self.traceparent else body)

    @staticmethod
    def from_json(text: str) -> JobMessage:
        """Raises UnreadableMessage."""
        body = _load(text)
        return JobMessage(
            _text(body, "scene"),
            _text(body, "batch", empty=True),
            _time(body, "sent_at"),
            _text({"traceparent": "", **body}, "traceparent", empty=True),
        )


def _dump(body: dict[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=True, separators=(",", ":"))


def json_object(text: str, max_chars: int = MAX_MESSAGE_CHARS) -> dict[str, Any]:
    """The JSON object of a message: plain, or in base64 as portals and other clients send it.

    Raises UnreadableMessage.
    """
    if len(text) > max_chars:
        raise UnreadableMessage(f"the message has {len(text)} characters, more than {max_chars}")
    try:
        body = codec.loads(_decoded(text))
    except ValueError as exc:
        raise UnreadableMessage("the message is not JSON") from exc
    if not isinstance(body, dict):
        raise UnreadableMessage("the message is not a JSON object")
    return body


def as_text(text: str) -> str:
    """A message for people: the JSON that its base64 holds, where it is that; else the message itself."""
    try:
        decoded = _decoded(text)
    except ValueError:
        return text
    return decoded if decoded.startswith("{") else text


def _load(text: str) -> dict[str, Any]:
    body = json_object(text)
    version = body.get("v")
    if version != MESSAGE_VERSION or isinstance(version, bool):
        shown = repr(version)[:40] if isinstance(version, str | int | float | None) else f"a {type(version).__name__}"
        raise UnreadableMessage(f"the message's version is {shown}; this program reads {MESSAGE_VERSION}")
    return body


def _decoded(text: str) -> str:
    """Raises ValueError when it is neither."""
    text = text.strip().removeprefix(BYTE_ORDER_MARK)
    if text.startswith("{"):
        return text
    return base64.b64decode("".join(text.split()), validate=True).decode().removeprefix(BYTE_ORDER_MARK)


def _text(body: dict[str, Any], key: str, *, empty: bool = False) -> str:
    value = body.get(key)
    if not isinstance(value, str) or not (value or empty):
        raise UnreadableMessage(f"the message's field {key!r} is not a text")
    return value


def _sizes(value: object) -> dict[str, int]:
    """What cannot be read is not known: a look more."""
    if not isinstance(value, dict) or len(value) > MAX_SIZES:
        return {}
    return {mark: size for mark, size in value.items() if isinstance(size, int) and 0 <= size < MAX_SIZE_BYTES}


def _time(body: dict[str, Any], key: str) -> datetime:
    try:
        return codec.parse_time(_text(body, key))
    except ValueError as exc:
        raise UnreadableMessage(f"the message's field {key!r} is not a time with a time zone") from exc
