"""What is deployed, copied by the rules that deploy it: it is enough to start, and there is nothing beside it.

The emulated cloud's image is started in tests/acceptance/test_local_cloud.py.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pathspec
import pytest

from tests.infra.containers.images import ROOT, copies, copy, desk, image
from tests.unit.test_import_directions import OURS, imports_of

FUNCTION = {"functions_entry.py", "function_app", "scenejobs", "host.json", "requirements.txt"}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return desk(tmp_path_factory.mktemp("desk"))


def start(app: Path, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """In nothing but what was copied: neither the repository nor its folder is on the path."""
    known = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, *arguments], cwd=app, env={**known, **env}, capture_output=True, text=True, check=False
    )


def missing(app: Path) -> set[str]:
    """Modules of ours that some file there imports, at its top or in a function, and that are not there."""
    imported = {name for path in app.rglob("*.py") for name in imports_of(path, app) if name.split(".")[0] in OURS}
    files = {name: [f"{name.replace('.', '/')}{ending}" for ending in (".py", "/__init__.py")] for name in imported}
    return {
        name
        for name, paths in files.items()
        if any((ROOT / path).exists() for path in paths) and not any((app / path).exists() for path in paths)
    }


@pytest.mark.parametrize("target", ["gpu", "cloud"])
def test_every_module_that_an_image_imports_is_in_it(tree: Path, tmp_path: Path, target: str) -> None:
    app = image(tree, tmp_path, target)
    emulated = {name for name in missing(app) if name.split(".")[0] == "local"}  # what `video-splat cloud` is
    assert missing(app) == emulated
    if target == "gpu":
        assert emulated == {
            name for name in imports_of(app / "video_splat/programs.py", app) if name.split(".")[0] == "local"
        }
        no_local = (
            "import sys; sys.modules['local'] = None; from video_splat.cli import main; sys.exit(main(['cloud']))"
        )
        said = start(app, "-c", no_local)  # make installs our package beside: it would be found there
        assert (said.returncode, said.stderr.count("\n")) == (2, 1)
        assert "not in this image" in said.stderr
    else:
        assert not emulated
    assert not list(app.rglob("__pycache__"))


def test_the_emulated_clouds_image_installs_no_node() -> None:
    """200 MB; Azurite runs beside it, in an image of its own."""
    lists = [source for source, place in copies("cloud") if place.startswith("/build/")]
    assert {"requirements.txt", "local/requirements.txt"} < set(lists)
    assert [name for name in lists if re.search("node", (ROOT / name).read_text(), re.IGNORECASE)] == []


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


LOADED = """
import importlib, importlib.metadata, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
owners = {
    top: names
    for top, names in importlib.metadata.packages_distributions().items()
    if "video-splat-processor" not in names  # ours, which make installs beside its packages
}
tops = {name.split(".")[0] for name in sys.modules} - {"azure"}
azure = {name.split(".")[1] for name in sys.modules if name.startswith("azure.")}
print(json.dumps([sorted(azure), sorted(owners[top] for top in tops if top in owners)]))
"""


LOCKS = {"cpu": "cpu", "gpu": "gpu-cuda13"}


@pytest.mark.parametrize(
    ("target", "programs"),
    [
        ("cpu", ["watch.cli", "runner.cli", "runner.commands.preflight", "runner.pipeline.reconstruct"]),
        ("gpu", ["watch.cli", "scenejobs.commands.cli", "scenejobs.commands.blobfuse.configuration"]),
    ],
)
def test_every_package_that_a_program_loads_is_in_the_images_lock(
    tree: Path, tmp_path: Path, target: str, programs: list[str]
) -> None:
    """On a desk everything is installed; the dispatcher's azure-functions, for one, is in no image of the runner."""
    done = start(image(tree, tmp_path, target), "-c", LOADED, *programs)
    assert done.returncode == 0, done.stderr
    azure, loaded = json.loads(done.stdout)
    lock = (tree / f"runner/image/{LOCKS[target]}.lock").read_text().lower()
    locked = set(re.findall(r"^([\w.-]+)==", lock, re.MULTILINE))
    assert [part for part in azure if not any(name.startswith(f"azure-{part}") for name in locked)] == []
    assert [owners for owners in loaded if not locked & {name.lower().replace("_", "-") for name in owners}] == []


def test_the_function_package_holds_what_the_host_needs_and_nothing_else(tree: Path, tmp_path: Path) -> None:
    rules = pathspec.GitIgnoreSpec.from_lines((tree / ".funcignore").read_text().splitlines())
    package = copy(tree, tmp_path / "package", lambda name: name != ".funcignore" and not rules.match_file(name))
    assert {path.name for path in package.iterdir()} == FUNCTION
    data = {path.suffix for path in package.rglob("*") if path.is_file()} - {
        ".html",
        ".css",
        ".js",
    }  # of the page for people
    assert data == {".py", ".json", ".txt", ".tsv"}
    assert [path.name for path in package.rglob("*.tsv")] == ["prices.tsv"]
    assert missing(package) == set()
    program = (
        "import functions_entry, function_app.wiring\n"
        "import scenejobs.adapters.azure.clients, scenejobs.adapters.azure.container_apps\n"
        "print(*(each.get_function_name() for each in functions_entry.app.get_functions()))"
    )
    done = start(package, "-c", program)
    assert {"on_upload", "on_quiet", "sweep"} <= set(done.stdout.split()), done.stderr
