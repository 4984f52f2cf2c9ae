"""Settings of the older service's guide that do nothing here stop each program, by name; those of nobody stop none."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from function_app import wiring
from runner import cli
from scenejobs.errors import ConfigurationError
from scenejobs.settings import older
from scenejobs.settings.groups import LogSettings, table
from scenejobs.settings.reader import read_all
from serve import cli as serve_cli
from watch import cli as watch_cli

ROOT = Path(__file__).parents[2]
# as the guide has them: the commands of its batch mode, and its table of symptoms
GUIDE = {"RECONSTRUCTION_BACKEND": "nerfstudio", "COLMAP_MATCHER": "sequential"}
FILE = """\
# of the older service
backend: gsplat
frame_extraction:
  rate: 2.0   # per second
colmap:
  matcher: "sequential"
export:
    ply_precision: float16
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(FILE)
    return path


def started(program: str, env: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code of one of the programs; of the function app that of its error."""
    if program == "function app":
        monkeypatch.setattr(wiring.os, "environ", env)
        with pytest.raises(ConfigurationError) as error:
            wiring.app.__wrapped__()
        print(error.value)
        return error.value.exit_code
    if program == "watch":
        return watch_cli.main([], {**env, "DATA_PATH": str(tmp_path)})
    if program == "serve":
        return serve_cli.main([], env)
    arguments = {"job": [], "preflight": ["preflight", "--no-storage"], "scene": ["scene", "a.mp4", "--out", "new"]}
    (tmp_path / "a.mp4").write_bytes(b"x")
    return cli.main(arguments[program], env)


@pytest.mark.parametrize("program", ["job", "scene", "preflight", "serve", "watch", "function app"])
def test_every_program_names_all_of_them_at_once_with_what_else_is_wrong(
    program: str, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {**GUIDE, "CONFIG_PATH": str(file), "SCENE_PREFIX_DEPTH": "0", "RUN_MODE": "batch"}
    assert started(program, env, tmp_path, monkeypatch) == 2
    told = "".join(capsys.readouterr())
    for part in (*GUIDE, "transforms.json", "SCENE_PREFIX_DEPTH", str(file), "backend: BACKEND",
                 "frame_extraction.rate: FRAME_RATE", "colmap.matcher: ", "export.ply_precision: "):  # fmt: skip
        assert part in told, part
    assert "training" not in told.replace("FORCE_CPU_BACKEND is for the training", ""), "not in this file"


def test_the_value_that_asks_for_what_runs_is_taken_and_what_is_somebody_elses_stops_nothing(tmp_path: Path) -> None:
    theirs = tmp_path / "config.yaml"
    theirs.write_text("server:\n  backend: http\n- backend\n")
    for env in (
        {"RECONSTRUCTION_BACKEND": "colmap"}, {"COLMAP_MATCHER": " "}, {"COLMAP_SOMETHING": "x"},
        {"CONFIG_PATH": str(theirs)}, {"CONFIG_PATH": str(tmp_path)}, {"CONFIG_PATH": "/none\0"},
    ):  # fmt: skip
        read_all((LogSettings,), env, refused=older.problems(env))


def test_the_file_is_found_where_the_guide_mounts_it(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/app/config.yaml" in older.FILES
    monkeypatch.setattr(older, "FILES", (str(file),))
    assert [problem.split(" ")[0] for problem in older.problems({})] == [str(file)]


def test_what_is_used_instead_is_read() -> None:
    read = {row.variable for row in table()}
    assert not read & older.VARIABLES.keys()
    for instead in (*older.VARIABLES.values(), *older.KEYS.values()):
        assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b|\bPRESET\b|\bBACKEND\b", instead)) <= read


def test_the_hook_knows_the_same_variables() -> None:
    hook = (ROOT / "scripts/hooks/preprovision.sh").read_text()
    (names,) = re.findall(r'^OLDER="(.*)"$', hook, re.MULTILINE)
    assert names.split() == list(older.VARIABLES)
