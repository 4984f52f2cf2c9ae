"""Holds each command line of `az` in this repository against the parser of the published azure-cli.

    python -m tests.infra.azcli.check [--python PYTHON] [--recorded FILE]

PYTHON is that of an environment with requirements.lock of this folder (`make cli-check` makes it). FILE has what the
scripts called in the tests (RECORD_AZ=FILE pytest tests/infra). Writes table.json, by which tests/infra/scripts/stub.py
answers for `az`, and checked.md. Exit code 1 and the refusals where a line is refused.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from tests.infra.azcli.lines import ANY, Line, of_documents, of_programs, of_scripts, recorded

HERE = Path(__file__).parent
MISSING = re.compile(r"arguments are required|are required$|required: ")  # of a line that is only a part
ANY_CHOICE = re.compile(rf"'{ANY}' is not a valid value|invalid resource ID: ")


def refusals(lines: Iterable[Line], answers: Iterable[str]) -> list[str]:
    found = []
    for line, answer in zip(lines, answers, strict=True):
        if not answer or ANY_CHOICE.search(answer) or (not line.whole and MISSING.search(answer)):
            continue
        found.append(f"{line.where}\n    {answer}")
    return found


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--python", default=".local/azure-cli/bin/python")
    parser.add_argument("--recorded", type=Path)
    given = parser.parse_args()
    lines = [*of_scripts(), *of_documents(), *of_programs()]
    if given.recorded:
        lines += recorded(given.recorded)
    once = list({line.key: line for line in lines}.values())
    done = subprocess.run(
        [given.python, "-I", str(HERE / "real.py")],
        input=json.dumps([line.words for line in once]), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        print(done.stderr, file=sys.stderr)
        return 2
    real = json.loads(done.stdout)
    refused = refusals(once, real["answers"])
    table = {"azure-cli": real["version"], "commands": real["table"]}
    (HERE / "table.json").write_text(
        json.dumps(table, sort_keys=True, separators=(",", ":")).replace("},", "},\n") + "\n"
    )
    kinds = Counter(line.where.partition(":")[0].rpartition(".")[2] for line in once)
    (HERE / "checked.md").write_text(
        f"# Command lines of `az` against azure-cli {real['version']}\n\n"
        f"Written by `make cli-check`: {len(once)} different lines, of scripts ({kinds['sh']}), as called in their "
        f"tests ({kinds['called']}), of documents ({kinds['md']}) and of messages of the programs ({kinds['py']}), "
        f"with {len(real['table'])} commands. Refused: {len(refused)}.\n" + "".join(f"\n- {text}" for text in refused)
    )
    print((HERE / "checked.md").read_text())
    return 1 if refused else 0


if __name__ == "__main__":
    sys.exit(main())
