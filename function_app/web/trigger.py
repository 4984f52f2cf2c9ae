"""The function that answers everything below /api/. It turns what the host gives into values, and back.

One function for all routes: the table of routes is ours (routes.py), and the same on this machine.
"""

from __future__ import annotations

from urllib.parse import urlsplit

import azure.functions as func

from function_app.web import caller, routes, wiring
from function_app.web.http import Refused, Request
from scenejobs.errors import ConfigurationError
from scenejobs.settings.web import WebSettings

PREFIX = "/api/"  # of the host: host.json leaves it as it is


def blueprint(settings: WebSettings) -> func.Blueprint:
    """With keys the host itself asks for one; else it lets all in, and `caller.py` decides."""
    level = func.AuthLevel.FUNCTION if settings.auth == "keys" else func.AuthLevel.ANONYMOUS
    made = func.Blueprint()  # type: ignore[no-untyped-call]
    made.function_name("web")(made.route(route="{*path}", methods=["GET", "POST", "DELETE"], auth_level=level)(web))
    return made


def web(req: func.HttpRequest) -> func.HttpResponse:
    """Any request."""
    request = _request(req)
    try:
        found = routes.answer(wiring.site(), request)
    except ConfigurationError as exc:  # the settings are wrong: the log of the dispatcher says which
        caller.log.error("the API cannot start: %s", exc)
        found = Refused(503, "the settings of the function app are wrong; its log says what").response().guarded()
    return func.HttpResponse(found.body, status_code=found.status, headers=dict(found.headers))


def _request(req: func.HttpRequest) -> Request:
    """The path as it was sent: the host's own parameter is decoded, and %2F would be lost."""
    path = urlsplit(req.url).path
    headers = {name.lower(): text for name, text in req.headers.items()}
    return Request(req.method.upper(), path.removeprefix(PREFIX), dict(req.params), headers, req.get_body())
