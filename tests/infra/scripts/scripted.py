"""Runs a script of scripts/ with stubs for az, azd and curl, and tells what it printed, returned and called."""

from __future__ import annotations

import ast
import json
import marshal
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[3]
STUB = Path(__file__).with_name("stub.py")
AZ: dict[str, Any] = json.loads(ROOT.joinpath("tests/infra/azcli/table.json").read_text())["commands"]
FORBIDDEN = {
    "err": "ERROR: (AuthorizationFailed) The client does not have authorization to perform action "
    "'Microsoft.Authorization/roleAssignments/write'. Code: AuthorizationFailed (403)\n",
    "code": 1,
}
SIGNED_OUT = {"err": "ERROR: Please run 'az login' to setup account.\n", "code": 1}
NOT_FOUND = {"err": "ERROR: (ResourceNotFound) The Resource was not found.\n", "code": 3}
SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"  # of the deployment; az has another one selected
ROWS = [line.split("\t") for line in (ROOT / "scripts/roles.tsv").read_text().splitlines() if line[:1] != "#"]
# without UPLOADS_QUEUE, OPERATORS_PRINCIPAL_ID, WEB and GPU_PROFILE_FALLBACK
ROLES = [
    row for row in ROWS if not row[1].startswith(("queue:uploads", "fallback")) and row[0] not in ("operators", "web")
]


@dataclass(frozen=True)
class Ended:
    """How a script ended."""

    code: int
    out: str
    err: str
    calls: list[list[str]]  # of az, azd and curl, in order

    def called(self, pattern: str) -> list[list[str]]:
        """The calls that fit."""
        return [call for call in self.calls if re.search(pattern, " ".join(call))]


class Bench:
    """A folder with stubs, an azd environment, and answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.values: dict[str, str] = {}
        self.answers: list[dict[str, Any]] = []
        self.env: dict[str, str] = {}
        self.commands = ["az", "azd", "curl"]
        self.stdin = ""

    def answer(self, call: str, out: str = "", **how: Any) -> None:
        """`call`: regular expression; earlier answers go first. `how`: err, code, sleep_s, times."""
        self.answers.append({"call": call, "out": out, **how})

    def run(self, script: str, *arguments: str) -> Ended:
        tools = self.folder / "bin"
        tools.mkdir(exist_ok=True)
        for name in self.commands:
            # -I -S: no site packages are read, which halves the time of a call
            (tools / name).write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {tools / "real" / name} "$@"\n')
            (tools / name).chmod(0o755)
            (tools / "real").mkdir(exist_ok=True)
            if not (tools / "real" / name).exists():
                (tools / "real" / name).symlink_to(STUB)
        known = {"AZURE_SUBSCRIPTION_ID": SUBSCRIPTION, **self.values}  # azd asks for it before anything else
        values = "".join(f'{name}="{value}"\n' for name, value in known.items())
        answers = [*self.answers, {"call": "^azd env get-values", "out": values}]
        (self.folder / "answers").write_bytes(marshal.dumps((AZ, answers)))
        done = subprocess.run(
            [os.environ.get("TEST_BASH", "bash"), str(ROOT / script), *arguments],
            cwd=self.folder,
            env={
                "PATH": f"{tools}:/usr/local/bin:/usr/bin:/bin", "HOME": str(self.folder), "STUB_DIR": str(self.folder),
                "RETRY_DELAY_S": "0", "POLL_S": "0", "PYTHON": sys.executable, "LC_ALL": "C.UTF-8", **self.env,
            },
            input=self.stdin, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        log = self.folder / "calls"
        calls = [ast.literal_eval(line) for line in log.read_text().splitlines()] if log.exists() else []
        if os.environ.get("RECORD_AZ"):
            with open(os.environ["RECORD_AZ"], "a") as file:
                file.writelines(json.dumps(call[1:]) + "\n" for call in calls if call[0] == "az")
        refused = self.folder / "refused"
        assert not refused.exists(), f"the real az refuses: {refused.read_text()}"
        return Ended(done.returncode, done.stdout, done.stderr, calls)


def option(call: list[str], name: str) -> str:
    """What follows the option. Raises ValueError where the call has none of that name."""
    return call[call.index(name) + 1]


def few(bench: Bench, rows: list[list[str]] = ROLES[:2]) -> None:
    """Two roles, so that a test of failures needs few calls."""
    table = bench.folder / "roles.tsv"
    table.write_text("".join("\t".join(row) + "\n" for row in rows))
    bench.env["ROLES_FILE"] = str(table)
