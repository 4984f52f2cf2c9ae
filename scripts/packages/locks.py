"""Every list of packages with exact versions in this repository: which there are, for what, and what is in them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, order=True)
class Package:
    """One package at one version."""

    ecosystem: str  # as OSV calls it: PyPI, npm
    name: str  # normalised as the ecosystem does
    version: str


def python_packages(text: str) -> list[Package]:
    """Of a requirements file, with or without hashes; lines without an exact version are refused with ValueError."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        wanted = re.split(r"\s(?:--|;|#)", f" {line.strip()}")[0].strip()
        if not wanted or line.startswith("#"):
            continue
        match = re.fullmatch(r"([\w.-]+)==([\w.+!]+)", wanted)
        if not match:
            raise ValueError(f"not a package with an exact version: {line!r}")
        found.append(Package("PyPI", re.sub(r"[-_.]+", "-", match[1]).lower(), match[2]))
    return found


def node_packages(text: str) -> list[Package]:
    """Of a package-lock.json of version 2 or 3, but for the project itself."""
    entries = json.loads(text)["packages"]
    return [
        Package("npm", path.rpartition("node_modules/")[2], each["version"]) for path, each in entries.items() if path
    ]


@dataclass(frozen=True)
class Lock:
    """One file of packages."""

    path: str
    use: str  # what is made of it
    shipped: bool = False  # in what is deployed or in an image
    whole: bool = True  # packages behind the named ones are in it too

    def packages(self, root: Path = ROOT) -> list[Package]:
        read: Callable[[str], list[Package]] = node_packages if self.path.endswith(".json") else python_packages
        return read((root / self.path).read_text())


LOCKS = (
    Lock("requirements.txt", "function app", shipped=True),
    Lock("runner/image/gpu-cuda13.lock", "GPU image", shipped=True),
    Lock("runner/image/gpu-cuda12.lock", "GPU image, older drivers", shipped=True),
    Lock("runner/image/kernels.lock", "GPU images: the kernels", shipped=True),
    Lock("runner/image/cpu.lock", "CPU image", shipped=True),
    Lock("runner/image/build-cuda13.lock", "compiler of the kernels, not in the image"),
    Lock("runner/image/build-cuda12.lock", "compiler of the kernels, not in the image"),
    Lock("local/requirements.txt", "emulated cloud", whole=False),
    Lock("local/azurite/package-lock.json", "storage emulator"),
    Lock("local/azurite/requirements.txt", "Node of the storage emulator", whole=False),
    Lock("runner/requirements.txt", "a desk", whole=False),
    Lock("scenejobs/requirements.txt", "the command line", whole=False),
    Lock("tests/requirements.txt", "tests", whole=False),
    Lock("tests/infra/azcli/requirements.lock", "tests: az"),
    Lock("tests/infra/kubernetes/requirements.lock", "tests: manifests"),
    Lock("tests/infra/sbom/requirements.lock", "tests: SBOMs"),
    Lock("tests/infra/kusto/package-lock.json", "tests: queries"),
    Lock("tests/axe/package-lock.json", "tests: pages"),
    Lock("tests/readers/package-lock.json", "tests: foreign readers"),
)
