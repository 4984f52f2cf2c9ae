"""What others put on a blob: snapshots, leases without end, legal holds, immutability policies, rights, tiers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from scenejobs.adapters import kept
from scenejobs.adapters.memory.clock import Clock
from scenejobs.errors import AccessDenied, Code, Conflict, StorageError

Verb = Literal["read", "write", "delete"]
ROLE_ADVICE = "give the identity the role Storage Blob Data Contributor on the container"


@dataclass
class Guards:
    """Of one name. Tests set what they want; the answers are those of the service."""

    snapshots: int = 0
    legal_hold: bool = False
    immutable_until: datetime | None = None
    denied: frozenset[Verb] = frozenset()  # what the identity has no right to
    tier: str = ""  # "Archive": it cannot be read; "": the account's default
    rehydrated_at: datetime | None = None  # when a rehydration that is under way ends

    def check(self, verb: Verb, what: str, clock: Clock) -> None:
        """Raises what the service answers. `what`: "input/lobby/a.mp4"."""
        if verb in self.denied:
            raise AccessDenied(f"{what}: no right to {verb} it", advice=ROLE_ADVICE)
        if verb in ("read", "write") and self.in_archive_tier(clock):
            advice = kept.REHYDRATING if self.rehydrated_at else kept.ARCHIVED
            raise StorageError(f"{what} is in the archive tier", code=Code.ARCHIVE_TIER, advice=advice)
        if verb == "read":
            return
        if self.legal_hold:
            raise Conflict(f"{what} is immutable (BlobImmutableDueToLegalHold)", advice=kept.LEGAL_HOLD)
        if self.immutable_until is not None and clock() < self.immutable_until:
            raise Conflict(f"{what} is immutable (BlobImmutableDueToPolicy)", advice=kept.IMMUTABLE)
        if verb == "delete" and self.snapshots:
            raise Conflict(f"{what} has snapshots (SnapshotsPresent)", advice=kept.SNAPSHOTS)

    def in_archive_tier(self, clock: Clock) -> bool:
        """Ends a rehydration whose time is up."""
        if self.rehydrated_at is not None and clock() >= self.rehydrated_at:
            self.tier, self.rehydrated_at = "Hot", None
        return self.tier == "Archive"
