"""Takes secrets out of text: logs, errors, records, reports. What looks like one becomes [REDACTED].

Errors of the HTTP libraries quote whole URLs, signature included, and connection strings end up in messages of people
who copy them. So everything that leaves the process as text passes here; the root log handler does it for logs.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote, unquote

REDACTED = "[REDACTED]"
MIN_SECRET = 8  # characters; redacting less would spoil words

# Texts are quoted in other texts: JSON in JSON, a URL in a URL, either in the other. So quotes, separators and what
# ends a value may be escaped or percent-encoded, several times over. Every repetition is possessive (`*+`) or begins
# where no other can, and runs of backslashes are bounded: hostile text costs its length and not the square of it.
_SLASHES = r"\\{1,64}+"
_QUOTE = rf"(?:(?:{_SLASHES})?+[\"']|%(?:25)*2[27]|{_SLASHES}u00(?:22|27)|&quot;|&#0?39;)"
_IS = rf"(?:[=:]|%(?:25)*3[AD]|{_SLASHES}u003[AD])"
_EQUALS = rf"(?:=|%(?:25)*3D|{_SLASHES}u003D)"
_GAP = r"(?:\s|%(?:25)*20)*+"
_SPACE = r"(?:\s++|%(?:25)*20|\+)"
# A value ends at whatever separates parameters, headers, JSON members or words. What is redacted already stays.
_END = r"\s&;,\"'<>\\)\]}"
_STOP = rf"(?:%(?:25)*(?:2[0267C]|3B|0[AD])|{_SLASHES}u00(?:22|26|27))"
_VALUE = rf"(?!\[REDACTED\])(?:(?!{_STOP})(?:{_SLASHES}/|{_SLASHES}u00[0-9A-F]{{2}}|[^{_END}]))++"
_QUOTED = rf"(?P<quote>{_QUOTE})(?!\[REDACTED\])(?:(?!(?P=quote))[^\n])++"
_NAMES = (
    "AccountKey|SharedAccessKey|SharedSecretValue|Password|client_secret|client_assertion"
    "|access_token|refresh_token|id_token|AZURE_CLIENT_SECRET|IDENTITY_HEADER|X-IDENTITY-HEADER"
    "|MSI_SECRET|x-functions-key|Ocp-Apim-Subscription-Key|InstrumentationKey|x-ms-copy-source-authorization"
)
_SCHEMES = "Basic|Digest|Negotiate|NTLM|Token|ApiKey"  # and the rest of the line is the secret
_SECRET_NAME = re.compile(rf"(?:{_NAMES}|sig|signature|authorization)", re.I)  # of a member: its value needs no shape
_DOTTED = re.compile(r"(?<![\w.-])[\w-]*+(?:\.[\w-]*+)++")  # a JSON web token, a file, a sentence's end


def _sub(pattern: str, replacement: str | Callable[[re.Match[str]], str]) -> Callable[[str], str]:
    compiled = re.compile(pattern, re.I)
    return lambda text: compiled.sub(replacement, text)


def _without_token(found: re.Match[str]) -> str:
    """JSON web tokens are three or five words with dots between, the first of which is JSON in base64: `eyJ`."""
    words = found[0].split(".")
    for number, word in enumerate(words[:-2]):
        at = word.find("eyJ")
        if at >= 0 and len(word) >= at + MIN_SECRET and len(words[number + 1]) >= 5:
            return ".".join([*words[:number], word[:at] + REDACTED])
    return found[0]


def _without_credentials(found: re.Match[str]) -> str:
    """`Basic` is a word, too: what follows is redacted where it is base64 of `user:password`."""
    text = unquote(unquote(found["value"])).translate(_URL_SAFE).rstrip("=")
    try:
        pair = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        return found[0]
    return f"{found['scheme']}{REDACTED}" if b":" in pair and min(pair) >= ord(" ") else found[0]


_URL_SAFE = str.maketrans("-_", "+/")
_RULES: tuple[Callable[[str], str], ...] = (
    # `Authorization: Basic x` with whatever stands there for x; elsewhere only what looks like it
    _sub(rf"(Authorization{_QUOTE}?+{_GAP}{_IS}{_GAP}{_QUOTE}?+(?:{_SCHEMES}){_SPACE})[^\n\"'\\]++",
         rf"\1{REDACTED}"),
    _sub(rf"(?P<scheme>(?<![a-z])Basic{_SPACE})(?P<value>[A-Z0-9+/_=%-]{{4,}}+)", _without_credentials),
    # `Authorization: Bearer x`, `SharedKey account:signature`; before the names, which would stop at the space
    _sub(rf"(?<![a-z])(Bearer|SharedKeyLite|SharedKey){_SPACE}{_VALUE}", rf"\1 {REDACTED}"),
    # a signature in a URL or SAS token, wherever it stands, also when the URL is quoted inside another one
    _sub(rf"(?<![a-z])(sig)({_EQUALS}){_VALUE}", rf"\1\2{REDACTED}"),
    # function keys, which Event Grid endpoints carry in their URL
    _sub(rf"((?:[?&]|%(?:25)*(?:3F|26)|{_SLASHES}u0026)code{_EQUALS}){_VALUE}", rf"\1{REDACTED}"),
    # "name": "value", name='value'; the same in a dictionary printed by Python or JSON
    _sub(rf"((?:{_NAMES}){_QUOTE}?+{_GAP}{_IS}{_GAP}){_QUOTED}", rf"\1\g<quote>{REDACTED}"),
    _sub(rf"((?<![a-z])(?:sig|signature){_QUOTE}{_GAP}{_IS}{_GAP}){_QUOTED}", rf"\1\g<quote>{REDACTED}"),
    # name=value, name: value
    _sub(rf"((?:{_NAMES}){_QUOTE}?+{_GAP}{_IS}{_GAP}){_VALUE}", rf"\1{REDACTED}"),
    # user:password@ in a URL
    _sub(r"(://[^\s/:@]++:)(?!\[REDACTED\]@)[^\s/@]++(?=@)", rf"\1{REDACTED}"),
    # secrets that show by their own shape: JSON web tokens and 64-byte account keys
    lambda text: _DOTTED.sub(_without_token, text) if "eyJ" in text else text,
    _sub(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])", REDACTED),
)  # fmt: skip


_known: set[str] = set()  # secrets of this process, whatever they look like


def remember(*secrets: str | None) -> None:
    """From here on these values are redacted wherever they stand, also percent-encoded. Short ones are no secrets."""
    for secret in secrets:
        if secret and len(secret) >= MIN_SECRET:
            _known.update({secret, quote(secret), quote(secret, safe=""), unquote(secret)})


def redact(text: str) -> str:
    """The text without secrets. Text without any comes back as it is; doing it twice changes nothing more."""
    for secret in _known:
        text = text.replace(secret, REDACTED)
    for rule in _RULES:
        text = rule(text)
    return text


def redact_all(value: Any) -> Any:
    """The same for everything inside mappings, lists and tuples; other values pass."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {
            redact(str(key)): REDACTED
            if isinstance(item, str) and item and _SECRET_NAME.fullmatch(str(key))
            else redact_all(item)
            for key, item in value.items()
        }
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value
