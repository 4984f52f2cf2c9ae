"""Queue messages as nobody of ours would write them: valid ones bent a little, and things that never were messages."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Iterator
from datetime import UTC, datetime

from scenejobs.state.messages import DebounceCheck, JobMessage
from tests.hostile_names import NAMES

NOW = datetime(2026, 1, 1, tzinfo=UTC)
GOOD = [
    JobMessage("lobby", "0123456789abcdef", NOW).to_json(),
    JobMessage("видео", "", NOW, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01").to_json(),
    DebounceCheck("lobby", "lobby/a.mp4", NOW).to_json(),
    DebounceCheck("lobby", "", NOW, ready=True).to_json(),
]
VALUES = [
    None, True, False, 0, -1, 1, 1.0, 1e308, -0.0, 2**63, 10**400, "", " ", "1", "null", "\ud800", "\x00", "a\nb", [],
    [1], {}, {"v": 1}, [[[[]]]], "x" * 2000, "..", "../victim", "2026-01-01",
    "2026-01-01T00:00:00", "9999-12-31T23:59:59-23:59",
    "0001-01-01T00:00:00+23:59", "2026-01-01T00:00:00+00:00", "1e5", "NaN", "true",
]  # fmt: skip
RAW = [
    '{"a":' * 4_000, '{"a":' + "[" * 20_000, '{"v":1,"scene":' + "[" * 20_000, base64.b64encode(b"[" * 15_000).decode(),
    "", " ", "\n", "null", "true", "0", "-", "NaN", "Infinity", "[]", "{}", "[{}]", '""', "{", "}", "[", "]", '{"',
    '{"v"',
    "[" * 30_000, "{" * 30_000, '{"v":' * 5_000, "[" * 10_000 + "]" * 10_000, '{"a":' * 500 + "1" + "}" * 500,
    "9" * 20_000, '{"v":' + "9" * 5_000 + "}", '{"v":1e999}', '{"v":-1e-999}', '{"v":1,"v":2}', '{"v":1,"scene":"a"',
    "<xml/>", "<!DOCTYPE a [<!ENTITY b 'c'>]><a>&b;</a>", "SELECT 1", "%PDF-1.7", "\x89PNG\r\n", "\ufeff", "\x00" * 100,
    "\ufffd" * 1000, "x" * 70_000, "é" * 40_000, "\U0001f4f1" * 9_000, "eyJ2IjoxfQ", "eyJ2IjoxfQ==", "====", "AAAA",
    "//////==", "\u202e}{", "{'v': 1}", '{"v":1,}', '{v:1}', "__import__('os')", "!!python/object:os.system", "\x1b[2J",
]  # fmt: skip


NOISE = ('{}[]:,"0123456789truefalsn \\/', 'abc{"v":1,"scene":"a"}', "\x00\x01\x7f\x85\ufeff\u2028é")


def messages(seed: int, count: int) -> Iterator[str]:
    """The same seed gives the same messages. The first are those of the list."""
    draw = random.Random(seed)
    yield from RAW
    for name in NAMES[: count // 8]:
        yield JobMessage(name, name, NOW, name).to_json()
    for _ in range(count - len(RAW) - len(NAMES[: count // 8])):
        text = draw.choice((_bent, _bent, _mutated, _mutated, _noise))(draw)
        if draw.random() < 0.1:
            text = base64.b64encode(text.encode("utf-8", "surrogatepass")).decode()
        yield text


def _bent(draw: random.Random) -> str:
    """A valid message with other, missing or additional values."""
    body = json.loads(draw.choice(GOOD))
    for _ in range(draw.choice((1, 1, 2))):
        key = draw.choice([*body, "extra", "V", "__proto__"])
        how = draw.random()
        if how < 0.25:
            body.pop(key, None)
        elif how < 0.5:
            body[key] = draw.choice(NAMES)
        else:
            body[key] = draw.choice(VALUES)
    return json.dumps(body, ensure_ascii=draw.random() < 0.5)


def _mutated(draw: random.Random) -> str:
    """The text of a valid message with characters changed, cut out, doubled or moved."""
    text = draw.choice(GOOD)
    for _ in range(draw.choice((1, 1, 2, 5))):
        at, to = sorted((draw.randrange(len(text) + 1), draw.randrange(len(text) + 1)))
        how = draw.randrange(5)
        if how == 0:
            text = text[:at] + text[to:]
        elif how == 1:
            text = text[:to] + text[at:to] * draw.choice((1, 2, 30)) + text[to:]
        elif how == 2:
            text = text[:at] + chr(draw.choice((0, 9, 10, 34, 44, 58, 92, 123, 125, 0x2028, 0x1F4F1))) + text[at:]
        elif how == 3:
            text = text[:at] + draw.choice(RAW)[:50] + text[to:]
        else:
            text = text[at:] + text[:at]
    return text


def _noise(draw: random.Random) -> str:
    alphabet = draw.choice(
        ('{}[]:,"0123456789truefalsn \\/', 'abc{"v":1,"scene":"a"}', "\x00\x01\x7f\x85\ufeff\u2028é")
    )
    return "".join(draw.choice(alphabet) for _ in range(draw.randrange(200)))
