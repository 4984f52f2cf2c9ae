"""Settings of who is told about scenes."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from scenejobs.settings.reader import setting as _setting

TARGETS = (
    "who a scene.yaml may name under `notify`: name=address, with commas; own whsec_ key after a space; jobs: names"
)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")


@dataclass(frozen=True)
class NoticeSettings:
    """Who is told about scenes: queued, started, completed, failed, refused ([notices](notices.md))."""

    url: str = _setting("NOTIFY_URL", "https address that gets each event; none: no webhook", "")
    secret: str = _setting(
        "NOTIFY_SECRET", "key it is signed with, whsec_ and base64; in Azure a Key Vault reference", ""
    )
    secret_file: str = _setting("NOTIFY_SECRET_FILE", "file that holds it, as Docker secrets are", "")
    allow_private: bool = _setting(
        "NOTIFY_ALLOW_PRIVATE", "NOTIFY_URL may lead into a private network, and be plain http", False
    )
    topic_endpoint: str = _setting("NOTIFY_TOPIC_ENDPOINT", "endpoint of an Event Grid custom topic, CloudEvents", "")
    queue: str = _setting("NOTIFY_QUEUE", "queue of the storage account that gets each event", "")
    targets: str = _setting("NOTIFY_TARGETS", TARGETS, "")


@dataclass(frozen=True)
class NamedTarget:
    """One entry of NOTIFY_TARGETS."""

    name: str
    url: str = ""  # where only names are needed there may be none
    secret: str = ""  # its own; "": NOTIFY_SECRET


def named_targets(text: str) -> tuple[NamedTarget, ...]:
    """`team=https://host/path whsec_..., ops=https://host/other`, or names alone. Raises ValueError, which tells no
    address and no key."""
    found: dict[str, NamedTarget] = {}
    for number, entry in enumerate(filter(None, map(str.strip, text.split(","))), 1):
        name, _, rest = (part.strip() for part in entry.partition("="))
        url, *keys = rest.split() or [""]
        if not _NAME.fullmatch(name) or len(keys) > 1:
            raise ValueError(f"entry {number} is not name=address, or name=address key")
        if name in found:
            raise ValueError(f"{name} is named twice")
        found[name] = NamedTarget(name, url, *keys)
    return tuple(found.values())


def instead_of(name: str, known: tuple[str, ...]) -> str:
    """What to do about a target that is not known."""
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else "ask the operator to add it" if known else "nobody is named there"
