"""What every command does alike: `--json`, errors with code and next step, sections of the help, completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from scenejobs.commands import cli
from scenejobs.errors import Busy
from scenejobs.ports import Containers
from tests.commands import publish, typed

COMMANDS = list(cli.scenejobs.commands)


@pytest.mark.parametrize("words", [[], ["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_is_there_without_any_storage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(words, {}) == (0 if words else 2)
    told = capsys.readouterr()
    assert told.out.startswith("Usage: scenejobs")
    assert told.err == ""


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_stands_under_a_heading_and_takes_json(name: str) -> None:
    command = cli.scenejobs.commands[name]
    assert getattr(command, "section", "")
    assert "--json" in [text for parameter in command.params for text in parameter.opts]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["statsu"], "Did you mean 'status'"),
        (["status", "--wiat"], "Did you mean '--wait'"),
        (["upload", "lobby"], "Missing argument 'FILE"),
        (["share", "lobby", "--days", "8"], "not in the range"),
        (["status", "--wait"], "--wait needs a scene"),
        (["tidy", "--gone-days", "many"], "not a valid float"),
    ],
)
def test_what_is_mistyped_is_one_line_with_a_code_and_the_next_step(
    words: list[str],
    said: str,
    containers: Containers,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert typed(words, containers) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ")
    assert said in line
    assert line.endswith(" [INVALID_SETTING]")
    assert "scenejobs" in line


def test_an_error_is_an_object_for_a_program(
    containers: Containers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert typed(["download", "lobby", str(tmp_path), "--json"], containers) == 1
    error = json.loads(capsys.readouterr().out)["error"]
    assert (error["code"], error["exit_code"]) == ("NO_SCENE", 1)
    assert error["advice"] == "see: scenejobs status lobby"


@pytest.mark.parametrize(
    "words", [["status"], ["list"], ["audit"], ["refused"], ["tidy"], ["doctor"], ["retry", "--all"]]
)
def test_json_is_one_document_and_nothing_else(
    words: list[str],
    containers: Containers,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert typed([*words, "--json"], containers) == 0
    assert isinstance(json.loads(capsys.readouterr().out), dict)


def test_without_scenes_the_next_command_is_named(
    containers: Containers,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for command in ("status", "list"):
        assert typed([command], containers) == 0
        assert capsys.readouterr().out == "no scenes in input yet: scenejobs upload SCENE FILE...\n"


def test_wait_ends_with_the_scene_and_says_what_comes_next(
    containers: Containers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It ended with a traceback: a local name hid the function that waits."""
    from scenejobs.errors import Failure
    from scenejobs.state import layout
    from scenejobs.state.record import SceneRecord

    now = containers.state.now()
    failing = SceneRecord("lobby").given_up(Failure("training", "DISK_FULL", "no space", "more disk"), (), "r1", now)
    record = failing.closed({}, now)
    containers.state.write(layout.record_name("lobby"), json.dumps(record.to_json()).encode())
    assert typed(["status", "lobby", "--wait"], containers) == 1
    told = capsys.readouterr().out
    assert "lobby: failed" in told
    assert "code DISK_FULL, in training" in told
    assert "scenejobs retry lobby" in told
    assert typed(["status", "lobby", "--wait", "--json"], containers) == 1
    assert json.loads(capsys.readouterr().out)["failure"]["code"] == "DISK_FULL"


def test_a_download_goes_on_with_what_is_missing(containers: Containers, tmp_path: Path) -> None:
    publish(containers, {"lobby.ply": b"ply", "viewer.html": b"<html>"})
    out = tmp_path / "out"
    assert typed(["download", "lobby", str(out)], containers) == 0
    kept = (out / "lobby.ply").stat().st_ino
    (out / "viewer.html").write_bytes(b"<ht")
    assert typed(["download", "lobby", str(out)], containers) == 0
    assert (out / "viewer.html").read_bytes() == b"<html>"
    assert (out / "lobby.ply").stat().st_ino == kept, "what is whole is not fetched again"


def test_an_empty_file_is_refused_before_the_first_byte(
    containers: Containers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "a.mp4").write_bytes(b"abc")
    (tmp_path / "b.mp4").touch()
    assert typed(["upload", "lobby", str(tmp_path / "a.mp4"), str(tmp_path / "b.mp4")], containers) == 1
    assert capsys.readouterr().err.endswith("[EMPTY_FILE]\n")
    assert list(containers.input.list()) == []


def test_a_stopped_emulator_is_told_how_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    def opening(_: object) -> Any:
        raise Busy("listing input/: connection refused")

    assert cli.main(["list"], {"AZURE_STORAGE_CONNECTION_STRING": "UseDevelopmentStorage=true"}, opening) == 3
    assert "start the emulator in another terminal: video-splat cloud" in capsys.readouterr().err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_of_each_shell_is_printed(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["completion", shell], {}) == 0
    assert "_SCENEJOBS_COMPLETE" in capsys.readouterr().out


def test_a_shell_that_asks_is_told_the_commands(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in {"_SCENEJOBS_COMPLETE": "bash_complete", "COMP_WORDS": "scenejobs st", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, text)
    assert cli.main([], {}) == 0
    assert capsys.readouterr().out == "plain,status\n"


def test_links_are_for_accounts_and_a_viewer_in_folders_is_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from scenejobs.commands.storage import open_from

    env = {"DATA_PATH": str(tmp_path)}
    publish(open_from(env)[0].containers, {"viewer.html": b"<html>"})
    assert cli.main(["open", "lobby", "--print"], env) == 0
    assert capsys.readouterr().out == (tmp_path / "output/lobby/viewer.html").as_uri() + "\n"
    assert cli.main(["share", "lobby"], env) == 2
    assert "folders have no links" in capsys.readouterr().err
    assert cli.main(["open", "lobby", "--file", "x.ply"], env) == 1
    assert "has no file x.ply: it has manifest.json, viewer.html" in capsys.readouterr().err
