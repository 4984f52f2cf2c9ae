"""Every KQL query of templates, scripts and documents, held against Kusto's published language service.

    python -m tests.infra.kusto.queries install      npm ci into .local/kusto, once per package-lock.json
    python -m tests.infra.kusto.queries              checks; exit code 1 where one does not parse or has wrong types

Which tables have which columns, and where that was read, is in tables.json.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from local.azurite import node
from tests.infra.scripts.scripted import ROOT
from tests.infra.templates.deployed import deploy
from tests.npm import LockedPackages

LOCKED = Path(__file__).parent
LANGUAGE_SERVICE = LockedPackages(LOCKED, ROOT / ".local" / "kusto")
PACKAGE = LANGUAGE_SERVICE.installed / "node_modules" / "@kusto" / "language-service-next"
FENCE = re.compile(r"```kusto\n(.*?)```", re.DOTALL)
IN_SCRIPT = re.compile(r"--analytics-query\s+(?:\"((?:[^\"\\]|\\.)*)\"|'([^']*)')", re.DOTALL)


def queries() -> dict[str, str]:
    """Where it stands -> the query: alert rules as they would be made, fenced blocks, arguments of scripts."""
    found: dict[str, str] = {}
    for rule in deploy().of("Microsoft.Insights/scheduledQueryRules"):
        for criterion in rule.body["properties"]["criteria"]["allOf"]:
            found[f"infra/modules/alerts.bicep: {rule.name}"] = criterion["query"]
    for page in (ROOT / "README.md", ROOT / "infra/README.md", *sorted((ROOT / "docs").rglob("*.md"))):
        for number, text in enumerate(FENCE.findall(page.read_text()), 1):
            found[f"{page.relative_to(ROOT)}, block {number}"] = text
    for script in sorted((ROOT / "scripts").rglob("*.sh")):
        for number, texts in enumerate(IN_SCRIPT.findall(script.read_text()), 1):
            text = re.sub(r"\\(.)", r"\1", texts[0]) if texts[0] else texts[1]
            found[f"{script.relative_to(ROOT)}, query {number}"] = re.sub(r"\$\{?(\w+)\}?", r"\1", text)
    return found


def check(texts: dict[str, str]) -> dict[str, list[str]]:
    """Name -> what the language service finds wrong; every name is there. Raises RuntimeError where it cannot run."""
    command = [str(node()), str(LOCKED / "check.js"), str(PACKAGE)]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the language service ended with {done.returncode}:\n{done.stderr[-2000:]}")
    found: dict[str, list[str]] = json.loads(done.stdout)
    return found


def main(arguments: list[str]) -> int:
    if arguments == ["install"]:
        print("installed" if LANGUAGE_SERVICE.install() else "already installed")
        return 0
    texts = queries()
    wrong = {name: found for name, found in check(texts).items() if found}
    for name, found in wrong.items():
        print(f"{name}: {'; '.join(found)}\n    {texts[name].strip()}", file=sys.stderr)
    print(f"{len(texts)} queries, {len(wrong)} wrong (Kusto's language service)")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
