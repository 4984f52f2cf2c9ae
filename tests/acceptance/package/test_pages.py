"""A newcomer's log: what the pages show for a machine of one's own, typed as printed into fresh shells, works.

The package is installed in an environment of its own, the folder is empty or a clone, the ports are those of the page
(in a network of its own), videos are one byte and the backend is the mock. In the place of `func` stands
`local/functions_host` with the settings file that `func` would read; `func` is not run here.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from local.azurite import INSTALLED
from local.footage.film import make_demo_footage
from tests.acceptance.package.pages import PAGES, QUICK, WITH_FILMS, Page, script
from tests.azurite import available
from tests.infra.containers.images import ROOT, ours
from tests.installed import Installed

pytestmark = pytest.mark.azurite

OWN_NETWORK = (sys.executable, str(ROOT / "tests/own_network.py"))
FUNC = """#!{python}
import json, os, sys
assert sys.argv[1:] == ["start"]
values = json.load(open("local.settings.json"))["Values"]
os.environ.update({{name: text for name, text in values.items() if name not in os.environ}})  # as Core Tools do
os.execv(sys.executable, [sys.executable, "-m", "local.functions_host"])
"""


@pytest.fixture(scope="module")
def desk(installed: Installed) -> Installed:
    """With the emulator in the user's cache, where the programs would have put it, and a stand-in called `func`."""
    available()
    probe = subprocess.run([*OWN_NETWORK, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"no network of its own here: {probe.stderr.splitlines()[-1]}")
    cache = installed.home / ".cache/video-splat"
    cache.mkdir(parents=True)
    (cache / "azurite").symlink_to(INSTALLED)
    func = installed.bin / "func"
    func.write_text(FUNC.format(python=installed.bin / "python"))
    func.chmod(0o755)
    return installed


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_works_as_printed(desk: Installed, page: Page) -> None:
    typed_there(desk, page, desk.home / page.name)


@pytest.mark.skipif(not os.environ.get("WALK"), reason="WALK=1 trains scenes as a newcomer would: ten minutes and more")
def test_a_newcomer_gets_from_the_readme_to_a_link_that_somebody_else_opens(desk: Installed) -> None:
    folder = desk.home / "walk"
    clips = make_demo_footage(desk.home / "footage")
    typed_there(desk, WITH_FILMS, folder, clips[:2], timeout_s=5000)


def typed_there(
    desk: Installed, page: Page, folder: Path, films: Sequence[Path] = (), *, timeout_s: float = 300
) -> None:
    """Types the page in this folder and looks at what is there afterwards. films: view1.mp4 and so on; else a byte."""
    folder.mkdir()
    if page.clone:
        for name in ours():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    else:  # whose own files are called like ours or like Python's modules is not run by our programs
        for name in ("runner", "watch", "scenejobs", "json", "secrets"):
            (folder / f"{name}.py").write_text("raise SystemExit('a file of the user was run')")
    for number in (1, 2):
        content = films[number - 1].read_bytes() if films else b"%d" % number
        (folder / f"view{number}.mp4").write_bytes(content)
    command = [*OWN_NETWORK, "bash", "--noprofile", "--norc", "-c", script(page, desk)]
    log = folder / "log.txt"
    with log.open("wb") as output:
        done = subprocess.run(
            command, cwd=folder, env={**desk.env, **QUICK, **page.env}, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT, check=False, timeout=timeout_s,
        )  # fmt: skip
    text = log.read_text()
    if keep := os.environ.get("KEEP_LOGS"):
        plain = re.sub(r"(?m)^\[\d+\][+ -] .*\n", "", text).replace(str(desk.home), "~")  # less what bash says of jobs
        (Path(keep) / f"{folder.name}.log").write_text(plain)
    assert done.returncode == 0, text
    for name, contained in page.leaves.items():
        assert (folder / name).is_file(), text
        assert contained.encode() in (folder / name).read_bytes()
    assert "Traceback" not in text + "".join(path.read_text() for path in folder.glob("terminal-*.log"))
