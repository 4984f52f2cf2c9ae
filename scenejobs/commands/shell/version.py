"""`--version`: of the package where it is installed, and of what matters to whoever is asked for it."""

from __future__ import annotations

import platform
import tomllib
from importlib import metadata
from pathlib import Path

PACKAGE = "video-splat-processor"


def version() -> str:
    """ "0.1.0"; in a copy of the repository that is not installed, as in an image, what its pyproject.toml says."""
    try:
        return metadata.version(PACKAGE)
    except metadata.PackageNotFoundError:
        project = Path(__file__).parents[3] / "pyproject.toml"
        return str(tomllib.loads(project.read_text())["project"]["version"]) if project.is_file() else "unknown"


def line(program: str) -> str:
    return f"{program} {version()}, Python {platform.python_version()}"
