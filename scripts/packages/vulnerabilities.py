"""Known vulnerabilities of every lock: `make vulnerabilities`.

    python -m scripts.packages.vulnerabilities [--service URL] [--database FOLDER] [--page FILE]

Asks the service of OSV, or with --database a copy of pypa/advisory-database, and writes docs/vulnerabilities.md.
Exit code 0: every package was looked up and nothing is known against one but what accepted.tsv accepts; 1: something
is; 3: not everything was looked up, or in a source that is older than a month. A lookup that failed is never a good
answer: pip-audit, for one, ends with 0 where the index answers 404 for every package.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from scripts.packages.locks import LOCKS, ROOT, Lock, Package
from scripts.packages.sources import SERVICE, Answer, Database, NotLookedUp, Osv, Source

ACCEPTED = Path(__file__).with_name("accepted.tsv")
PAGE = ROOT / "docs/vulnerabilities.md"
STALE_DAYS = 31
HEAD = """# Known vulnerabilities

Written by `make vulnerabilities` ([how and when](versions.md)).
"""


def accepted(text: str) -> dict[str, str]:
    """Reasons by the advisory's id."""
    lines = [line.split("\t") for line in text.splitlines() if line and line[0] != "#"]
    return {identity: reason for identity, reason in lines}


def page(
    locks: Sequence[tuple[Lock, Sequence[Package]]], answer: Answer, allowed: Mapping[str, str], today: date
) -> str:
    """The result as a document."""
    age = (today - answer.newest).days
    lines = [HEAD, f"Looked up on {today} in {answer.source}."]
    if age > STALE_DAYS:
        lines.append(f"**That source is {age} days old: what became known since is not in this page.**")
    lines += ["", "| list | for | packages | looked up | advisories |", "| --- | --- | --- | --- | --- |"]
    for lock, packages in locks:
        known = {each.id for each in answer.advisories if each.package in packages}
        cells = (f"`{lock.path}`", lock.use, len(set(packages)), len(answer.looked_up & set(packages)), len(known))
        lines.append(f"| {' | '.join(map(str, cells))} |")
    if answer.advisories:
        lines += [
            "",
            "| package | advisory | mended in | about | accepted, because |",
            "| --- | --- | --- | --- | --- |",
        ]
        for each in sorted(answer.advisories):
            names = ", ".join((each.id, *each.aliases))
            about = each.summary.replace("|", "\\|")[:200]
            lines.append(
                f"| {each.package.name} {each.package.version} | {names} | {each.fixed or 'nothing yet'} | {about} "
                f"| {allowed.get(each.id, '**no**')} |"
            )
    return "\n".join(lines) + "\n"


def verdict(
    locks: Sequence[tuple[Lock, Sequence[Package]]], answer: Answer, allowed: Mapping[str, str], today: date
) -> int:
    """The exit code. Advisories come first: they are known whatever else is not."""
    if any(each.id not in allowed for each in answer.advisories):
        return 1
    missing = {package for _, packages in locks for package in packages} - answer.looked_up
    return 3 if missing or (today - answer.newest).days > STALE_DAYS else 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--service", default=SERVICE, help="address of OSV's service")
    parser.add_argument("--database", type=Path, help="a copy of pypa/advisory-database, in the service's place")
    parser.add_argument("--page", type=Path, default=PAGE)
    options = parser.parse_args(arguments)
    locks = [(lock, lock.packages()) for lock in LOCKS]
    source: Source = Database(options.database) if options.database else Osv(options.service)
    try:
        answer = source.ask({package for _, packages in locks for package in packages})
    except NotLookedUp as exc:
        print(f"not looked up, so nothing is known: {exc}", file=sys.stderr)
        return 3
    today, allowed = datetime.now(UTC).date(), accepted(ACCEPTED.read_text())
    options.page.write_text(page(locks, answer, allowed, today))
    code = verdict(locks, answer, allowed, today)
    words = {0: "nothing is known against them", 1: "advisories that are not accepted", 3: "not everything is known"}
    print(f"{len(answer.looked_up)} packages looked up in {answer.source}: {words[code]}; {options.page}")
    return code


if __name__ == "__main__":
    sys.exit(main())
