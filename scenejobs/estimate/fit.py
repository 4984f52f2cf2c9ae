"""Whether a machine can hold a scene at all: by the sizes of its uploads, before one is started."""

from __future__ import annotations

UPLOADS_TIMES = 2.0  # as runner/files/disk.py asks for, before the first download


def disk_needed_gb(size_bytes: int, reserve_gb: float) -> float:
    """reserve_gb: MIN_DISK_SPACE_GB."""
    return UPLOADS_TIMES * size_bytes / 1e9 + reserve_gb


def why_not(scene: str, size_bytes: int, disk_gb: float, reserve_gb: float) -> str:
    """Why no execution is started for so many bytes of uploads; "": it fits. disk_gb: JOB_DISK_GB; 0: not known."""
    needed_gb = disk_needed_gb(size_bytes, reserve_gb)
    if not disk_gb or needed_gb <= disk_gb:
        return ""
    return (
        f"{size_bytes / 1e9:.1f} GB of uploads need {needed_gb:.1f} GB of disk, and an execution has {disk_gb:g} "
        f"(JOB_DISK_GB): take some of them out of input/{scene}/, upload smaller ones, or raise it"
    )
