#!/usr/bin/env python3
"""Stands for `az`, `azd` and `curl` in the tests of the scripts: records each call and plays back what the test said.

In $STUB_DIR: answers.json, a list of {"call": regular expression, "out", "err", "code", "sleep_s", "times"}; the first
that fits and is not used up answers; a call that none fits is answered with nothing and 0. calls.jsonl gets every call.
An option that the real az does not have (az_commands.json) is answered as az does: code 2.
"""

import json
import os
import re
import sys
import time
from pathlib import Path

folder = Path(os.environ["STUB_DIR"])
name, arguments = Path(sys.argv[0]).name, sys.argv[1:]
call = " ".join([name, *arguments])
with (folder / "calls.jsonl").open("a") as file:
    file.write(json.dumps([name, *arguments]) + "\n")

if name == "az":
    table = json.loads(Path(__file__).resolve().with_name("az_commands.json").read_text())["commands"]
    command = " ".join(arguments[: next((i for i, word in enumerate(arguments) if word.startswith("-")), None)])
    unknown = [word for word in arguments if word.startswith("--") and word not in table.get(command, ())]
    if command not in table or unknown:
        print(f"ERROR: unrecognized arguments: {command} {unknown}", file=sys.stderr)
        sys.exit(2)

for number, answer in enumerate(json.loads((folder / "answers.json").read_text())):
    if not re.search(answer["call"], call):
        continue
    used = folder / f"used-{number}"
    count = len(used.read_text()) if used.exists() else 0
    if count >= answer.get("times", 10**9):
        continue
    used.write_text("x" * (count + 1))
    time.sleep(answer.get("sleep_s", 0))
    sys.stderr.write(answer.get("err", ""))
    sys.stdout.write(answer.get("out", ""))
    sys.exit(answer.get("code", 0))
