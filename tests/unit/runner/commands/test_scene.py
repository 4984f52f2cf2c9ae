"""`python -m runner`: exit codes, one line on standard error, and the files a user is promised."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from runner import cli
from runner.commands.progress_line import ProgressLine, describe
from runner.export.ply import read_ply
from runner.export.splat import read_splat
from runner.report.documents import SCHEMA_FILE
from runner.scene.progress import Report

ROOT = Path(__file__).parents[4]
QUIET = {"PATH": os.environ["PATH"]}


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "view1.mp4"
    path.write_bytes(b"any bytes do for the mock")
    return path


def scene(*arguments: object, env: dict[str, str] | None = None) -> int:
    return cli.main(["scene", *map(str, arguments)], {**QUIET, **(env or {})})


def one_error_line(capsys: pytest.CaptureFixture[str]) -> str:
    (line,) = capsys.readouterr().err.splitlines()
    return line


def load(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_success_leaves_exactly_the_promised_files(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "results" / "lobby"
    assert scene(video, "--out", out, "--backend", "mock") == 0
    assert {path.name for path in out.iterdir()} == {
        "lobby.ply", "lobby.splat", "manifest.json", "metrics.json", "cameras.json", "report.html", ".checkpoint.json",
    }  # fmt: skip
    assert read_ply(out / "lobby.ply").count == read_splat(out / "lobby.splat").count == 8
    manifest = load(out / "manifest.json")
    jsonschema.validate(manifest, load(SCHEMA_FILE))
    assert {entry["name"] for entry in manifest["outputs"]} == {path.name for path in out.iterdir()} - {"manifest.json"}
    assert load(out / ".checkpoint.json")["stage"] == "completed"


def test_the_mock_says_everywhere_that_it_is_one(video: Path, tmp_path: Path) -> None:
    assert scene(video, "--out", tmp_path / "o", "--backend", "mock", "--quiet") == 0
    for name in ("manifest.json", "metrics.json"):
        document = load(tmp_path / "o" / name)
        assert (document["mock"], document["backend"]) == (True, "mock")


def test_the_name_and_the_workspace_are_as_asked(video: Path, tmp_path: Path) -> None:
    assert scene(video, "--out", tmp_path / "o", "--backend", "mock", "--name", "hall", "--keep-workspace") == 0
    assert (tmp_path / "o" / "hall.ply").is_file()
    assert (tmp_path / "o" / "workspace").is_dir()


def test_quiet_prints_nothing(video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scene(video, "--out", tmp_path / "o", "--backend", "mock", "--quiet")
    assert capsys.readouterr() == ("", "")


def test_a_bad_video_is_exit_1_with_the_reason_in_a_file(
    video: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video.write_bytes(b"")
    out = tmp_path / "o"
    assert scene(video, "--out", out, "--backend", "mock") == 1
    assert one_error_line(capsys).startswith("error: view1.mp4 is empty: ")
    error = load(out / "error.json")
    assert (error["stage"], error["code"], error["cause"]) == ("frame_extraction", "EMPTY_FILE", "view1.mp4 is empty")
    assert error["advice"]
    assert not (out / "workspace").exists(), "the workspace is removed after a failure as well"
    assert not (out / "manifest.json").exists()
    assert (out / "run.log").is_file()


def test_a_failed_run_takes_the_old_result_back_and_a_success_the_old_error(video: Path, tmp_path: Path) -> None:
    out, empty = tmp_path / "o", tmp_path / "empty.mp4"
    empty.touch()
    assert scene(video, "--out", out, "--backend", "mock") == 0
    assert scene(empty, "--out", out, "--backend", "mock") == 1
    assert not (out / "manifest.json").exists(), "an old manifest vouches for files of another run"
    assert scene(video, "--out", out, "--backend", "mock") == 0
    assert not (out / "error.json").exists()


@pytest.mark.parametrize("name", ["missing.mp4", "folder"])
def test_a_mistyped_path_leaves_no_folder(name: str, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`scene typo.mp4 --out lobby` left a folder lobby with an error.json."""
    monkeypatch.chdir(video.parent)
    (video.parent / "folder").mkdir()
    assert scene(video, name, "--out", "o", "--backend", "mock") == 1
    assert not Path("o").exists()


@pytest.mark.parametrize(
    ("arguments", "env", "code", "words"),
    [
        (["missing.mp4", "--out", "o"], {}, 1, "missing.mp4 does not exist"),
        ([".", "--out", "o"], {}, 1, ". is a folder"),
        (["view1.mp4", "--out", "o", "--preset", "best"], {}, 2, "preset 'best' is unknown: use one of auto, smoke"),
        (["view1.mp4", "--out", "o", "--backend", "tpu"], {}, 2, "backend 'tpu' is unknown: use one of auto, gsplat"),
        (["view1.mp4", "--out", "o", "--frames", "-1"], {}, 2, "frame_count -1 is not allowed"),
        (["view1.mp4", "--out", "o", "--name", "a/b"], {}, 2, "--name 'a/b'"),
        (["view1.mp4", "--out", "view1.mp4"], {}, 2, "cannot be written"),
        (["view1.mp4"], {}, 2, "--out"),
        (["--out", "o"], {}, 2, "FILE"),
        (["view1.mp4", "--out", "o", "--threads", "two"], {}, 2, "--threads"),
        (["view1.mp4", "--out", "o"], {"SEED": "x", "FRAME_RATE": "-2"}, 2, "SEED='x' is not allowed"),
        (["view1.mp4", "--out", "o", "--backend", "mock"], {"MIN_DISK_SPACE_GB": "1e9"}, 3, "GB are free"),
    ],
)
def test_what_is_wrong_is_one_line_and_the_right_exit_code(
    arguments: list[str], env: dict[str, str], code: int, words: str,
    video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(video.parent)
    assert scene(*arguments, env=env) == code
    line = one_error_line(capsys)
    assert line.startswith("error: ")
    assert words in line


@pytest.mark.parametrize(
    ("arguments", "env", "words"),
    [
        (["serve"], {}, "serve"),
        ([], {"RUN_MODE": "sometimes", "MAX_RETRIES": "0"}, "MAX_RETRIES='0'"),
        ([], {"RUN_MODE": "batch"}, "BATCH_INPUT_PREFIX is not set"),
        ([], {"RUN_MODE": "batch", "BATCH_INPUT_PREFIX": "a", "BATCH_JOB_ID": "../x"}, "BATCH_JOB_ID"),
        ([], {"RUNNER_LEASE_SECONDS": "5"}, "RUNNER_LEASE_SECONDS"),
        ([], {"PRESET": "best"}, "preset 'best' is unknown"),
        ([], {}, "AZURE_STORAGE_ACCOUNT"),
    ],
)
def test_wrong_settings_are_exit_2(
    arguments: list[str], env: dict[str, str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments, {**QUIET, **env}) == 2
    assert words in one_error_line(capsys)


def test_videos_of_the_same_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for folder in ("cam1", "cam2"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "a.mp4").write_text(folder)
    assert scene(tmp_path / "cam1/a.mp4", tmp_path / "cam2/a.mp4", "--out", tmp_path / "o", "--backend", "mock") == 0
    videos = load(tmp_path / "o" / "manifest.json")["videos"]
    assert [video["filename"] for video in videos] == ["cam1/a.mp4", "cam2/a.mp4"]


def test_a_stop_ends_a_real_run_within_seconds(video: Path, tmp_path: Path) -> None:
    out = tmp_path / "o"
    command = [sys.executable, "-m", "runner", "scene", str(video), "--out", str(out), "--backend", "mock"]
    environment = {**QUIET, "MOCK_SECONDS": "120"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        while "training" not in process.stdout.readline():
            assert process.poll() is None
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, stderr = process.communicate(timeout=20)
    assert process.returncode == 143
    assert time.monotonic() - began < 20
    assert stderr.splitlines() == ["error: told to stop during training"]
    assert load(out / "error.json")["code"] == "INTERRUPTED"
    assert not (out / "workspace").exists()


def test_scene_mode_and_its_child_import_nothing_of_azure(video: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from runner import cli; "
        f"code = cli.main(['scene', {str(video)!r}, '--out', {str(tmp_path / 'o')!r}, '--backend=mock', '--quiet']); "
        "import runner.job.child, runner.pipeline.mock; "
        "print(code, [name for name in sys.modules if name.split('.')[0] in ('azure', 'torch', 'pycolmap', 'av')])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=QUIET, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "0 []"


# ---- progress for a person -------------------------------------------------------------------------------------------


class Screen:
    """Remembers what was written."""

    def __init__(self, terminal: bool) -> None:
        self.text, self._terminal = "", terminal

    def isatty(self) -> bool:
        return self._terminal

    def write(self, text: str) -> None:
        self.text += text

    def flush(self) -> None: ...


def test_progress_names_percent_stage_and_time_left() -> None:
    assert describe(Report("training", 0.5, "step 600/1200, 21.3 dB", 200)) == (
        " 66%  training: step 600/1200, 21.3 dB, about 3 min left"  # 39 % before training, and half of its 54 %
    )
    assert describe(Report("colmap_reconstruction", 0, "", None)).endswith("%  poses"), "as status calls it"


def test_a_file_gets_a_line_now_and_then_and_a_terminal_one_line_that_changes() -> None:
    file, terminal = Screen(False), Screen(True)
    for screen in (file, terminal):
        with ProgressLine(screen) as line:  # type: ignore[arg-type]
            for i in range(100):
                line.show(Report("training", i / 100))
    assert file.text == " 39%  training\n"
    assert "\n" not in terminal.text
    assert terminal.text.endswith("\r\x1b[K")
