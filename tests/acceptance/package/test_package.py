"""The package, built and installed: it holds every file and asks for what the lists say. Used: test_pages."""

from __future__ import annotations

import re
import subprocess
import zipfile
from email import message_from_string
from pathlib import Path

from tests.infra.containers.images import ROOT, ours
from tests.installed import Installed

PACKAGES = ("scenejobs/", "function_app/", "runner/", "serve/", "watch/", "local/", "video_splat/")
NOT_READ = re.compile(r"runner/image/|.*requirements\.(txt|in)$")  # by no program: what images and pip are made with
LISTS = {
    "": ["requirements.in", "scenejobs/requirements.txt"],
    "runner": ["runner/requirements.txt"],
    "cloud": ["local/requirements.txt", "local/azurite/requirements.txt"],
}


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
