#!/usr/bin/env python3
"""Stands for `az`, `azd` and `curl` in the tests of the scripts: records each call and plays back what the test said.

In $STUB_DIR: `answers` (marshal: the table of az commands, and a list of {"call": regular expression, "out",
"err", "code", "sleep_s", "times"}); the first that fits and is not used up answers; a call that none fits is answered
with nothing and 0. `calls` gets every call, a line each, `sent-NAME` what a file given by --file held, with its mode.
What the parser of the real az refuses (azcli/table.json) is answered as az does, with code 2, and kept in `refused`.

It is started some thousand times: only modules that cost nothing to import are.
"""

import marshal
import os
import sys
from itertools import pairwise
from time import sleep

SPECIAL = frozenset("[](){}+?\\$*.")


def fits(pattern: str, call: str) -> bool:
    """As re.search, which takes longer to import than the rest of a call."""
    for either in pattern.split("|"):
        pieces = either.removeprefix("^").split(".*")
        if SPECIAL.intersection("".join(pieces)):
            import re

            return re.search(pattern, call) is not None
        at = 0
        for piece in pieces:
            at = call.find(piece, at)
            if at < 0:
                break
            at += len(piece)
        else:
            if either[:1] != "^" or call.startswith(pieces[0]):
                return True
    return False


def refusal(words: list[str], table: dict) -> str:  # type: ignore[type-arg]
    """Why the real az does not take this line, as far as its parser decides; "" where it does.

    table: command -> options, arguments, positional and ids, as azcli/real.py describes them. Stricter than az: options
    are not shortened, and choices are compared exactly.
    """
    end = len(words)
    while end and " ".join(words[:end]) not in table:
        end -= 1
    if not end:
        return f"{' '.join(words[:3])} is no command of az"
    entry, rest, given, loose, at = table[" ".join(words[:end])], words[end:], set(), 0, 0
    while at < len(rest):
        name, equals, inline = rest[at].partition("=")
        at += 1
        if not name.startswith("-") or " " in name or name == "-" or name[1:].isdigit():
            loose += 1
            continue
        if name not in entry["options"]:
            return f"unrecognized argument {name}"
        number = entry["options"][name]
        required, nargs, choices, whole = entry["arguments"][number]
        given.add(number)
        values = [inline] if equals else []
        most = 0 if nargs == 0 else 1 if nargs in (None, "?") else len(rest)
        while not equals and len(values) < most and at < len(rest):
            word = rest[at]
            if word.startswith("-") and " " not in word and not word[1:].isdigit() and word != "-":
                break
            values.append(word)
            at += 1
        if not values and nargs in (None, "+"):
            return f"argument {name}: expected a value"
        if equals and nargs == 0:
            return f"argument {name}: takes no value"
        for value in values:
            if choices and value not in choices:
                return f"argument {name}: {value} is none of {choices}"
            if whole and not value.removeprefix("-").isdigit():
                return f"argument {name}: {value} is no whole number"
    if entry["positional"] >= 0 and loose > entry["positional"]:
        return "unrecognized words"
    for number, (required, *_) in enumerate(entry["arguments"]):
        if required and number not in given:
            return f"required: {[name for name, at in entry['options'].items() if at == number]}"
    if words[:end] == ["resource", "list"] and "--tag" in rest:
        # not az's parser but the command itself (_list_resources_odata_filter_builder of azure-cli 2.91.0)
        others = ("--resource-group", "-g", "--namespace", "--resource-type", "--name", "-n", "--location", "-l")
        if beside := [name for name in others if name in rest]:
            return f"you cannot use '--tag' with {beside}"
    ids = entry.get("ids", [])
    if ids and entry["options"]["--ids"] not in given:
        lacking = [name for name in ids if entry["options"].get(name) not in given]
        if lacking:
            return f"required: {lacking} or --ids"
    return ""


def main() -> int:
    folder = os.environ["STUB_DIR"]
    name, arguments = os.path.basename(sys.argv[0]), sys.argv[1:]
    call = " ".join([name, *arguments])
    with open(f"{folder}/calls", "a") as file:
        file.write(ascii([name, *arguments]) + "\n")
    for option, value in pairwise(arguments):
        if option == "--file" and os.path.isfile(value):
            with open(value, "rb") as given, open(f"{folder}/sent-{os.path.basename(value)}", "wb") as kept:
                kept.write(given.read())
                os.chmod(kept.name, os.stat(value).st_mode & 0o777)
    with open(f"{folder}/answers", "rb") as file:
        options, answers = marshal.load(file)
    if name == "az":
        reason = refusal(arguments, options)
        if reason:
            print(f"ERROR: {reason}", file=sys.stderr)
            with open(f"{folder}/refused", "a") as file:
                file.write(f"{call}: {reason}\n")
            return 2
    for number, answer in enumerate(answers):
        if not fits(answer["call"], call):
            continue
        used = f"{folder}/used-{number}"
        if "times" in answer:
            count = os.path.getsize(used) if os.path.exists(used) else 0
            if count >= answer["times"]:
                continue
            with open(used, "a") as file:
                file.write("x")
        if "sleep_s" in answer:
            sleep(answer["sleep_s"])
        sys.stderr.write(answer.get("err", ""))
        sys.stdout.write(answer.get("out", ""))
        return answer.get("code", 0)
    return 0


if __name__ == "__main__":
    sys.exit(main())
