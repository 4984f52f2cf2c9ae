"""Where the emulated cloud finds its own files and keeps what it makes: in a checkout, or installed as a package."""

from __future__ import annotations

import os
import sysconfig
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]  # holds the packages: `local`, `scenejobs`, ...
IN_CHECKOUT = (ROOT / "pyproject.toml").is_file()
INSTALLED_HOST_JSON = Path(sysconfig.get_path("data")) / "share/video-splat/host.json"  # see pyproject.toml
HOST_JSON = ROOT / "host.json" if (ROOT / "host.json").is_file() else INSTALLED_HOST_JSON
LOCKED = Path(__file__).parent / "azurite"  # package.json and package-lock.json of the storage emulator


def kept() -> Path:
    """For what is installed or made once: `.local` of a checkout, else a folder in the user's cache."""
    if IN_CHECKOUT:
        return ROOT / ".local"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "video-splat"


def shown(path: Path) -> Path:
    """As a person who is in the current folder would type it."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
