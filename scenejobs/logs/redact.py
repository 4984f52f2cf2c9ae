"""Takes secrets out of text: logs, errors, records, reports. What looks like one becomes [REDACTED].

Errors of the HTTP libraries quote whole URLs, signature included, and connection strings end up in messages of people
who copy them. So everything that leaves the process as text passes here; the root log handler does it for logs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

REDACTED = "[REDACTED]"
MIN_SECRET = 8  # characters; redacting less would spoil words

# A value ends at whatever separates parameters, headers, JSON members or words. What is redacted already stays.
_END = r"\s&;,\"'<>\\)\]}"
_VALUE = rf"(?!\[REDACTED\])[^{_END}]+"
_NAMES = (
    "AccountKey|SharedAccessKey|SharedSecretValue|Password|client_secret|client_assertion"
    "|access_token|refresh_token|id_token|AZURE_CLIENT_SECRET|IDENTITY_HEADER|X-IDENTITY-HEADER"
    "|MSI_SECRET|x-functions-key|Ocp-Apim-Subscription-Key|InstrumentationKey|x-ms-copy-source-authorization"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    # `Authorization: Bearer x`, `SharedKey account:signature`; before the names, which would stop at the space
    (re.compile(rf"\b(Bearer|SharedKey|SharedKeyLite)(\s+|%20){_VALUE}", re.I), rf"\1 {REDACTED}"),
    # a signature in a URL or SAS token, wherever it stands, also when the URL is quoted inside another one
    (re.compile(rf"(?<![a-z])(sig)(=|%3D|%253D)(?!\[REDACTED\])(?:(?!%26|%2526)[^{_END}])+", re.I), rf"\1\2{REDACTED}"),
    # function keys, which Event Grid endpoints carry in their URL
    (re.compile(rf"([?&]code=){_VALUE}", re.I), rf"\1{REDACTED}"),
    # name=value, name: value, "name": "value"
    (re.compile(rf"\b({_NAMES})([\"']?\s*[=:]\s*[\"']?){_VALUE}", re.I), rf"\1\2{REDACTED}"),
    # the same in a dictionary printed by Python or JSON
    (re.compile(r"([\"'](?:sig|signature)[\"']\s*:\s*[\"'])[^\"']+", re.I), rf"\1{REDACTED}"),
    # user:password@ in a URL
    (re.compile(r"(://[^\s/:@]+:)[^\s/@]+(?=@)"), rf"\1{REDACTED}"),
    # secrets that show by their own shape: JSON web tokens and 64-byte account keys
    (re.compile(r"\beyJ[\w-]{5,}\.[\w-]{5,}\.[\w-]*"), REDACTED),
    (re.compile(r"(?<![A-Za-z0-9+/])[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])"), REDACTED),
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
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


def redact_all(value: Any) -> Any:
    """The same for everything inside mappings, lists and tuples; other values pass."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): redact_all(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [redact_all(item) for item in value]
    return value
