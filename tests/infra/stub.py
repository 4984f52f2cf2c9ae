#!/usr/bin/env python3
"""Stands for `az`, `azd` and `curl` in the tests of the scripts: records each call and plays back what the test said.

In $STUB_DIR: `answers` (marshal: the options of each az command, and a list of {"call": regular expression, "out",
"err", "code", "sleep_s", "times"}); the first that fits and is not used up answers; a call that none fits is answered
with nothing and 0. `calls` gets every call, a line each, `sent-NAME` what a file given by --file held, with its mode.
An option that the real az does not have (az_commands.json) is answered as az does: code 2.

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
        end = next((i for i, word in enumerate(arguments) if word.startswith("-")), None)
        command = " ".join(arguments[:end])
        unknown = [word for word in arguments if word.startswith("--") and word not in options.get(command, ())]
        if command not in options or unknown:
            print(f"ERROR: unrecognized arguments: {command} {unknown}", file=sys.stderr)
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
