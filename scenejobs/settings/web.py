"""Settings of the HTTP API and its page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scenejobs.settings.reader import setting as _setting


@dataclass(frozen=True)
class WebSettings:
    """Whether the function app answers people and programs, and how it knows who asks (docs/web.md)."""

    on: bool = _setting("WEB", "serve the HTTP API and the page; false: the function app has no HTTP function", False)
    auth: Literal["entra", "keys", "local"] = _setting(
        "WEB_AUTH",
        "who asks: entra: App Service authentication signs them in; keys: whoever has the function's key may do all; "
        "local: programs of this machine, over the emulator",
        "entra",
    )
    client_id: str = _setting(
        "WEB_CLIENT_ID", "client id of the identity with which the API works; default: AZURE_CLIENT_ID", ""
    )
    requests_per_minute: int = _setting(
        "WEB_REQUESTS_PER_MINUTE",
        "of one caller, by each instance; more are answered with 429; 0: no limit",
        600,
        minimum=0,
    )
