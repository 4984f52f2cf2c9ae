"""Which program this is: the versions of what decides a result, and a digest of our own code."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import json
import sys

from runner.paths import RUNNER

PACKAGES = ("av", "numpy", "opencv-python-headless", "pycolmap", "torch", "numba", "gsplat")


def versions() -> dict[str, str]:
    """Of Python and the packages that decide the result, as installed."""
    found = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def program_digest() -> str:
    """One word that changes when the code of the runner or a version does. Nobody has to remember to raise a number."""
    digest = hashlib.sha256(json.dumps(versions()).encode())
    for path in sorted(RUNNER.rglob("*.py")):
        digest.update(path.relative_to(RUNNER).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
