"""Locked npm packages that tests use: installed once into .local, by the Node of this Python environment."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.azurite import node, npm_ci


@dataclass(frozen=True)
class LockedPackages:
    """A folder with package.json and package-lock.json, and where `npm ci` puts what they name."""

    locked: Path
    installed: Path

    @property
    def is_installed(self) -> bool:
        stamp = self.installed / "installed"
        return stamp.is_file() and stamp.read_text() == self._wanted()

    def install(self) -> bool:
        """False when they were installed already. Raises InfrastructureError where npm fails."""
        if self.is_installed:
            return False
        self.installed.mkdir(parents=True, exist_ok=True)
        npm_ci(self.locked, self.installed, self.locked.name)
        (self.installed / "installed").write_text(self._wanted())
        return True

    def run(self, script: str, *arguments: str) -> str:
        """What a script of the locked folder prints. It runs beside the packages, so that it can import them."""
        copied = self.installed / script
        shutil.copyfile(self.locked / script, copied)
        return self._node(str(copied), *arguments)

    def run_program(self, path: str, *arguments: str) -> str:
        """What a program of a package prints; `path` is below node_modules."""
        return self._node(str(self.installed / "node_modules" / path), *arguments)

    def _node(self, *arguments: str) -> str:
        done = subprocess.run([str(node()), *arguments], capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise RuntimeError(f"{Path(arguments[0]).name}: {done.stderr[-2000:]}")
        return done.stdout

    def _wanted(self) -> str:
        return hashlib.sha256((self.locked / "package-lock.json").read_bytes()).hexdigest()
