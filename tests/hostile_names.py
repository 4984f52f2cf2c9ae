"""Names that somebody could give an upload to reach another blob, another path, a log line or a command.

A list made of disguises and of places to put them, so that each disguise is tried at each place.
"""

from __future__ import annotations

from hypothesis import strategies as st

VICTIM = "victim/precious.mp4"

# What becomes ".." or "/" when somebody decodes, folds or normalises it.
DOTS = [
    "..", ".", "...", "....", ". .", " ..", ".. ", " .. ", "\t..", "..\u00a0", "\u00a0..", "\u2003..",
    "%2e%2e", "%2E%2E", "%2e.", ".%2e", ".%2E", "%2e", "%252e%252e", "%25252e%25252e", "%252E.", "%c0%ae%c0%ae",
    "\uff0e\uff0e", "\uff0e", "\u2025", "\u2024\u2024", "\u2026", "\ufe52\ufe52", ".\uff0e", "\u3002\u3002",
    "%uff0e%uff0e", "&#46;&#46;", "\\x2e\\x2e", "..;", "..%00", "..\u200b", "\u200b..", ".\u200d.", "..\u202e",
    "\u202e..", "..%20", "%20..", "..%09", "..%c2%a0",
]  # fmt: skip
SLASHES = [
    "/", "//", "\\", "%2f", "%2F", "%5c", "%5C", "%252f", "%255c", "\uff0f", "\uff3c", "\u2044", "\u2215", "\u29f8",
    "\u2571", "/./", "\\/",
]  # fmt: skip

CONTROL = [chr(code) for code in (*range(32), 127, *range(128, 160))]
NO_CHARACTERS = ["\ud800", "\udfff", "\ufdd0", "\ufffe", "\uffff", "\U0001ffff", "\U0010fffe", "\U0010ffff"]
ODD = [
    "\u00ad", "\u200b", "\u200e", "\u200f", "\u202a", "\u202e", "\u2066", "\u2069", "\ufeff", "\u2028", "\u2029",
    "\u0301", "\u00e9", "e\u0301", "\u212b", "\u00c5", "\ufb01", "\u017f", "\u0130", "\u0131", "\u1e9e", "\u5186",
    "\u05d0\u05d1", "\u0627\u0644", "\U0001f4f1", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\U000e0041",
    "\u0e33", "\ufdfa", "\u2126", "\u03a9",
]  # fmt: skip
COMMANDS = [
    "-rf", "--help", "-i", "-", "--", "%03d", "%d%s%n", "concat:a|b", "file:///etc/passwd", "http://127.0.0.1/x",
    "pipe:0", "data:,x", "crypto:x", "subfile,,start,0,end,0,,:/etc/passwd", "tee:x", "fd:0", "cache:x",
    "$(id)", "`id`", ";id", "|id", "&id", "a b", "  ", " lead", "trail ", "*", "?", "[a-z]", "{a,b}", "~", "~root",
    "#x", "!x", "'", '"', "\"'\"", "'; DROP TABLE scenes; --", "<script>alert(1)</script>", "</script><script>",
    "<!--", "]]>", "&lt;", "{{x}}", "${x}", "${jndi:ldap://x}", "__TITLE__", "__SCENE__", "end_header", "CON", "NUL",
    "aux.mp4", "COM1", "a:b", "a.mp4::$DATA", "a.mp4.", "a.mp4 ", ".htaccess", ".git", ".scenejobs", ".SCENEJOBS",
    "_READY", ".complete", "error.json", "manifest.json", "run.log", "runs", "scenes", "refused", "0", "None", "null",
    "true", "NaN", "1e999", "@x", "=1+1", "+1", "x" * 255, "x" * 256, "\u00e9" * 128, "\U0001f4f1" * 64, "x" * 1000,
]  # fmt: skip


def _hand_list() -> list[str]:
    names = ["", "/", "//", "\\", "a/", "a//b", "/etc/passwd", "/victim/precious.mp4", "//victim/precious.mp4",
             "C:\\Windows\\a.mp4", "\\\\server\\share\\a.mp4", "victim", "victim/", "victim/precious.mp4/", "?", "#",
             "lobby/../../state/scenes/victim.json", "../state/dispatcher.json", "x" * 1024, "x" * 1025, "x" * 5000,
             "/".join("a" * 254), "/".join("a" * 255), "/".join("a" * 1000), "a/" * 300 + "b.mp4",
             "é" * 1024, "\U0001f4f1" * 1024]  # fmt: skip
    for dots in DOTS:
        names += [
            dots, f"{dots}/{VICTIM}", f"lobby/{dots}/{VICTIM}", f"lobby/{dots}/{dots}/state/a", f"lobby/{dots}",
            f"{dots}.mp4",
        ]  # fmt: skip
    for slash in SLASHES:
        names += [
            f"lobby{slash}..{slash}{VICTIM}", f"lobby/a{slash}..{slash}..{slash}{VICTIM}", f"{slash}etc{slash}passwd",
            f"lobby{slash}a.mp4",
        ]  # fmt: skip
    for char in CONTROL + NO_CHARACTERS:
        names += [f"lobby/a{char}b.mp4", f"lo{char}bby/a.mp4"]
    for odd in ODD + COMMANDS:
        names += [f"lobby/{odd}", f"{odd}/a.mp4", f"{odd}.mp4", f"lobby/{odd}.mp4"]
    return list(dict.fromkeys(names))


NAMES = _hand_list()

# What Hypothesis puts together: pieces of the above with ordinary ones, joined by any slash.
PIECES = st.sampled_from([*DOTS, *ODD, *COMMANDS, *CONTROL[:12], "lobby", "victim", "precious.mp4", "a", ""])
ANY = st.lists(st.one_of(PIECES, st.text(max_size=8)), min_size=1, max_size=6).flatmap(
    lambda parts: st.sampled_from(SLASHES).map(lambda slash: slash.join(parts))
)
