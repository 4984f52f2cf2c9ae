"""Where advisories are looked up: the service of OSV, or a copy of PyPI's advisory database."""

from __future__ import annotations

import json
import re
import urllib.error
import urllib.request
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from scripts.packages.advisories import Advisory, advisory, affects, public
from scripts.packages.locks import Package

SERVICE = "https://api.osv.dev"
BATCH = 1000  # questions in one request, as the service documents it
TIMEOUT_S = 60


class NotLookedUp(Exception):
    """The source could not answer, so nothing is known."""


@dataclass(frozen=True)
class Answer:
    """What a source knows of some packages."""

    source: str  # for the reader, with its age
    newest: date  # of what it knows
    looked_up: frozenset[Package]
    advisories: tuple[Advisory, ...]


class Source(Protocol):
    """One place to ask."""

    def ask(self, packages: Collection[Package]) -> Answer:
        """Raises NotLookedUp."""


@dataclass(frozen=True)
class Osv:
    """The service (https://google.github.io/osv.dev/api/): which advisories there are in batches, then each of them."""

    url: str = SERVICE

    def ask(self, packages: Collection[Package]) -> Answer:
        asked = sorted(packages)
        found: list[tuple[Package, str]] = []
        waiting: list[tuple[Package, str]] = [(package, "") for package in asked]  # with the page to go on from
        while waiting:
            batch, waiting = waiting[:BATCH], waiting[BATCH:]
            results = self._call("/v1/querybatch", {"queries": [_query(*each) for each in batch]}).get("results", [])
            if len(results) != len(batch):
                raise NotLookedUp(f"{self.url} answered {len(results)} of {len(batch)} questions")
            for (package, _), result in zip(batch, results, strict=True):
                found += [(package, each["id"]) for each in result.get("vulns") or ()]
                if result.get("next_page_token"):
                    waiting.append((package, result["next_page_token"]))
        records = {identity: self._call(f"/v1/vulns/{identity}") for identity in sorted({each for _, each in found})}
        known = tuple(advisory(records[identity], package) for package, identity in found)
        return Answer(f"the service {self.url}", datetime.now(UTC).date(), frozenset(asked), known)

    def _call(self, path: str, body: Mapping[str, object] | None = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                found = json.load(answer)
        except (urllib.error.URLError, OSError, ValueError) as exc:
            raise NotLookedUp(f"{self.url}{path}: {exc}") from exc
        if not isinstance(found, dict):
            raise NotLookedUp(f"{self.url}{path} answered no object")
        return found


def _query(package: Package, page: str) -> dict[str, object]:
    query: dict[str, object] = {
        "package": {"name": package.name, "ecosystem": package.ecosystem}, "version": public(package.version),
    }  # fmt: skip
    return {**query, "page_token": page} if page else query


@dataclass(frozen=True)
class Database:
    """A copy of https://github.com/pypa/advisory-database: a folder for each package, a record in each file."""

    folder: Path

    def ask(self, packages: Collection[Package]) -> Answer:
        yaml: Any = import_module("yaml")  # of the tests' requirements, for this way alone
        files = list(self.folder.glob("vulns/*/*.yaml"))
        if not files:
            raise NotLookedUp(f"{self.folder} has no vulns/*/*.yaml: not a copy of pypa/advisory-database")
        changed = re.compile(r"^modified: ['\"]?(\d{4}-\d\d-\d\d)", re.MULTILINE)
        newest = date.fromisoformat(max(match[1] for path in files if (match := changed.search(path.read_text()))))
        asked = frozenset(each for each in packages if each.ecosystem == "PyPI")
        found = []
        for package in sorted(asked):
            for path in sorted(self.folder.glob(f"vulns/{package.name}/*.yaml")):
                record = yaml.load(path.read_text(), yaml.BaseLoader)
                if affects(record, package):
                    found.append(advisory(record, package))
        source = f"a copy of pypa/advisory-database, {len(files):,} records, the newest of {newest}"
        return Answer(source, newest, asked, tuple(found))
