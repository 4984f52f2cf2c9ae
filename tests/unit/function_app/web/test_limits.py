"""Who asks too often is told so, until when, and nobody else notices; a body that is too large is not read."""

from __future__ import annotations

from dataclasses import replace

import pytest

from function_app.web.http import MAX_BODY_BYTES
from function_app.web.limits import Buckets, caller
from scenejobs.settings.web import WebSettings
from tests.counting import Counts
from tests.web import SIGNED_IN, Web, answered, principal

A_MINUTE = 60


class Limited(Web):
    """A site whose clock stands still until it is told otherwise."""

    def __init__(self, per_minute: int = A_MINUTE, **more: object) -> None:
        super().__init__(settings=WebSettings(on=True, auth="local", requests_per_minute=per_minute), **more)  # type: ignore[arg-type]
        self.now_s = 1000.0
        self.site = replace(self.site, monotonic_s=lambda: self.now_s)


def test_who_asks_too_often_is_told_when_to_ask_again_and_is_answered_then() -> None:
    web = Limited()
    for _ in range(A_MINUTE):
        web.document("scenes")
    refused = web.ask("GET", "scenes")
    problem = answered(refused, 429)
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.headers["Retry-After"] == "1"
    assert problem["status"] == 429
    assert "60 requests a minute" in problem["detail"]
    assert "ask again in 1 s" in problem["advice"]
    web.now_s += int(refused.headers["Retry-After"])
    web.document("scenes")
    answered(web.ask("GET", "scenes"), 429)
    web.now_s += 3600  # a bucket holds a minute's requests, however long nobody asked
    assert [web.ask("GET", "scenes").status for _ in range(A_MINUTE + 1)] == [200] * A_MINUTE + [429]


def test_a_refusal_asks_nothing_of_the_storage() -> None:
    web, counts = Limited(1), Counts()
    web.over(counts.containers(web.containers))
    web.document("scenes")
    before = counts.total
    answered(web.ask("GET", "scenes"), 429)
    answered(web.ask("POST", "scenes/lobby/retry"), 429)
    assert counts.total == before


def test_one_caller_s_haste_is_nobody_else_s() -> None:
    """By whom the platform signed in; without that, by the address that the platform itself wrote down."""
    web = Web(settings=WebSettings(on=True, requests_per_minute=1), env=SIGNED_IN)
    for name in ("ada", "bob"):
        headers = {**principal("reader"), "x-ms-client-principal-id": name}
        assert web.ask("GET", "scenes", headers=headers).status == 200
        assert web.ask("GET", "scenes", headers=headers).status == 429
    assert web.ask("GET", "scenes", headers={"x-forwarded-for": "203.0.113.7:1"}).status == 401
    assert web.ask("GET", "scenes", headers={"x-forwarded-for": "198.51.100.1, 203.0.113.7:2"}).status == 429


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("203.0.113.7:50000", "203.0.113.7:50001", True),  # the port is another one for each connection
        ("203.0.113.7", "203.0.113.8", False),
        ("198.51.100.9, 203.0.113.7", "203.0.113.7", True),  # what is before the last one anybody may write
        ("[2001:db8::1]:443", "2001:db8::2", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("nonsense", "other nonsense", False),
    ],
)
def test_callers_without_a_name_are_told_apart_by_their_network(one: str, other: str, same: bool) -> None:
    assert (caller({"x-forwarded-for": one}) == caller({"x-forwarded-for": other})) is same


def test_what_is_remembered_of_callers_is_bounded() -> None:
    buckets = Buckets(most_callers=3)
    for number in range(100):
        assert buckets.take(str(number), 1, 0.0) == 0
    assert [buckets.take(name, 1, 0.0) > 0 for name in ("99", "98", "97", "0")] == [True, True, True, False]


def test_a_clock_that_goes_back_gives_nothing_away() -> None:
    buckets = Buckets()
    assert buckets.take("ada", 1, 100.0) == 0
    assert buckets.take("ada", 1, 40.0) == 60.0


def test_without_a_limit_nobody_is_refused() -> None:
    web = Limited(0)
    assert {web.ask("GET", "me").status for _ in range(2000)} == {200}


@pytest.mark.parametrize("path", ["uploads", "scenes/lobby/retry", "scenes/lobby/cancel", "nothing"])
def test_a_body_that_is_too_large_is_refused_wherever_it_is_sent(path: str) -> None:
    problem = answered(Web().ask("POST", path, b"x" * (MAX_BODY_BYTES + 1)), 413)
    assert str(MAX_BODY_BYTES) in problem["detail"]


def test_the_openapi_document_tells_both_limits() -> None:
    document = Web().document("openapi.json")
    for path, item in document["paths"].items():
        for operation in item.values():
            assert "Retry-After" in operation["responses"]["429"]["headers"], path
            assert str(MAX_BODY_BYTES) in operation["responses"]["413"]["description"], path
