"""Runs in an environment of its own, where the published azure-cli is installed: what its parser says of command lines.

    python -I real.py < lines.json > answers.json

lines.json: a list of argument vectors, without `az`. answers.json: {"version", "answers": [the refusal of each line, ""
for none], "table": {command: see `described`}}. The real program runs as far as its parser and is stopped there,
before it validates, signs in or calls anything; every socket is refused.
"""

from __future__ import annotations

import io
import json
import os
import re
import socket
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

os.environ.update(
    AZURE_CONFIG_DIR=tempfile.mkdtemp(), AZURE_EXTENSION_DIR=tempfile.mkdtemp(), AZURE_CORE_COLLECT_TELEMETRY="no",
    AZURE_EXTENSION_USE_DYNAMIC_INSTALL="no", AZURE_CORE_ERROR_RECOMMENDATION="off", AZURE_CORE_NO_COLOR="yes",
)  # fmt: skip


def refused(*_: object, **__: object) -> None:
    raise OSError("the check works offline")


socket.socket.connect = refused  # type: ignore[method-assign, assignment]
socket.getaddrinfo = refused  # type: ignore[assignment]

from azure.cli.core import __version__, get_default_cli  # type: ignore # noqa: E402
from azure.cli.core.azclierror import AzCLIError  # type: ignore # noqa: E402
from knack.events import EVENT_INVOKER_CMD_TBL_LOADED, EVENT_INVOKER_POST_PARSE_ARGS  # type: ignore # noqa: E402

TOLD: list[str] = []
AzCLIError.print_error = lambda self: TOLD.append(str(self.error_msg))


class Parsed(BaseException):
    """The parser took the line; nothing more is wanted."""


def described(parser: Any) -> dict[str, Any]:
    """What a stand-in must know to refuse what this command's parser refuses.

    options: spelling -> number of its argument; arguments: per number [required, nargs, choices or None, whole number];
    positional: how many words without an option it takes at most, -1 without limit.
    """
    options: dict[str, int] = {}
    arguments: list[list[Any]] = []
    positional = 0
    for action in parser._actions:
        if not action.option_strings:
            positional = -1 if action.nargs in ("*", "+", "...") or positional < 0 else positional + 1
            continue
        choices = sorted(str(choice) for choice in action.choices) if action.choices else None
        for spelling in action.option_strings:
            options[str(spelling)] = len(arguments)
        arguments.append([bool(action.required), action.nargs, choices, action.type is int])
    return {"options": options, "arguments": arguments, "positional": positional}


def parse(line: list[str], table: dict[str, Any]) -> str:
    """The refusal of the line, "" where there is none. Adds its command to the table."""
    cli = get_default_cli()

    def loaded(_: object, parser: Any = None, **__: object) -> None:
        known = {name: child for name, child in parser.subparser_map.items() if isinstance(name, str)}
        starts = [" ".join(line[:end]) for end in range(len(line), 0, -1)]
        command = next((start for start in starts if start in known), "")
        if command and command not in table:
            table[command] = described(known[command])

    def parsed(*_: object, **__: object) -> None:
        raise Parsed

    cli.register_event(EVENT_INVOKER_CMD_TBL_LOADED, loaded)
    cli.register_event(EVENT_INVOKER_POST_PARSE_ARGS, parsed)
    TOLD.clear()
    said = io.StringIO()
    try:
        with redirect_stderr(said), redirect_stdout(said):
            cli.invoke(list(line), out_file=said)
    except Parsed:
        return ""
    except SystemExit:
        pass
    except Exception as exc:  # noqa: BLE001 - whatever goes wrong while the line is read is the answer
        TOLD.append(f"{type(exc).__name__}: {exc}")
    return re.sub(r"\s+", " ", " ".join(TOLD) or said.getvalue() or "refused")[:400]


def add_ids(command: str, entry: dict[str, Any]) -> None:
    """ids: the options that are needed where `--ids` is not given; which they are, only a refusal tells."""
    line = command.split()
    for spelling, number in entry["options"].items():
        required, nargs, choices, _ = entry["arguments"][number]
        if required and spelling.startswith("--") and spelling not in line and nargs != 0:
            line += [spelling, choices[0] if choices else "1"]
    found = re.search(r"\((.*?) \| --ids\) are required", parse(line, {}))
    entry["ids"] = found[1].split() if found else []


def main() -> int:
    table: dict[str, Any] = {}
    answers = [parse(line, table) for line in json.load(sys.stdin)]
    for command, entry in table.items():
        if "--ids" in entry["options"]:
            add_ids(command, entry)
    json.dump({"version": __version__, "answers": answers, "table": table}, sys.__stdout__)  # type: ignore[arg-type]
    return 0


if __name__ == "__main__":
    sys.exit(main())
