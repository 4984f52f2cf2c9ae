"""Settings of who is told about scenes."""

from __future__ import annotations

from dataclasses import dataclass

from scenejobs.settings.reader import setting as _setting


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
