"""The Dockerfiles of the runner: stages, what an image is built on, and what it copies, copied."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).parents[3]
DOCKERFILES = {
    "gpu": ROOT / "Dockerfile.runner",
    "code": ROOT / "runner/image/Dockerfile.code",
    "cpu": ROOT / "runner/image/Dockerfile.cpu",
    "blobfuse": ROOT / "runner/image/Dockerfile.blobfuse",
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


# ---- copied by the rules ----

LEFT_LYING = (
    "data/input/lobby/a.mov",
    "notes.md",
    ".venv/bin/python",
    "runner/__pycache__/a.pyc",
    ".git/config",
    "x.ply",
)


def ours() -> list[str]:
    """Files of the repository, those that are not committed yet too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


def desk(folder: Path) -> Path:
    """The repository as it lies on a desk: with what is left lying about."""
    for name in ours():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, folder / name)
    for name in LEFT_LYING:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def docker_context(tree: Path) -> Callable[[str], bool]:
    """Whether a path is sent, as Docker and azd decide: the last rule that fits the path or a folder above it."""
    rules = [line for line in (tree / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]

    def is_sent(path: str) -> bool:
        ignored = False
        for rule in rules:
            pattern = re.escape(rule.removeprefix("!")).replace(r"\*\*/", "(?:.*/)?").replace(r"\*", "[^/]*")
            if re.match(rf"{pattern}(?:/|$)", path):
                ignored = not rule.startswith("!")
        return not ignored

    return is_sent


def copy(tree: Path, target: Path, is_sent: Callable[[str], bool]) -> Path:
    for path in tree.rglob("*"):
        name = path.relative_to(tree).as_posix()
        if path.is_file() and is_sent(name):
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target / name)
    return target


def image(tree: Path, folder: Path, target: str) -> Path:
    """/app of an image, copied from the context that the builder gets."""
    context, app = copy(tree, folder / "context", docker_context(tree)), folder / "app"
    for source, place in copies(target):
        if place.startswith("/"):  # outside /app
            assert (context / source).exists()
        elif (context / source).is_dir():
            shutil.copytree(context / source, app / place)
        else:
            shutil.copy2(context / source, app / place)
    return app
