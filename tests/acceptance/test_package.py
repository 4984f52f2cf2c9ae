"""The package, built and installed: it holds every file, asks for what the lists say, works outside the repository."""

from __future__ import annotations

import json
import re
import subprocess
import zipfile
from email import message_from_string
from pathlib import Path

import pytest

from local.azurite import Azurite
from scenejobs.adapters.azure.clients import create_all
from scenejobs.settings.storage import StorageSettings
from tests.infra.images import ROOT, ours
from tests.installed import Installed, build, install

PACKAGES = ("scenejobs/", "function_app/", "runner/", "watch/", "local/", "video_splat/")
NOT_READ = re.compile(r"runner/image/|.*requirements\.(txt|in)$")  # by no program: what images and pip are made with
LISTS = {
    "": ["requirements.in"],
    "runner": ["runner/requirements.txt"],
    "cloud": ["local/requirements.txt", "local/azurite/requirements.txt"],
}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    return install(wheel, tmp_path_factory.mktemp("installed"))


def test_the_wheel_holds_every_file_of_the_programs_and_nothing_else(wheel: Path) -> None:
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    wanted = {name for name in ours() if name.startswith(PACKAGES) and not NOT_READ.match(name)}
    (host,) = {name for name in names if name.endswith("/host.json")}
    assert names - {host, "functions_entry.py"} == wanted


def test_it_asks_for_what_the_lists_of_requirements_say_to_the_letter(wheel: Path) -> None:
    """The lists are what Dockerfiles, azd and the Makefile install: no second copy that could differ."""
    with zipfile.ZipFile(wheel) as files:
        (metadata,) = (name for name in files.namelist() if name.endswith("/METADATA"))
        asked = message_from_string(files.read(metadata).decode()).get_all("Requires-Dist") or []
    found: dict[str, set[str]] = {}
    for line in asked:
        requirement, _, marker = line.partition("; ")
        found.setdefault(marker.removeprefix("extra == ").strip("\"'"), set()).add(requirement)
    lines = {
        extra: [line for name in names for line in (ROOT / name).read_text().splitlines()]
        for extra, names in LISTS.items()
    }
    assert found == {
        extra: {line for line in given if line and not line.startswith("#")} for extra, given in lines.items()
    }


def test_a_scene_is_made_in_a_folder_that_knows_nothing_of_the_repository(installed: Installed) -> None:
    """Files there that are called like our modules, or Python's, are not run."""
    for name in ("runner", "watch", "scenejobs", "json", "secrets"):
        (installed.home / f"{name}.py").write_text("raise SystemExit('a file of the user was run')")
    (installed.home / "a.mp4").write_bytes(b"1")
    try:
        done = installed.shell("video-splat scene a.mp4 --out lobby --backend mock")
        assert done.returncode == 0, done.stderr
        assert {"lobby.ply", "manifest.json"} <= {path.name for path in (installed.home / "lobby").iterdir()}
        (installed.home / "data/input/hall").mkdir(parents=True)
        (installed.home / "data/input/hall/a.mp4").write_bytes(b"1")
        queued = installed.shell(
            "video-splat batch hall && scenejobs status && scenejobs download hall out",
            DATA_PATH=str(installed.home / "data"), BACKEND="mock", MIN_DISK_SPACE_GB="0",
        )  # fmt: skip
        assert queued.returncode == 0, queued.stderr
        assert (installed.home / "out/manifest.json").is_file()
    finally:
        for path in installed.home.glob("*.py"):
            path.unlink()


@pytest.mark.azurite
def test_the_page_of_batch_mode_works_as_it_is_printed(installed: Installed, azurite: Azurite) -> None:
    """Its commands in two fresh shells; the emulator of the tests has other ports than those of the page."""
    page = (ROOT / "docs/batch.md").read_text()
    desk, commands = re.findall(r"^```sh\n(.*?)^```$", page[page.index("## On the emulator") :], re.M | re.S)[:2]
    assert desk == "video-splat cloud desk --storage-alone\n"  # tests/acceptance/test_local_cloud.py starts it
    create_all(StorageSettings(connection_string=azurite.connection_string))
    for name in ("view1.mp4", "view2.mp4"):
        (installed.home / name).write_bytes(name.encode())
    usual = "export AZURE_STORAGE_CONNECTION_STRING=UseDevelopmentStorage=true\n"
    assert usual in commands
    done = installed.shell(commands.replace(usual, ""), AZURE_STORAGE_CONNECTION_STRING=azurite.connection_string)
    assert done.returncode == 0, done.stderr
    assert json.loads((installed.home / "out/lobby/manifest.json").read_text())["job_id"] == "my-job-123"


def test_a_word_that_contradicts_the_environment_is_refused(installed: Installed) -> None:
    done = installed.shell("video-splat watch", RUN_MODE="batch")
    assert (done.returncode, done.stdout) == (2, "")
    assert "RUN_MODE=batch in the environment, watch on the command line" in done.stderr


def test_a_program_whose_extra_is_missing_says_how_to_get_it(installed: Installed, wheel: Path, tmp_path: Path) -> None:
    subprocess.run([installed.bin / "python", "-m", "zipfile", "-e", str(wheel), str(tmp_path)], check=True)
    alone = f"cd {tmp_path} && python -S -m video_splat cloud here"  # -S: without the packages that it needs
    done = installed.shell(alone)
    assert done.returncode == 2
    assert "pip install '.[runner,cloud]'" in done.stderr, done.stderr
    assert "Traceback" not in done.stderr
