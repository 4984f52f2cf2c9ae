"""Who asks, and what they may.

entra  App Service authentication signs people and programs in before the function is called, and tells who they are
       in X-MS-CLIENT-PRINCIPAL. It strips that header from what strangers send, but only where it is switched on:
       without the platform's word for that (WEBSITE_AUTH_ENABLED) nobody is believed.
keys   The Functions host has asked for the function's key. Whoever has it may do everything.
local  Programs of this machine, and the page that they were given; over the emulator alone.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping
from email.message import Message
from enum import StrEnum
from http import HTTPStatus
from typing import Any

from function_app.web.http import Refused, Request
from scenejobs.errors import Code, ConfigurationError
from scenejobs.loopback import foreign
from scenejobs.settings.web import WebSettings
from scenejobs.state import codec

log = logging.getLogger(__name__)

PRINCIPAL = "x-ms-client-principal"
SWITCHED_ON = "WEBSITE_AUTH_ENABLED"
ON_AZURE = "WEBSITE_INSTANCE_ID"
ROLE_CLAIMS = ("roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
MAX_PRINCIPAL_CHARS = 64 * 1024
# A page of another site cannot send this header: a browser asks first whether it may, and nobody here says yes.
OWN = ("x-requested-with", "XMLHttpRequest")


class Role(StrEnum):
    """The app roles. Each may what those before it may."""

    READER = "reader"  # look
    UPLOADER = "uploader"  # send files
    OPERATOR = "operator"  # retry, delete

    def covers(self, other: Role) -> bool:
        order = list(Role)
        return order.index(self) >= order.index(other)


def check_settings(settings: WebSettings, env: Mapping[str, str], *, emulated: bool) -> None:
    """Raises ConfigurationError for a way to know who asks that would let in everybody. emulated: the storage is."""
    if settings.auth == "local" and (not emulated or env.get(ON_AZURE)):
        raise ConfigurationError(
            "WEB_AUTH=local is for the emulator on this machine: whoever asks may do everything",
            code=Code.INVALID_SETTING, advice="set WEB_AUTH=entra or WEB_AUTH=keys",
        )  # fmt: skip


def allow(settings: WebSettings, env: Mapping[str, str], request: Request, needs: Role, *, changes: bool) -> None:
    """Raises Refused where this request is not for whoever asks. changes: it is no mere look."""
    if changes and request.headers.get(OWN[0], "") != OWN[1]:
        raise Refused(HTTPStatus.FORBIDDEN, "what changes something needs a header", advice=f"send {OWN[0]}: {OWN[1]}")
    if changes and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise Refused(HTTPStatus.FORBIDDEN, "pages of other sites are not answered")
    roles = roles_of(settings, env, request)
    if not any(role.covers(needs) for role in roles):
        held = ", ".join(sorted(roles)) or "none of ours"
        raise Refused(
            HTTPStatus.FORBIDDEN, f"this needs the role {needs}; yours: {held}", code=str(Code.ACCESS_DENIED),
            advice="ask whoever runs this for the app role (docs/web.md)",
        )  # fmt: skip


def roles_of(settings: WebSettings, env: Mapping[str, str], request: Request) -> frozenset[Role]:
    """Those of whoever asks, none of ours among them. Raises Refused for nobody."""
    if settings.auth == "local":
        headers = Message()
        for name in ("host", "origin"):
            if name in request.headers:
                headers[name] = request.headers[name]
        if (refused := foreign(headers)) is not None:
            raise Refused(refused[0], refused[1])
        return frozenset(Role)
    if settings.auth == "keys":
        return frozenset(Role)
    if env.get(SWITCHED_ON, "").lower() not in ("true", "1"):
        raise Refused(
            HTTPStatus.SERVICE_UNAVAILABLE, "App Service authentication is not switched on, so nobody is known",
            advice="docs/web.md says how, or set WEB_AUTH=keys",
        )  # fmt: skip
    if PRINCIPAL not in request.headers:
        raise Refused(HTTPStatus.UNAUTHORIZED, "nobody is signed in", headers={"WWW-Authenticate": "Bearer"})
    return _app_roles(request.headers[PRINCIPAL])


def _app_roles(header: str) -> frozenset[Role]:
    """From the platform's header. Raises Refused for one that is none."""
    try:
        if len(header) > MAX_PRINCIPAL_CHARS:
            raise ValueError("it is too long")
        body: Any = codec.loads(base64.b64decode(header, validate=True))
        kinds = {*ROLE_CLAIMS, str(body.get("role_typ") or ROLE_CLAIMS[0])}
        values = {str(claim["val"]) for claim in body["claims"] if claim["typ"] in kinds}
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as exc:
        detail = "who is signed in cannot be read"
        raise Refused(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": "Bearer"}) from exc
    return frozenset(role for role in Role if role in values)
