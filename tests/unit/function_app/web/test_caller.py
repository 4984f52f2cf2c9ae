"""Who may ask what: each route without a credential, with a wrong one, without a role, and from a foreign page."""

from __future__ import annotations

import base64
import json

import pytest

from function_app.web import caller, routes
from function_app.web.caller import Role
from function_app.web.route import Route
from scenejobs.errors import ConfigurationError
from scenejobs.settings.web import WebSettings
from tests.counting import Counts
from tests.web import OWN, SIGNED_IN, Web, principal

ENTRA = WebSettings(on=True, auth="entra")
KEYS = WebSettings(on=True, auth="keys")
IDS = [route.id for route in routes.ROUTES]


def path_of(route: Route) -> str:
    return route.path.replace("{scene}", "lobby").replace("{name}", "viewer.html")


def asked(web: Web, route: Route, headers: dict[str, str]) -> int:
    """The status. Storage was asked nothing where it is a refusal."""
    counts = Counts()
    web.over(counts.containers(web.containers))
    status = web.ask(route.method, path_of(route), None, headers).status
    assert counts.total == 0 or status not in (401, 403, 421, 503)
    return status


def entra() -> Web:
    web = Web(settings=ENTRA, env=SIGNED_IN)
    web.finished()
    return web


@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_nobody_who_is_not_signed_in_is_answered(route: Route) -> None:
    assert asked(entra(), route, {}) == 401


WRONG = {
    "no base64": "%%%", "no JSON": base64.b64encode(b"{").decode(), "no object": base64.b64encode(b"[]").decode(),
    "no claims": base64.b64encode(b'{"auth_typ": "aad"}').decode(),
    "a number": base64.b64encode(b'{"claims": 7}').decode(),
    "too long": "A" * 70_000, "deep": base64.b64encode(b"[" * 20_000).decode(),
}  # fmt: skip


@pytest.mark.parametrize("header", WRONG.values(), ids=WRONG.keys())
@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_what_does_not_say_who_is_signed_in_is_nobody(route: Route, header: str) -> None:
    assert asked(entra(), route, {"x-ms-client-principal": header}) == 401


@pytest.mark.parametrize("roles", [(), ("Owner",), ("READER",), ("reader ",)], ids=str)
@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_signed_in_without_a_role_of_ours_is_refused(route: Route, roles: tuple[str, ...]) -> None:
    assert asked(entra(), route, principal(*roles)) == 403


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_each_role_may_what_those_before_it_may(route: Route, role: Role) -> None:
    allowed = list(Role).index(role) >= list(Role).index(route.needs)
    assert (asked(entra(), route, principal(role)) != 403) is allowed


@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_the_header_of_the_platform_is_not_believed_where_the_platform_signs_nobody_in(route: Route) -> None:
    """Without App Service authentication anybody can send it."""
    for env in ({}, {"WEBSITE_AUTH_ENABLED": "False"}):
        web = Web(settings=ENTRA, env=env)
        assert asked(web, route, principal("operator")) == 503


def test_a_claim_that_only_looks_like_a_role_is_none() -> None:
    claims = [{"typ": "name", "val": "operator"}, {"typ": "groups", "val": "operator"}]
    header = base64.b64encode(json.dumps({"claims": claims, "role_typ": "roles"}).encode()).decode()
    assert entra().ask("GET", "scenes", headers={"x-ms-client-principal": header}).status == 403


@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_whoever_has_the_key_may_do_everything_for_the_host_has_asked_for_it(route: Route) -> None:
    web = Web(settings=KEYS)
    web.finished()
    assert asked(web, route, {}) not in (401, 403, 503)


FOREIGN = [
    {"host": "evil.example"}, {"host": "127.0.0.1.nip.io"}, {"origin": "http://evil.example"}, {"origin": "null"},
    {"origin": "http://127.0.0.1:9"}, {"host": ""},
]  # fmt: skip


@pytest.mark.parametrize("headers", FOREIGN, ids=str)
@pytest.mark.parametrize("route", routes.ROUTES, ids=IDS)
def test_on_a_desk_only_this_machine_is_answered(route: Route, headers: dict[str, str]) -> None:
    assert asked(Web(), route, headers) in (403, 421)


def test_a_desk_is_never_open_to_others() -> None:
    caller.check_settings(WebSettings(on=True, auth="local"), {}, emulated=True)
    for env, emulated in (({}, False), ({"WEBSITE_INSTANCE_ID": "1"}, True)):
        with pytest.raises(ConfigurationError, match="WEB_AUTH=local"):
            caller.check_settings(WebSettings(on=True, auth="local"), env, emulated=emulated)
    caller.check_settings(ENTRA, {}, emulated=False)
    assert WebSettings().auth == "entra"
    assert WebSettings().on is False


@pytest.mark.parametrize(
    "headers",
    [
        {"x-requested-with": ""},
        {"x-requested-with": "xmlhttprequest"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
    ],
    ids=str,
)
@pytest.mark.parametrize("route", [route for route in routes.ROUTES if route.changes], ids=lambda route: str(route.id))
def test_what_changes_something_is_not_done_for_a_page_of_another_site(route: Route, headers: dict[str, str]) -> None:
    """A form or an image of it can send the cookie of whoever is signed in; that header it cannot send."""
    web = entra()
    assert asked(web, route, {**principal("operator"), **headers}) == 403
    assert asked(web, route, {**principal("operator"), **OWN, "sec-fetch-site": "same-origin"}) != 403


def test_whoever_may_not_look_is_not_told_what_there_is() -> None:
    web = Web(settings=ENTRA, env=SIGNED_IN)
    assert web.ask("GET", "nothing").status == 401
    assert web.ask("POST", "scenes", headers=principal()).status == 403
    assert web.ask("GET", "nothing", headers=principal("reader")).status == 404
