"""The milder profile of the sandbox, in which COLMAP runs. A real process."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from tests.attacks import ROOT, needs_landlock, refused

pytestmark = needs_landlock

MILD = """
import ctypes, json, os, socket, sys
from pathlib import Path
from runner.sandbox import lockdown, seccomp
own, other = Path(sys.argv[1]), Path(sys.argv[2])
lockdown.complete([own], read=None, rules=seccomp.NO_NETWORK)
def tried(action):
    try:
        return {"done": str(action())[:20]}
    except OSError as exc:
        return {"refused": exc.strerror}
print(json.dumps({
    "read": tried(lambda: Path("/etc/hostname").exists()),
    "folder": tried(lambda: (own / "new").mkdir()),
    "write": tried(lambda: (own / "new" / "file").write_text("x")),
    "socket": tried(lambda: socket.socket(socket.AF_INET)),
    "local": tried(lambda: socket.socket(socket.AF_UNIX)),
    "outside": tried(lambda: (other / "file").write_text("x")),
    "environment": tried(lambda: Path(f"/proc/{os.getppid()}/environ").read_bytes()),
    "dumpable": tried(lambda: ctypes.CDLL(None).prctl(3)),
}), flush=True)
os.execv("/bin/sh", ["sh", "-c", "echo started"])
"""


def test_reconstruction_writes_its_workspace_and_has_no_network_and_starts_nothing(own: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", MILD, str(own), str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    found = json.loads(done.stdout)
    assert found.pop("dumpable") == {"done": "0"}, "others of its user may look into it"
    assert {name for name, outcome in found.items() if "done" in outcome} == {"read", "folder", "write"}
    assert all(refused(found[name]) for name in ("socket", "local", "outside", "environment"))
    assert done.returncode == -signal.SIGSYS
    assert "started" not in done.stdout
