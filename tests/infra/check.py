"""`make infra-check`: the templates by the real compiler where it is, and every KQL query by Kusto's language service.

    python -m tests.infra.check [--require-bicep]

The compiler is `bicep` on the path, in BICEP, or where azd keeps its own (~/.azd/bin). It compiles and lints every
template that is deployed by itself and resolves the parameter files of infra/check. A warning is a failure. Without the
compiler it says so, and since when nothing was compiled; the exit code is 0 all the same, 1 with --require-bicep.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.infra.kusto import queries
from tests.infra.templates.deployed import INFRA

TEMPLATES = ("main.bicep", "roles.bicep", "eventgrid-subscription.bicep")  # the others are modules of them
COMPILED = ("064463b", "0.49.2", "2026-11-28")  # the last commit that the compiler saw, its version, the day
SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"


def compiler() -> str | None:
    """Its path; None where it is not."""
    found = os.environ.get("BICEP") or shutil.which("bicep")
    azds = Path.home() / ".azd" / "bin" / "bicep"
    return found or (str(azds) if azds.is_file() else None)


def complaints(command: list[str]) -> list[str]:
    """What it says that is no plain success: errors, warnings, an exit code."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [line for line in done.stderr.splitlines() if re.search(r"\b(?:Error|Warning)\b", line)]
    if done.returncode and not lines:
        lines = [f"{' '.join(command[1:])} ended with {done.returncode}: {done.stderr.strip()[-400:]}"]
    return lines


def compile_all(bicep: str) -> list[str]:
    """Compiles, lints and resolves in a copy, since snapshots are written beside their parameters."""
    found: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "infra"
        shutil.copytree(INFRA, copy)
        for name in TEMPLATES:
            found += complaints([bicep, "build", str(copy / name), "--outfile", str(Path(folder) / "compiled.json")])
            found += complaints([bicep, "lint", str(copy / name)])
        for path in sorted((copy / "check").glob("*.bicepparam")):
            place = ["--subscription-id", SUBSCRIPTION, "--location", "swedencentral"]
            found += complaints([bicep, "build-params", str(path), "--outfile", str(Path(folder) / "params.json")])
            found += complaints([bicep, "snapshot", str(path), "--mode", "overwrite", *place])
    return found


def main(arguments: list[str]) -> int:
    code = queries.main([])
    bicep = compiler()
    if bicep is None:
        commit, version, day = COMPILED
        print(
            f"NOT COMPILED: there is no bicep here. Compiled last: commit {commit}, Bicep {version}, {day}; what"
            f" changed since (git log {commit}.. -- infra) was only parsed and worked out by tests/infra."
        )
        return 1 if "--require-bicep" in arguments else code
    found = compile_all(bicep)
    for line in found:
        print(line, file=sys.stderr)
    print(f"{len(TEMPLATES)} templates and their parameter files, {len(found)} errors and warnings ({bicep})")
    return 1 if found else code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
