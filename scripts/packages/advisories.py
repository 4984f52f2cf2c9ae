"""Advisories in the format of OSV (https://ossf.github.io/osv-schema/): is a version affected, and what mends it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

from scripts.packages.locks import Package


@dataclass(frozen=True, order=True)
class Advisory:
    """One advisory about one package at one version."""

    package: Package
    id: str
    aliases: tuple[str, ...] = ()  # CVE first
    summary: str = ""
    fixed: str = ""  # the least version above that mends it; "": none is known


def public(version: str) -> str:
    """Without the local part: advisories know `2.13.0`, not the build `2.13.0+cpu`."""
    return version.partition("+")[0]


def _number(text: str) -> Version:
    return Version("0") if text == "0" else Version(text)


def _of(record: Mapping[str, Any], package: Package) -> Iterator[Mapping[str, Any]]:
    for each in record.get("affected") or ():
        about = each.get("package", {})
        if (about.get("ecosystem"), str(about.get("name", "")).lower()) == (package.ecosystem, package.name.lower()):
            yield each


def _in_range(events: Sequence[Mapping[str, str]], version: Version) -> bool:
    """By OSV's rule: events in the order of their versions, each of which switches on or off."""
    known = [(kind, _number(text)) for event in events for kind, text in event.items()]
    affected = False
    for kind, at in sorted(known, key=lambda event: event[1]):
        if kind == "introduced" and version >= at:
            affected = True
        elif (kind == "fixed" and version >= at) or (kind == "last_affected" and version > at):
            affected = False
    return affected


def affects(record: Mapping[str, Any], package: Package) -> bool:
    """For PyPI, whose versions are compared by PEP 440. A record that was withdrawn affects nothing."""
    if record.get("withdrawn"):
        return False
    version = public(package.version)
    for each in _of(record, package):
        ranges = [one["events"] for one in each.get("ranges", ()) if one["type"] == "ECOSYSTEM"]
        if version in each.get("versions", ()) or any(_in_range(events, Version(version)) for events in ranges):
            return True
    return False


def advisory(record: Mapping[str, Any], package: Package) -> Advisory:
    """What a person reads of a record that affects the package."""
    later = []
    for each in _of(record, package):
        for one in each.get("ranges", ()):
            for event in one["events"] if one["type"] != "GIT" else ():
                try:
                    if "fixed" in event and Version(event["fixed"]) > Version(public(package.version)):
                        later.append(Version(event["fixed"]))
                except InvalidVersion:
                    continue
    aliases = sorted(record.get("aliases") or (), key=lambda name: (not name.startswith("CVE-"), name))
    text = record.get("summary") or (record.get("details") or "").strip().partition("\n")[0]
    return Advisory(package, record["id"], tuple(aliases), text, str(min(later)) if later else "")
