"""Settings of the older service's guide that do nothing here stop each program, by name; those of nobody stop none."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from function_app import wiring
from runner import cli
from runner.pipeline import config_file
from scenejobs.errors import ConfigurationError
from scenejobs.settings import older
from scenejobs.settings.groups import LogSettings, table
from scenejobs.settings.reader import read_all
from serve import cli as serve_cli
from watch import cli as watch_cli

ROOT = Path(__file__).parents[2]
# of the commands of its batch mode, and of its settings
GUIDE = {"RECONSTRUCTION_BACKEND": "nerfstudio", "COLMAP_USE_CPU": "true"}
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
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    env = {**GUIDE, "SCENE_PREFIX_DEPTH": "0", "RUN_MODE": "batch"}
    assert started(program, env, tmp_path, monkeypatch) == 2
    told = "".join(capsys.readouterr())
    for part in (*GUIDE, "transforms.json", "SCENE_PREFIX_DEPTH"):
        assert part in told, part


def test_the_value_that_asks_for_what_runs_is_taken_and_what_is_somebody_elses_stops_nothing() -> None:
    for env in ({"RECONSTRUCTION_BACKEND": "colmap"}, {"COLMAP_MATCHER": "sequential"}, {"COLMAP_SOMETHING": "x"}):
        read_all((LogSettings,), env, refused=older.problems(env))


@pytest.mark.parametrize("name", ["gaussian-splatting", "3dgs-cpp"])
def test_a_trainer_of_the_older_service_is_refused_with_the_new_word(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(f"backend: {name}\n")
    for env in ({"BACKEND": name}, {"CONFIG_PATH": str(path)}):
        assert cli.main([], {**env, "RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "a", "DATA_PATH": str(tmp_path)}) == 2
        assert f"BACKEND='{name}' is not allowed: a trainer of the older service; use gsplat" in capsys.readouterr().err


# ---- its file --------------------------------------------------------------------------------------------------------


def test_batch_mode_takes_what_has_a_variable_and_names_each_other_key_once(tmp_path: Path) -> None:
    """With every key of the guide's file, whose `backend` is the mock here."""
    path, data = tmp_path / "config.yaml", tmp_path / "data"
    (data / "input/lobby").mkdir(parents=True)
    (data / "input/lobby/a.mp4").write_bytes(b"video")
    sections: dict[str, list[str]] = {}
    for key in older.KEYS:
        section, _, name = key.rpartition(".")
        sections.setdefault(section, []).append(name)
    body = "".join(f"{section}:\n" + "".join(f"  {name}: 3\n" for name in names) for section, names in sections.items()
                   if section)  # fmt: skip
    path.write_text(f"# of the older service\nbackend: mock\n{body}more: 1\n")
    env = {
        "CONFIG_PATH": str(path), "RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "lobby", "DATA_PATH": str(data),
        "TEMP_PATH": str(tmp_path), "MIN_DISK_SPACE_GB": "0", "FRAME_COUNT": "70", "LOG_FORMAT": "json",
    }  # fmt: skip
    command = [sys.executable, "-m", "runner"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines()]
    about = [line["message"] for line in lines if line["message"].startswith(str(path))]
    assert about[0] == f"{path}: BACKEND=mock, FRAME_RATE=3"
    assert f"{path}: frame_extraction.count gives way to FRAME_COUNT of the environment" in about
    for key in older.KEYS.keys() - older.TWINS.keys():
        (line,) = (text for text in about if f": {key} " in text)
        assert line == f"{path}: {key} does nothing here: {older.KEYS[key]}"
    assert f"{path}: more is not known" in about
    assert len(about) == 2 + len(older.KEYS) - 2


def test_the_file_is_found_where_the_guide_mounts_it(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "/app/config.yaml" in older.FILES
    monkeypatch.setattr(older, "FILES", (str(tmp_path / "none"), str(file)))
    found = config_file.read({"BACKEND": " ", "FRAME_RATE": "5"})
    assert found.path == str(file)
    assert (found.env["BACKEND"], found.env["FRAME_RATE"]) == ("gsplat", "5"), "an empty variable is none"
    assert config_file.read(found.env) == config_file.ConfigFile(found.env), (
        "a child has what it says, and tells nothing"
    )


def test_a_file_of_somebody_else_where_the_guide_mounts_its_own_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = tmp_path / "config.yaml"
    monkeypatch.setattr(older, "FILES", (str(theirs),))
    for text in ("server:\n  backend: http\n", "- backend\n", ""):
        theirs.write_text(text)
        assert config_file.read({}) == config_file.ConfigFile({})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "it is not there"),
        ("a: [", "it is no YAML"),
        ("frame_extraction: {rate: 2024-13-45}", "it is no YAML: month"),
        ("[" * 60_000, "it is no YAML"),
        ("!!python/object/apply:os.system [true]", "it is no YAML"),
        ("backend: [gsplat]", "backend is neither a word nor a number"),
        ("frame_extraction: {rate: true}", "frame_extraction.rate is neither"),
        ("x" * 70_000, "larger than 65536 bytes"),
    ],
)
def test_a_file_that_was_named_and_cannot_be_used_stops_the_program(
    text: str | None, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "config.yaml"
    if text is not None:
        path.write_text(text)
    assert cli.main([], {"CONFIG_PATH": str(path), "RUN_MODE": "batch"}) == 2
    assert words in capsys.readouterr().err


def test_what_is_used_instead_is_read() -> None:
    read = {row.variable for row in table()}
    assert not read & older.VARIABLES.keys()
    assert set(older.TWINS.values()) <= read
    for instead in (*older.VARIABLES.values(), *older.KEYS.values(), *older.TRAINERS.values()):
        assert set(re.findall(r"\b[A-Z]+_[A-Z_]+\b|\bPRESET\b|\bBACKEND\b", instead)) <= read


def test_the_hook_knows_the_same_variables() -> None:
    hook = (ROOT / "scripts/hooks/preprovision.sh").read_text()
    (names,) = re.findall(r'^OLDER="(.*)"$', hook, re.MULTILINE)
    assert names.split() == list(older.VARIABLES)
