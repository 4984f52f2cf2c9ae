"""axe-core, which looks in a page for what people with a screen reader, a keyboard or weak eyes cannot use.

python -m tests.axe install      npm ci into .local/axe, once per package-lock.json
"""

from __future__ import annotations

import json
from pathlib import Path

from tests.browser import Page
from tests.npm import LockedPackages

LOCKED = Path(__file__).parent
PACKAGES = LockedPackages(LOCKED, LOCKED.parents[1] / ".local" / "axe")
SCRIPT = PACKAGES.installed / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")  # of the four impacts: what keeps somebody from using the page


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
