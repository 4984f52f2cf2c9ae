"""No secret survives redaction, whatever it stands in; text without secrets comes back as it was."""

from __future__ import annotations

import json
import random
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scenejobs.logs import redact as module
from scenejobs.logs.redact import REDACTED, redact, redact_all, remember

KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
SIGNATURE = "q4N%2BSYFzLPD3bMc6n%2F0sVx1g9Xw%2BZ2J5b7tQwEr8yUo%3D"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJhdWQiOiJodHRwczovL3N0b3JhZ2UifQ.c2lnbmF0dXJlLXBhcnQ"
BASIC = "dXNlcjpwYXNzd29yZA=="  # user:password
SECRET = "Abc8Q~secret.value_1234567890"

CASES = {
    "connection string": (f"DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={KEY};EndpointSuffix=core", KEY),
    "connection string, key last": (f"AccountName=shop;AccountKey={KEY}", KEY),
    "connection string with a SAS": (f"BlobEndpoint=https://x;SharedAccessSignature=sv=1&sig={SIGNATURE}", SIGNATURE),
    "lower case": (f"accountkey={KEY}", KEY),
    "the key alone": (f"the key {KEY} was refused", KEY),
    "the key quoted": (f"'{KEY}'", KEY),
    "url": (f"GET https://shop.blob.core.windows.net/input/a.mp4?sv=1&sig={SIGNATURE}&se=2 failed", SIGNATURE),
    "sig first": (f"?sig={SIGNATURE}&sv=2024", SIGNATURE),
    "sig last": (f"sv=2024&sig={SIGNATURE}", SIGNATURE),
    "sig in capitals": (f"sv=2024&SIG={SIGNATURE}", SIGNATURE),
    "sig not quoted": ("sv=2024&sig=q4N+SYFz/PD3b=&se=1", "q4N+SYFz/PD3b="),
    "url in a url": (f"redirect={quote(f'https://x/?sv=1&sig={SIGNATURE}&se=2')}", quote(SIGNATURE)),
    "dictionary": (str({"sv": "1", "sig": SIGNATURE}), SIGNATURE),
    "settings printed": (f"StorageSettings(account='x', sas_token='sv=1&sig={SIGNATURE}')", SIGNATURE),
    "bearer": (f"Authorization: Bearer {JWT}", JWT),
    "bearer that is no JWT": ("authorization: bearer abc.def-123_~+/=", "abc.def-123_~+/="),
    "bearer in JSON": (json.dumps({"Authorization": f"Bearer {JWT}"}), JWT),
    "shared key": (f"Authorization: SharedKey shop:{KEY[:44]}=", KEY[:44]),
    "token alone": (f"got {JWT} from", JWT),
    "token answer": (json.dumps({"access_token": SECRET, "expires_in": 3599}), SECRET),
    "identity header": (f"X-IDENTITY-HEADER: {SECRET}", SECRET),
    "identity variable": (f"IDENTITY_HEADER={SECRET}", SECRET),
    "client secret": (f"client_id=1&client_secret={SECRET}&scope=x", SECRET),
    "client secret printed": (f"StorageSettings(client_secret='{SECRET}', input='input')", SECRET),
    "client secret variable": (f"AZURE_CLIENT_SECRET={SECRET}", SECRET),
    "function key": (f"x-functions-key: {SECRET}", SECRET),
    "webhook code": (f"https://app/runtime/webhooks/blobs?functionName=x&code={SECRET}", SECRET),
    "password in a url": (f"https://user:{SECRET}@host/x", SECRET),
    "basic": (f"Authorization: Basic {BASIC}", BASIC),
    "basic alone": (f"sent Basic {BASIC} to the proxy", BASIC),
    "basic in JSON": (json.dumps({"Authorization": f"Basic {BASIC}"}), BASIC),
    "basic in a URL": (f"h=Basic%20{BASIC.replace('=', '%3D')}&x=1", BASIC.rstrip("=")),
    "basic that is no pair": ("proxy-authorization: basic opaque-value-1", "opaque-value-1"),
    "token of another scheme": (f"Authorization: Token {SECRET}", SECRET),
    "JSON in JSON": (json.dumps({"body": json.dumps({"AccountKey": KEY[:20]})}), KEY[:20]),
    "JSON in JSON in JSON": (json.dumps(json.dumps(json.dumps({"client_secret": SECRET}))), SECRET),
    "JSON in JSON, a signature": (json.dumps({"body": json.dumps({"sig": SIGNATURE[:12]})}), SIGNATURE[:12]),
    "JSON that escapes slashes": ('{"AccountKey":"ab\\/cd\\/efgh"}', "efgh"),
    "JSON that escapes all signs": (r"AccountKey\u003dab\u002bcdefgh\u0026x", "cdefgh"),
    "JSON in a URL": (quote(json.dumps({"AccountKey": KEY[:20]})), quote(KEY[:20])),
    "a value with spaces": (json.dumps({"password": "correct horse battery"}), "horse battery"),
    "encoded connection string": (f"AccountKey%3D{quote(KEY[:40], safe='')}%3BEndpointSuffix%3Dcore", KEY[:40]),
    "encoded twice": (f"AccountKey%253D{KEY[:20]}%253B", KEY[:20]),
    "encoded function key": (f"url=https%3A%2F%2Fx%2F%3Fa%3D1%26code%3D{SECRET}", SECRET),
    "a token behind a dot": (f"x.{JWT}.", JWT),
    "a token behind a dash": (f"token-{JWT}", JWT),
    "several lines": (f"first\nsig={SIGNATURE}\nAccountKey={KEY}", KEY),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_the_secret_is_gone(case: str) -> None:
    text, secret = CASES[case]
    hidden = redact(text)
    assert secret in text
    assert secret not in hidden
    assert REDACTED in hidden


@pytest.mark.parametrize("case", CASES)
def test_redacting_twice_changes_nothing_more(case: str) -> None:
    once = redact(CASES[case][0])
    assert redact(once) == once


def test_what_is_around_a_secret_stays_readable() -> None:
    url = f"https://shop.blob.core.windows.net/input/a.mp4?sv=2024-11-04&sig={SIGNATURE}&se=2026-01-01"
    assert redact(url) == "https://shop.blob.core.windows.net/input/a.mp4?sv=2024-11-04&sig=[REDACTED]&se=2026-01-01"
    text = f"AccountName=shop;AccountKey={KEY};EndpointSuffix=core.windows.net"
    assert redact(text) == "AccountName=shop;AccountKey=[REDACTED];EndpointSuffix=core.windows.net"


@pytest.mark.parametrize("seed", range(20))
def test_the_order_of_parameters_does_not_matter(seed: int) -> None:
    parameters = [
        "sv=2024-11-04",
        "ss=b",
        "srt=co",
        "sp=rwdl",
        "se=2026-01-01T00%3A00%3A00Z",
        f"sig={SIGNATURE}",
        "spr=https",
    ]
    random.Random(seed).shuffle(parameters)
    hidden = redact(f"https://x/y?{'&'.join(parameters)}")
    assert SIGNATURE not in hidden
    assert all(parameter in hidden for parameter in parameters if not parameter.startswith("sig="))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "3 of 240 frames registered in lobby/cam1.mp4; 20 are needed",
        "exit code=3 of sfm, signal=9, design=modern, sigma=1.5",
        "lobby/sig/a.mp4 and lobby/bearer.mp4",
        "the bearer of this message",
        "https://example.org:8080/path?x=1",
        "sha256 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
        "the password is wrong",
        "Basic authentication is switched off, as in a Basic Example",
        "eyJ.mp4 and eyJabcdefgh.tar.gz2",
    ],
)
def test_harmless_text_stays(text: str) -> None:
    assert redact(text) == text or "bearer of" in text


@given(st.text())
def test_any_text_can_be_redacted_and_twice_is_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(
    st.text(alphabet=st.characters(blacklist_characters="\"'&;,<>)]}\\", blacklist_categories=("Z", "C")), min_size=8)
)
def test_no_signature_survives_in_a_url(secret: str) -> None:
    assert f"sig={secret}" not in redact(f"https://x/y?a=1&sig={secret}&b=2")


def test_redaction_reaches_into_structures() -> None:
    value = {"a": [f"sig={SIGNATURE}", 1, None], "b": {"c": (f"AccountKey={KEY}",)}, "d": 1.5}
    assert redact_all(value) == {
        "a": ["sig=[REDACTED]", 1, None],
        "b": {"c": ["AccountKey=[REDACTED]"]},
        "d": 1.5,
    }


def test_a_secret_that_is_known_needs_no_shape(request: pytest.FixtureRequest) -> None:
    before = set(module._known)
    request.addfinalizer(lambda: (module._known.clear(), module._known.update(before)))
    assert redact("the value pl~ain/w+rd here") == "the value pl~ain/w+rd here"
    remember("pl~ain/w+rd", None, "", "short")
    assert redact("the value pl~ain/w+rd here") == f"the value {REDACTED} here"
    assert redact(f"x={quote('pl~ain/w+rd', safe='')}") == f"x={REDACTED}"
    assert redact("short words stay") == "short words stay"


def test_a_member_that_is_called_a_secret_needs_no_shape() -> None:
    value = {"password": "plain", "Authorization": "x", "body": {"sig": "abc"}, "password_set": True, "sig": ""}
    hidden = {
        "password": REDACTED,
        "Authorization": REDACTED,
        "body": {"sig": REDACTED},
        "password_set": True,
        "sig": "",
    }
    assert redact_all(value) == hidden


@given(st.text(alphabet="\\\\\\\"'%25%22%27%3DeyJ.-_=: sigAccountKeyBasicBearer\n", max_size=80))
def test_what_is_almost_a_secret_can_be_redacted_and_twice_is_once(text: str) -> None:
    once = redact(text)
    assert redact(once) == once


@given(st.text(alphabet="abcXYZ019+/=.~_-:;,&<>()%! ", min_size=8), st.integers(1, 4))
def test_no_secret_survives_in_json_however_often_it_was_quoted(secret: str, times: int) -> None:
    text = {"AccountKey": f"x{secret}"}
    for _ in range(times):
        text = json.dumps(text)  # type: ignore[assignment]
    assert secret not in redact(str(text))


HOSTILE = ["-eyJ", "eyJ-", ".eyJ", "eyJaaaaa.", "-", "\\\\", "%25", "%", "://", "://a:", "sig=", "Bearer ", "Basic "]
HOSTILE += [
    "Basic",
    "AccountKey",
    "AccountKey=",
    'AccountKey"',
    "Authorization:",
    "a:b@",
    "&quot;",
    "\\\\u0026",
    "+",
    "A",
    " ",
]


@pytest.mark.parametrize("repeated", HOSTILE)
@pytest.mark.parametrize("before", ["", "AccountKey", 'AccountKey="', "sig=", "Authorization: Basic ", "eyJ", "://a:"])
def test_hostile_text_costs_its_length(repeated: str, before: str) -> None:
    """64 KB of `-eyJ` took 3.6 s of CPU; at the square of the length this megabyte would take a quarter of an hour."""
    size = 1_000_000 if (before, repeated) == ("", "-eyJ") else 200_000
    redact(before + repeated * (size // len(repeated)) + "x")
