"""What holds for every script of scripts/ and infra/, with stubs in the place of az and azd.

Each of them, or a few that belong together, has tests of its own: test_*_script.py, test_*_scripts.py, test_aci.py,
test_vm.py.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scenejobs.state.layout import MANIFEST
from tests.infra.scripted import ROOT, SIGNED_OUT, Bench

SCRIPTS = sorted(
    path.relative_to(ROOT).as_posix() for folder in ("scripts", "infra") for path in (ROOT / folder).rglob("*.sh")
)
PROGRAMS = [name for name in SCRIPTS if not name.startswith("scripts/lib")]


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


def test_the_answer_of_the_real_az_is_kept_for_a_version() -> None:
    table = json.loads(Path(__file__).with_name("az_commands.json").read_text())
    assert re.match(r"\d+\.\d+", table["azure-cli"])
    assert "--assignee-object-id" in table["commands"]["role assignment create"]
    assert MANIFEST in (ROOT / "scripts/azure-test.sh").read_text()
