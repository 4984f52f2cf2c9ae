"""What on this machine will keep blobfuse2 from mounting, told before it starts: its own words name no remedy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

DEVICE = Path("/dev/fuse")
IN_A_CONTAINER = (
    "in a container give it --device /dev/fuse --cap-add SYS_ADMIN, with Docker's AppArmor profile also "
    "--security-opt apparmor=unconfined"
)


def doubts(
    path: str | None, *, user: int, device: Path = DEVICE, opening: Callable[[Path, int], int] = os.open
) -> list[str]:
    """One line each, with its remedy. path: where programs are looked for; user: our id (root needs no helper)."""
    found = []
    if user and not any(shutil.which(name, path=path) for name in ("fusermount3", "fusermount")):
        found.append("fusermount: command not found: install the package fuse3")
    try:
        os.close(opening(device, os.O_RDWR))
    except FileNotFoundError:
        found.append(f"FUSE device not found: {device}: {IN_A_CONTAINER}; on a machine of your own: modprobe fuse")
    except OSError as exc:
        found.append(f"{device}: {(exc.strerror or str(exc)).lower()} when mounting: {IN_A_CONTAINER}")
    return found
