"""Free disk space, and the check that a job fits."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from scenejobs.errors import Code, ResourceError

GB = 1e9
# A job needs its inputs, the chosen frames twice (as filmed and undistorted), the model and the outputs.
WORKSPACE_FACTOR = 2.0  # bytes of workspace per byte of input


def free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def lacking(folders: Iterable[Path], reserve_gb: float) -> str:
    """Which of the folders' disks has less free than the reserve, in words; "" where none has."""
    for folder in folders:
        try:
            free = free_bytes(folder)
        except OSError as exc:
            return f"{folder} cannot be looked at: {exc.strerror}"
        if free < reserve_gb * GB:
            return f"{free / GB:.1f} GB are free in {folder}, {reserve_gb:g} GB are asked for (MIN_DISK_SPACE_GB)"
    return ""


def lacks_space(folder: Path, *, input_bytes: int, reserve_gb: float) -> str:
    """Why a job with these inputs would not fit, with the sizes; "" where it would."""
    needed, free = int(input_bytes * WORKSPACE_FACTOR + reserve_gb * GB), free_bytes(folder)
    if free >= needed:
        return ""
    return (
        f"{free / GB:.1f} GB are free in {folder}, {needed / GB:.1f} GB are needed "
        f"({input_bytes / GB:.1f} GB of input x {WORKSPACE_FACTOR:g}, {reserve_gb:g} GB in reserve)"
    )


def require_space(folder: Path, *, input_bytes: int, reserve_gb: float) -> None:
    """Raises ResourceError(DISK_FULL) with the sizes when a job with these inputs would not fit."""
    if why := lacks_space(folder, input_bytes=input_bytes, reserve_gb=reserve_gb):
        raise ResourceError(
            why,
            code=Code.DISK_FULL,
            advice="give the runner a larger disk, or point TEMP_PATH to one; MIN_DISK_SPACE_GB sets the reserve",
            stage="validation",
        )
