"""What holds for every script of scripts/ and infra/, with stubs in the place of az and azd.

Each of them, or a few that belong together, has tests of its own: test_*_script.py, test_*_scripts.py, test_aci.py,
test_vm.py.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scenejobs.state.layout import MANIFEST
from tests.infra.scripts.scripted import ROOT, SIGNED_OUT, Bench

SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("scripts", "infra") for path in (ROOT / folder).rglob("*.sh")
)
ALONE = ("infra/vm/prepare.sh", "infra/vm/pull.sh")  # run where the repository is not; tests/infra/scripts/test_vm.py
PROGRAMS = [name for name in SCRIPTS if not name.startswith("scripts/lib") and name not in ALONE]


def test_shellcheck_finds_nothing() -> None:
    files = [*SCRIPTS, *(path.relative_to(ROOT).as_posix() for path in (ROOT / "runner/image").glob("*.sh"))]
    tool = Path(sys.executable).with_name("shellcheck")
    done = subprocess.run(
        [tool, "-x", "-P", "SCRIPTDIR", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("script", PROGRAMS)
def test_every_script_stops_at_errors_and_runs_no_text_as_code(script: str) -> None:
    text = (ROOT / script).read_text()
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "\nset -euo pipefail\n" in text
    assert not re.search(r"^\s*eval\b|\bbash -c\b|\bsh -c\b", text, re.MULTILINE)
    assert "\nexec " in text or re.search(r'^\. "\$here/(?:\.\./|\.\./\.\./scripts/)?lib\.sh"$', text, re.MULTILINE)
    assert (ROOT / script).stat().st_mode & 0o111


@pytest.mark.parametrize("script", [name for name in PROGRAMS if "/e2e/" not in name and "acr-build" not in name])
def test_help_is_told_without_a_call_and_an_unknown_option_is_refused(script: str, bench: Bench) -> None:
    helped = bench.run(script, "--help")
    assert helped.code == 0
    assert script in helped.out
    assert bench.run(script, "--no-such-option").code == 2
    assert helped.calls == []


@pytest.mark.parametrize(
    "script", ["assign-rbac.sh", "verify-rbac.sh", "cleanup-rbac.sh", "run-job.sh", "deploy-job.sh"]
)
def test_signed_out_says_what_to_run(script: str, provisioned: Bench) -> None:
    provisioned.answers = [{"call": "^az ", "out": "", **SIGNED_OUT}]
    ended = provisioned.run(f"scripts/{script}")
    assert ended.code == 2
    assert "az login" in ended.err


def test_the_trial_looks_for_the_manifest_under_its_name() -> None:
    assert MANIFEST in (ROOT / "scripts/azure-test.sh").read_text()


MACOS = {  # what bash 3.2 or the tools of macOS do not know
    r"readlink -f|realpath ": "readlink -f", r"declare -A|local -A|typeset -A": "associative arrays",
    r"\b(mapfile|readarray|coproc)\b": "bash 4", r"\$\{\w+(,,|\^\^|@[A-Z])": "bash 4",
    r"date (-u )?(-d|--date)": "GNU date",
    r"sed -i": "GNU sed", r"grep -\w*P": "GNU grep", r"\|&|&>>": "bash 4",
    r"=~ [^$\]]*\(": "brackets in =~",
    r"\bwait -n\b|\[\[ -v ": "bash 4",
    r"stat -c|base64 -w|xargs -r|sort -V|head -n -|cp --|mktemp --|find [^|]*-printf|\bnproc\b|\btac\b": "GNU tools",
}  # fmt: skip


@pytest.mark.parametrize("script", [name for name in SCRIPTS if name != "infra/vm/setup.sh"])  # which runs on Linux
def test_a_script_uses_nothing_that_macos_lacks(script: str) -> None:
    lines = [line for line in (ROOT / script).read_text().splitlines() if not line.lstrip().startswith("#")]
    for pattern, why in MACOS.items():
        assert not [line for line in lines if re.search(pattern, line)], why


def test_without_timeout_a_call_ends_all_the_same() -> None:
    """macOS has none. 124 as timeout would say; the code and the input of a command that ends by itself are its own."""
    lib = f". {ROOT / 'scripts/lib.sh'}; limited_by_bash"
    for line, code, out in (("1 sleep 30", 124, ""), ("5 sh -c 'exit 7'", 7, ""), ("5 cat", 0, "text")):
        done = subprocess.run(
            ["bash", "-c", f"{lib} {line}"], input="text", capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout) == (code, out), line
