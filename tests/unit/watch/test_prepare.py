"""`watch prepare`: a first start of compose works, or says what to do, instead of starting for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.folders import above

ROOT = Path(__file__).parents[3]
USER = 1234
root_only = pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else, as in the container")


def prepare(tmp_path: Path, user: str, **settings: str) -> subprocess.CompletedProcess[str]:
    for folder in (*above(tmp_path), tmp_path):
        folder.chmod(0o777)
    env = {
        "PATH": "/usr/bin:/bin", "DATA_PATH": str(tmp_path / "data"), "TEMP_PATH": str(tmp_path / "scratch"),
        "NUMBA_CACHE_DIR": str(tmp_path / "scratch/numba"), "RUN_MODE": "watch", **settings,
    }  # fmt: skip
    command = [sys.executable, "-m", "watch", "prepare", "--user", user]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def folder(path: Path, owner: int) -> Path:
    path.mkdir()
    os.chown(path, owner, owner)
    return path


def test_a_config_file_that_the_watch_would_refuse_is_refused_here(tmp_path: Path) -> None:
    """Else the watch itself would start for ever; so would one as a user whose number is none."""
    path = tmp_path / "config.yaml"
    path.write_text("backend: 3dgs-cpp\n")
    done = prepare(tmp_path, f"{USER}:{USER}", CONFIG_PATH=str(path))
    assert (done.returncode, "BACKEND" in done.stderr, "gsplat" in done.stderr) == (2, True, True), done
    assert not (tmp_path / "data").exists()
    done = prepare(tmp_path, "99999999999")
    assert (done.returncode, "is not a user" in done.stderr) == (2, True), done


@root_only
def test_the_folder_that_docker_made_becomes_the_users_and_so_does_an_older_workspace(tmp_path: Path) -> None:
    data, scratch = folder(tmp_path / "data", 0), folder(tmp_path / "scratch", 10001)
    left = folder(scratch / "numba", 10001)
    (scratch / "link").symlink_to("/etc/passwd")
    for _ in range(2):  # every `up` runs it
        done = prepare(tmp_path, f"{USER}:{USER}")
        assert done.returncode == 0, done.stderr
    assert {path.name for path in data.iterdir()} == {"input", "output", "processed", "error"}
    assert {path.stat().st_uid for path in (data, *data.iterdir(), scratch, left)} == {USER}
    assert Path("/etc/passwd").stat().st_uid == 0


@root_only
@pytest.mark.parametrize(("owner", "below", "ways"), [
    (1000, "", ["write DATA_USER=1000:1000 into .env", f"sudo chown --recursive {USER}:{USER}"]),
    (0, "input", [f"sudo chown --recursive {USER}:{USER}"]),
])  # fmt: skip
def test_a_folder_of_somebody_else_is_left_alone_and_the_ways_out_are_told(
    tmp_path: Path, owner: int, below: str, ways: list[str]
) -> None:
    theirs = folder(tmp_path / "data", USER if below else owner)
    folder(tmp_path / "scratch", USER)
    if below:
        theirs = folder(theirs / below, owner)
    done = prepare(tmp_path, f"{USER}:{USER}")
    assert done.returncode == 2, done
    (line,) = done.stderr.splitlines()
    assert f"{theirs} belongs to user {owner}:{owner}, and the watch runs as {USER}:{USER}" in line
    assert [way for way in ways if way not in line] == []
    assert ("DATA_USER=" in line) == (owner != 0), "root is no way out"
    assert theirs.stat().st_uid == owner


@pytest.mark.parametrize(("user", "settings", "word"), [
    ("0:0", {}, "DATA_USER=0:0"), ("video", {}, "DATA_USER=video"), ("1234", {"PRESET": "nonsense"}, "nonsense"),
])  # fmt: skip
def test_what_the_watch_would_refuse_is_refused_before_it_starts_for_ever(
    tmp_path: Path, user: str, settings: dict[str, str], word: str
) -> None:
    done = prepare(tmp_path, user, **settings)
    assert done.returncode == 2, done
    assert word in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "data").exists()


@pytest.mark.skipif(Path("/data").is_dir(), reason="this machine has a /data, as the images do")
@pytest.mark.parametrize("command", [["watch"], ["watch", "prepare"], ["runner"], ["runner", "preflight"]])
def test_without_a_folder_nothing_is_made_at_the_root_of_the_machine(command: list[str], tmp_path: Path) -> None:
    env = {
        "PATH": "/usr/bin:/bin", "RUN_MODE": "watch", "BACKEND": "mock", "TEMP_PATH": str(tmp_path),
        "NUMBA_CACHE_DIR": str(tmp_path / "numba"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", *command], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2, done
    assert "DATA_PATH, the folder of input and results (there is no /data either), is not set" in (
        done.stdout + done.stderr
    )
    assert not Path("/data").exists()
