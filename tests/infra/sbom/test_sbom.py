"""docs/sbom lists what the images install: a lock that changed wants `make sbom`."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from scripts import sbom
from tests.infra.containers.images import TARGETS, ancestry


def locked(image: str) -> dict[tuple[str, str], set[str]]:
    """(name, version) of every package that the image installs, with its hashes."""
    found: dict[tuple[str, str], set[str]] = {}
    for lock in sbom.LOCKS[image]:
        for name, version, rest in re.findall(
            r"^([\w.-]+)(?:\[[\w,-]+\])?==([^\s;\\]+)([^\n]*(?:\n    --hash=\S+(?: \\)?)*)",
            lock.read_text(),
            re.MULTILINE,
        ):
            if name not in sbom.REMOVED:
                found.setdefault((name, version), set()).update(re.findall(r"sha256:([0-9a-f]{64})", rest))
    return found


def listed(image: str) -> list[dict[str, Any]]:
    document = json.loads((sbom.OUT / f"{image}.cdx.json").read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")
    parts: list[dict[str, Any]] = document["components"]
    return parts


@pytest.mark.parametrize("image", sbom.LOCKS)
def test_every_package_of_the_locks_is_listed_with_its_hashes_and_no_other(image: str) -> None:
    packages = {
        (each["name"], each["version"]): {
            each["content"] for reference in each.get("externalReferences", ()) for each in reference.get("hashes", ())
        }
        for each in listed(image) if each["type"] == "library"
    }  # fmt: skip
    assert packages == locked(image), "run `make sbom`"
    assert len(packages) > 40
    references = [
        (each["purl"], found["url"]) for each in listed(image) for found in each.get("externalReferences", ())
    ]
    assert [found for found in references if found[0] != found[1]] == [], "an index that packages came from is named"


@pytest.mark.parametrize("image", sbom.LOCKS)
def test_the_base_image_is_listed_by_its_digest(image: str) -> None:
    (found,) = [each for each in listed(image) if each["type"] == "container"]
    (pinned,) = re.findall(r"^ARG BASE=(\S+)$", (sbom.ROOT / "Dockerfile.runner").read_text(), re.MULTILINE)
    assert pinned == f"{found['name']}:{found['version']}@sha256:{found['hashes'][0]['content']}"


def test_what_an_image_takes_out_again_is_not_listed_and_every_image_of_packages_is() -> None:
    assert {f"uninstall --yes {name}" for name in sbom.REMOVED} <= set(
        re.findall(r"uninstall --yes \w+", (sbom.ROOT / "Dockerfile.runner").read_text())
    )
    for image in TARGETS.keys() - {"blobfuse"}:  # which installs Debian's packages alone on top of `gpu`
        installed = set(re.findall(r"^COPY (\S+\.(?:lock|txt)) ", "\n".join(ancestry(image)), re.MULTILINE))
        known = {lock.relative_to(sbom.ROOT).as_posix() for lock in sbom.LOCKS[image]}
        assert installed <= known, image
