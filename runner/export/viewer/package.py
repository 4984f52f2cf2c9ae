"""The files of PlayCanvas' SuperSplat viewer, and whether a folder holds them.

The package is not shipped, and nothing is downloaded: npm puts it where SUPERSPLAT_VIEWER says (docs/viewer.md). Its
files are known by their SHA-256, as the page is filled in at places of this version.
Light: asked before any work begins.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from scenejobs.errors import Code, ConfigurationError

PACKAGE = "@playcanvas/supersplat-viewer@1.36.2"
FILES = {
    "index.html": "21381017582935284d114befef0a41281d9bd4d4c532eb9b1b24b6a48328fc95",
    "index.css": "92e50eab13d86bb6bd32ee62e0b60a42d25cd2047e49cc67d53d49e20d71c1da",
    "index.js": "dc22b4a2c813747cb68f0bc43cc735eeb84ec458682e37358cc93f078d1d7fe7",
}

ADVICE = (
    f"npm install --ignore-scripts {PACKAGE}, and name node_modules/{PACKAGE.rpartition('@')[0]} (docs/viewer.md); "
    "or unset VIEWER"
)


@dataclass(frozen=True)
class Package:
    """Where npm put it."""

    folder: Path

    def check(self) -> None:
        """Raises ConfigurationError, which names the file that is missing or another."""
        self._files()

    def page(self) -> dict[str, str]:
        """The text of its files. Raises as `check` does."""
        return {name: data.decode() for name, data in self._files().items()}

    def _files(self) -> dict[str, bytes]:
        return {name: self._file(self.folder / "public" / name, sha256) for name, sha256 in FILES.items()}

    def _file(self, path: Path, sha256: str) -> bytes:
        try:
            data = path.read_bytes()
        except OSError as exc:
            raise self._refused(f"public/{path.name} cannot be read ({exc.strerror})") from exc
        if hashlib.sha256(data).hexdigest() != sha256:
            raise self._refused(f"public/{path.name} is not the one of {PACKAGE}")
        return data

    def _refused(self, cause: str) -> ConfigurationError:
        return ConfigurationError(
            f"SUPERSPLAT_VIEWER={self.folder}: {cause}",
            code=Code.INVALID_SETTING,
            advice=ADVICE,
            stage="configuration",
        )
