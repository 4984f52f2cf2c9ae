"""The package as a person installs it: its wheel, in an environment of its own, used outside the repository."""

from __future__ import annotations

import shutil
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

from tests.infra.containers.images import ROOT, ours

SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def build(folder: Path) -> Path:
    """The wheel, built by pip of a copy of the repository's files: the build leaves nothing in a checkout."""
    source = folder / "source"
    for name in ours():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    _pip("wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder), str(source))
    (wheel,) = folder.glob("*.whl")
    return wheel


def _pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


@dataclass(frozen=True)
class Installed:
    """An environment with the wheel. What it needs comes from the packages of this Python, which pip would fetch.

    home: of the user who works there, and the folder that commands run in.
    """

    folder: Path
    home: Path

    @property
    def bin(self) -> Path:
        return self.folder / "bin"

    @property
    def env(self) -> dict[str, str]:
        """Of a fresh shell with the environment activated: nothing of this process's own."""
        return {
            "PATH": f"{self.bin}:{SYSTEM_PATH}", "HOME": str(self.home), "LANG": "C.UTF-8", "TMPDIR": str(self.home),
            "VIRTUAL_ENV": str(self.folder), "OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "100",
        }  # fmt: skip

    def shell(
        self, text: str, cwd: Path | None = None, timeout_s: float = 240, **env: str
    ) -> subprocess.CompletedProcess[str]:
        """What a person who pastes `text` into a shell gets."""
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-euo", "pipefail", "-c", text], cwd=cwd or self.home,
            env={**self.env, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
            timeout=timeout_s,
        )  # fmt: skip


def install(wheel: Path, folder: Path) -> Installed:
    environment, home = folder / "environment", folder / "home"
    home.mkdir()
    venv.create(environment, with_pip=False)
    packages = environment / f"lib/python{sys.version_info.major}.{sys.version_info.minor}/site-packages"
    (packages / "needed.pth").write_text(f"{sysconfig.get_path('purelib')}\n{sysconfig.get_path('platlib')}\n")
    _pip("--python", str(environment / "bin/python"), "install", "--no-compile", "--no-deps", "--no-index", str(wheel))
    return Installed(environment, home)
