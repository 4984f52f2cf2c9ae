"""The walk of docs/web.md, command by command as it stands there, in the emulated cloud."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from local.cloud import LocalCloud
from local.footage.film import make_demo_footage
from tests.azurite import available
from tests.videos import pan, write_video

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/web.md").read_text()


def walk() -> str:
    found = re.search(r"<!-- walk -->\n```\n(.*?)```", PAGE, re.DOTALL)
    assert found
    return found[1]


@pytest.mark.slow
@pytest.mark.azurite
def test_the_walk_with_curl_ends_with_a_downloaded_scene(tmp_path: Path) -> None:
    available()
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    env = {"QUIET_SECONDS": "2", "LOCAL_SWEEP_SECONDS": "600"}
    if os.environ.get("WALK"):  # as somebody who has a film would: minutes
        make_demo_footage(tmp_path / "footage")[0].rename(tmp_path / "view1.mp4")
        env |= {"BACKEND": "cpu", "PRESET": "smoke"}
    else:
        write_video(tmp_path / "view1.mp4", pan(12, 4))
        env |= {"BACKEND": "mock"}
    with LocalCloud(tmp_path / "cloud", env) as cloud:
        commands = walk().replace("http://127.0.0.1:7071/api", cloud.page.removesuffix("/ui"))
        assert commands != walk()
        commands = commands.replace("sleep 5", "sleep 1")
        done = subprocess.run(
            ["timeout", "1800", "bash", "-euo", "pipefail", "-c", "PS4='[$SECONDS s] '; set -x\n" + commands],
            cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if keep := os.environ.get("KEEP_LOGS"):
        (Path(keep) / "curl.log").write_text(done.stderr + done.stdout)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "lobby.ply").read_bytes().startswith(b"ply\n")
    answers = [json.loads(text) for text in re.findall(r"\{.*?\}(?=\{|$)", done.stdout.replace("\n", ""))]
    assert answers[0] == {"scenes": [], "total": 0, "next": None}
    assert '"state":"done"' in done.stdout
    assert '"stopping":' in done.stdout
    (deleted,) = [answer for answer in answers if "removed" in answer]
    assert deleted["removed"] > 3
    assert '"has_result":false' in done.stdout.splitlines()[-1]
