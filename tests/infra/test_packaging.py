"""What is deployed, copied by the rules that deploy it: it is enough to start, and there is nothing beside it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pathspec
import pytest

from tests.infra.images import ROOT, TARGETS, copies
from tests.unit.test_import_directions import OURS, imports_of

LEFT_LYING = (
    "data/input/lobby/a.mov",
    "notes.md",
    ".venv/bin/python",
    "runner/__pycache__/a.pyc",
    ".git/config",
    "x.ply",
)
FUNCTION = {"functions_entry.py", "function_app", "scenejobs", "host.json", "requirements.txt"}


def ours() -> list[str]:
    """Files of the repository, those that are not committed yet too."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in done.stdout.splitlines() if (ROOT / name).is_file()]


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository as it lies on a desk: with what is left lying about."""
    folder = tmp_path_factory.mktemp("desk")
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
        if place.startswith("/build/"):
            assert (context / source).is_file()
        elif (context / source).is_dir():
            shutil.copytree(context / source, app / place)
        else:
            shutil.copy2(context / source, app / place)
    return app


def start(app: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In nothing but what was copied: neither the repository nor its folder is on the path."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=app, env={**known, **env}, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", sorted(TARGETS))
def test_every_package_that_an_image_imports_is_in_it(tree: Path, tmp_path: Path, target: str) -> None:
    """Whatever any file there imports, at its top or in a function, at whatever time."""
    app = image(tree, tmp_path, target)
    imported = {name.split(".")[0] for path in app.rglob("*.py") for name in imports_of(path, app)}
    assert imported & OURS <= {path.name.removesuffix(".py") for path in app.iterdir()}
    assert not list(app.rglob("__pycache__"))


def test_the_images_hold_the_same_code_and_start_in_every_mode(tree: Path, tmp_path: Path) -> None:
    gpu, cpu = ({source for source, place in copies(name) if place.startswith("./")} for name in ("gpu", "cpu"))
    assert gpu == cpu
    app = image(tree, tmp_path, "gpu")
    assert "RUN_MODE=watch" in start(app, "-m", "runner", "--help").stdout
    assert "BATCH_INPUT_PREFIX is not set" in start(app, "-m", "runner", RUN_MODE="batch").stderr
    assert (
        "preset 'best'" in start(app, "-m", "runner", RUN_MODE="watch", DATA_PATH=str(tmp_path), PRESET="best").stderr
    )
    assert start(app, "-m", "watch", "health", "--if-watching", RUN_MODE="queue").returncode == 0
    folders = {"DATA_PATH": str(tmp_path / "data"), "TEMP_PATH": str(tmp_path)}
    done = start(app, "-m", "runner", RUN_MODE="queue", QUEUE_IDLE_POLLS="1", QUEUE_IDLE_WAIT_SECS="0", **folders)
    assert done.returncode == 0, done.stderr
    assert start(app, "-m", "scenejobs", "status", **folders).returncode == 0


def test_the_emulated_cloud_of_its_image_is_complete(tree: Path, tmp_path: Path) -> None:
    app = image(tree, tmp_path, "cloud")
    assert "usage:" in start(app, "-m", "local.cloud", "--help").stdout
    program = "import local.host, local.jobs_api, functions_entry; print(len(functions_entry.app.get_functions()))"
    assert start(app, "-c", program).stdout == "5\n"


def test_the_function_package_holds_what_the_host_needs_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    rules = pathspec.GitIgnoreSpec.from_lines((tree / ".funcignore").read_text().splitlines())
    package = copy(tree, tmp_path / "package", lambda name: name != ".funcignore" and not rules.match_file(name))
    assert {path.name for path in package.iterdir()} == FUNCTION
    assert {path.suffix for path in package.rglob("*") if path.is_file()} == {".py", ".json", ".txt"}
    program = (
        "import functions_entry, function_app.wiring, scenejobs.azure.clients, scenejobs.azure.compute\n"
        "print(len(functions_entry.app.get_functions()))"
    )
    done = start(package, "-c", program)
    assert done.stdout == "5\n", done.stderr
