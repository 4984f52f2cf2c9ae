"""What keeps a blob from being deleted or read, and who can end it: the same words in every adapter."""

from __future__ import annotations

SNAPSHOTS = "it has snapshots: delete them (az storage blob delete --delete-snapshots only), or the upload with them"
LEASED = "somebody holds a lease on it: end it (az storage blob lease break --lease-break-period 0)"
LEGAL_HOLD = "a legal hold is on it: end it"
IMMUTABLE = "an immutability policy holds it: wait until it ends"
ARCHIVED = (
    "rehydrate it (az storage blob set-tier --tier Hot), which takes up to 15 hours, or delete it and upload it again"
)
REHYDRATING = "it is being rehydrated, which takes up to 15 hours"
