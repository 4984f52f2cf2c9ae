"""The Dockerfiles of the runner as text: stages, what an image is built on, what it copies."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCKERFILES = {
    "gpu": ROOT / "Dockerfile.runner",
    "cpu": ROOT / "Dockerfile.runner-cpu",
    "blobfuse": ROOT / "Dockerfile.runner-blobfuse",
}
TARGETS = {"gpu": "gpu", "cpu": "cpu", "cloud": "cpu", "blobfuse": "blobfuse"}  # image -> whose Dockerfile


def arguments(text: str) -> dict[str, str]:
    """Build arguments that have a default."""
    return dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))


def stages(text: str) -> dict[str, str]:
    """Name of each stage, in order, and its text. One without a name: ""."""
    parts = re.split(r"^FROM (\S+)(?: AS (\S+))?\n", text, flags=re.MULTILINE)
    return {name or "": f"FROM {source}\n{body}" for source, name, body in zip(*[iter(parts[1:])] * 3, strict=True)}


def ancestry(target: str) -> list[str]:
    """Texts of an image's stage and of those it is built on, over Dockerfiles."""
    name = TARGETS[target]
    found, stage = stages(DOCKERFILES[name].read_text()), target
    if target == "blobfuse":
        return [found[""], *ancestry("gpu")]
    texts = []
    while stage in found:
        texts.append(found[stage])
        stage = texts[-1].split()[1]
    return texts


def copies(target: str) -> Iterator[tuple[str, str]]:
    """(path in the context, path in the image) of what an image copies from the build context."""
    for text in reversed(ancestry(target)):
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE):
            *sources, place = line.split()
            for source in sources:
                yield source, f"{place}{Path(source).name}" if place.endswith("/") else place
