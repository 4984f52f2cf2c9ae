"""The sandbox of a user without privileges, and of root without rights. Real processes; see tests/hostile.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from runner.sandbox import lockdown
from tests.attacks import ROOT, needs_landlock, refused

pytestmark = needs_landlock


# ---- the milder profile of structure from motion ---------------------------------------------------------------------

SYSTEM_PYTHON = "/usr/bin/python3"
AS_A_USER = """
import json, os, sys
from pathlib import Path
from runner.process import linux
from tests.attacks import attack, layers_of
os.chdir(sys.argv[1])
os.setgroups([]); os.setresgid(54321, 54321, 54321); os.setresuid(54321, 54321, 54321)
command = (sys.argv[2], "-P", "-m", "tests.hostile")
own = Path(sys.argv[1]) / "own"
own.mkdir()
(Path(sys.argv[1]) / "other").write_text("canary-secret")
linux.prctl(linux.PR_SET_DUMPABLE, 1)  # as after a start; the change of the user above cleared it
before = attack("parent_environment", mode="off", command=command)
linux.harden_against_neighbours()
print(json.dumps({
    "open": before,
    "hardened": attack("parent_environment", mode="off", command=command),
    "layers": layers_of(own, command),
    "attacks": {
        name: attack(name, own, command=command, **arguments) for name, arguments in {
            "honest_work": {}, "parent_environment": {}, "parent_memory": {}, "fork": {}, "kill_parent": {},
            "connect": {"host": "127.0.0.1", "port": 9}, "read_file": {"path": sys.argv[1] + "/other"},
            "write_file": {"path": sys.argv[1] + "/other"},
        }.items()
    },
}))
"""


def _system_python_is_new_enough() -> bool:
    if not Path(SYSTEM_PYTHON).exists():
        return False
    asked = [SYSTEM_PYTHON, "-c", "import sys; print(sys.version_info >= (3, 11))"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip() == "True"


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to become another user")
@pytest.mark.skipif(not _system_python_is_new_enough(), reason="needs a Python that other users can reach")
def test_a_user_without_privileges_is_closed_in_by_the_other_layers(tmp_path_factory: pytest.TempPathFactory) -> None:
    """As in a container that runs as user 10001: parent and decoder are the same user.

    And a runner that has hardened itself is closed even to a neighbour without any sandbox.
    """
    folder = tmp_path_factory.mktemp("user")
    for path in (folder, *folder.parents):
        if path.owner() == "root" and str(path) not in ("/", "/tmp"):
            path.chmod(0o755)
    folder.chmod(0o777)
    done = subprocess.run(
        [sys.executable, "-c", AS_A_USER, str(folder), SYSTEM_PYTHON],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert "done" in found["open"]
    assert refused(found["hardened"])
    assert lockdown.missing(found["layers"]) == []
    assert lockdown.OWN_USER not in found["layers"]
    assert found["attacks"].pop("honest_work") == {"done": "frame"}
    assert {name: outcome for name, outcome in found["attacks"].items() if not refused(outcome)} == {}


@pytest.mark.skipif(os.getuid() != 0, reason="needs root, to be root without rights")
def test_root_without_capabilities_does_its_work_as_any_user(own: Path) -> None:
    """As in a container with `--user 0 --cap-drop ALL`: it may not become another user, which ended every decoder."""
    program = (
        "import sys; from pathlib import Path\n"
        "from runner.process import linux; from runner.sandbox import run as sandbox\n"
        "from tests.attacks import attack\n"
        "assert sandbox.own_user() is not None\n"
        "linux.drop_capabilities(); assert sandbox.own_user() is None\n"
        "print(attack('honest_work', Path(sys.argv[1])))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(own)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "{'done': 'frame'}\n", done.stderr
