"""axe-core, which looks in a page for what people with a screen reader, a keyboard or weak eyes cannot use.

python -m tests.axe install      npm ci into .local/axe, once per package-lock.json
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from local.azurite import node
from tests.browser import Page

LOCKED = Path(__file__).parent
INSTALLED = LOCKED.parents[1] / ".local" / "axe"
SCRIPT = INSTALLED / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")  # of the four impacts: what keeps somebody from using the page


def install() -> bool:
    """Installs the locked package. False when it was installed already. Raises RuntimeError where npm fails."""
    if is_installed():
        return False
    INSTALLED.mkdir(parents=True, exist_ok=True)
    for file in ("package.json", "package-lock.json"):
        shutil.copyfile(LOCKED / file, INSTALLED / file)
    npm = node().parents[1] / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    command = [str(node()), str(npm), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
    env = {**os.environ, "PATH": f"{node().parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    done = subprocess.run(command, cwd=INSTALLED, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"npm could not install axe-core:\n{done.stderr[-2000:]}")
    (INSTALLED / "installed").write_text(_wanted())
    return True


def is_installed() -> bool:
    stamp = INSTALLED / "installed"
    return stamp.is_file() and stamp.read_text() == _wanted()


def findings(page: Page) -> dict[str, list[str]]:
    """Rule and why it matters -> the elements that break it; serious and critical ones of the page as it stands."""
    page.value(SCRIPT.read_text(encoding="utf-8") + "; undefined")
    found = json.loads(page.value("axe.run().then(result => JSON.stringify(result.violations))"))
    return {
        f"{rule['id']}: {rule['help']}": [
            node["html"] + " " + str(node.get("failureSummary")) for node in rule["nodes"]
        ]
        for rule in found
        if rule["impact"] in SERIOUS
    }


def _wanted() -> str:
    return hashlib.sha256((LOCKED / "package-lock.json").read_bytes()).hexdigest()
