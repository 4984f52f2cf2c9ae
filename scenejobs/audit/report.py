"""All findings of one audit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from scenejobs.audit import check_pending, check_results, check_uploads
from scenejobs.audit.snapshot import Evidence, Finding
from scenejobs.names import scene_key
from scenejobs.ports import BlobStore


@dataclass(frozen=True)
class Report:
    """What an audit found."""

    findings: tuple[Finding, ...]
    scenes: int
    blobs: dict[str, int]  # by container kind

    @property
    def violations(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.violation)

    @property
    def notes(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if not finding.violation)

    def to_json(self) -> dict[str, Any]:
        return {
            "clean": not self.violations,
            "scenes": self.scenes,
            "blobs": self.blobs,
            "violations": [asdict(finding) for finding in self.violations],
            "notes": [asdict(finding) for finding in self.notes],
        }


def audit(evidence: Evidence, deep: BlobStore | None = None) -> Report:
    """`deep`: the output container, to read and hash every committed file."""
    found = [*evidence.damaged]
    for scene in evidence.scenes.values():
        said = [
            *check_uploads.check(evidence, scene),
            *check_results.check(evidence, scene),
            *check_pending.check(evidence, scene),
        ]
        found += said if not scene.moving else [_seen_half(finding) for finding in said]
    found += [_of_owner(evidence, finding) for finding in check_results.unexplained(evidence)]
    found += [*check_pending.uploads(evidence), *check_pending.state(evidence)]
    found += check_results.deep(evidence, deep) if deep is not None else []
    counts = {kind: len(blobs) for kind, blobs in evidence.blobs.items()}
    return Report(tuple(_known_damage_only(evidence, found)), len(evidence.scenes), counts)


def _seen_half(finding: Finding) -> Finding:
    """Somebody works on the scene at this moment. A lease held by nobody is the exception: it says just that."""
    if not finding.violation or finding.invariant == "I5" or "lease" in finding.what:
        return finding
    return replace(finding, violation=False, what=f"{finding.what} (work in progress: ask again)")


def _of_owner(evidence: Evidence, finding: Finding) -> Finding:
    owner = evidence.owner(finding.where.partition("/")[2])
    return _seen_half(finding) if owner is not None and (owner.moving or owner.is_being_erased) else finding


def _known_damage_only(evidence: Evidence, found: list[Finding]) -> Iterator[Finding]:
    """Without its record nothing can be said of a scene's blobs: that the record is unreadable says it all."""
    for finding in found:
        folder = finding.where.partition("/")[2].split("/")
        keys = {scene_key("/".join(folder[:count])) for count in range(1, len(folder))}
        if finding in evidence.damaged or not keys & evidence.damaged_keys:
            yield finding
