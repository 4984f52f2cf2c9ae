"""Writes what is in each image as a software bill of materials (CycloneDX 1.6): `make sbom`.

    python -m scripts.sbom PYTHON

PYTHON: of an environment with tests/infra/sbom/requirements.lock. Its cyclonedx-py reads the locks that the images
install by hash; here they are joined by image, with the base image by its digest, and the result is held against the
published schema. Debian's packages are those of the base image, whose publisher lists them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "docs" / "sbom"
IMAGE = ROOT / "runner" / "image"
LOCKS: dict[str, tuple[Path, ...]] = {
    "gpu": (IMAGE / "gpu-cuda13.lock", IMAGE / "kernels.lock"),
    "gpu-cuda12": (IMAGE / "gpu-cuda12.lock", IMAGE / "kernels.lock"),
    "cpu": (IMAGE / "cpu.lock",),
    "cloud": (IMAGE / "cpu.lock", ROOT / "requirements.txt", ROOT / "local" / "requirements.txt"),
}
REMOVED = frozenset({"triton"})  # Dockerfile.runner takes it out again
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
problem = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(f"{problem}" if problem else 0)
"""


def components(python: Path, lock: Path) -> list[dict[str, Any]]:
    """One for each package of a lock, as cyclonedx-py makes them, named by what they are and not by their line."""
    done = subprocess.run(
        [python, "-m", "cyclonedx_py", "requirements", lock, "--output-reproducible", "--of", "JSON", "--sv", "1.6"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = json.loads(done.stdout).get("components", [])
    for component in found:
        component.pop("description", None)  # the lines of the lock
        component["bom-ref"] = component["purl"]
        for reference in component.get("externalReferences", ()):  # with the hashes; the index is no part of what it is
            reference["url"] = component["purl"]
            reference.pop("comment", None)
    return [component for component in found if component["name"] not in REMOVED]


def base() -> dict[str, Any]:
    """The image that all are built on."""
    name, tag, digest = re.findall(
        r"^ARG BASE=([\w./-]+):([\w.-]+)@sha256:([0-9a-f]{64})$", (ROOT / "Dockerfile.runner").read_text(), re.MULTILINE
    )[0]
    purl = f"pkg:docker/{name}@sha256:{digest}"
    hashes = [{"alg": "SHA-256", "content": digest}]
    return {"type": "container", "bom-ref": purl, "name": name, "version": tag, "purl": purl, "hashes": hashes}


def bill(python: Path, image: str) -> dict[str, Any]:
    named: dict[str, dict[str, Any]] = {}
    for lock in LOCKS[image]:
        for component in components(python, lock):
            named.setdefault(component["purl"], component)  # the first names hashes
    subject = {"type": "container", "bom-ref": image, "name": f"video-splat-runner:{image}"}
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json", "bomFormat": "CycloneDX", "specVersion": "1.6",
        "version": 1, "metadata": {"component": subject},
        "components": [base(), *(named[purl] for purl in sorted(named))],
    }  # fmt: skip


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    python = Path(arguments[0])
    OUT.mkdir(exist_ok=True)
    for image in LOCKS:
        text = json.dumps(bill(python, image), indent=1, sort_keys=True) + "\n"
        subprocess.run([python, "-c", VALIDATE], input=text, text=True, check=True)
        (OUT / f"{image}.cdx.json").write_text(text)
        print(f"docs/sbom/{image}.cdx.json: {text.count('pkg:pypi/') // 2} packages, as CycloneDX 1.6 wants it")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
