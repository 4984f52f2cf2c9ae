"""A scene.yaml through the storage emulator: with the uploads, late, too high and wrong; and on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from function_app.wiring import assemble
from runner import cli
from runner.report.documents import SCHEMA_FILE
from scenejobs.adapters.memory import MemoryCompute
from scenejobs.ports import Containers, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.storage import StorageSettings
from tests.azurite_scene import Scene, names

PRESET = {"PRESET": "smoke", "NOTIFY_TARGETS": "team"}


@pytest.fixture
def desk(storage: StorageSettings, containers: Containers, queues: Queues, tmp_path: Any) -> Scene:
    return Scene(storage, containers, queues, tmp_path)


def manifest(desk: Scene) -> Any:
    found = json.loads(desk.containers.output.read("lobby/manifest.json")[0])
    jsonschema.validate(found, json.loads(SCHEMA_FILE.read_text()))
    return found


def sweep(desk: Scene) -> int:
    """Sealed and sent by the dispatcher itself; returns how many executions it started."""
    compute = MemoryCompute()
    assemble(desk.containers, desk.queues, compute, DispatchSettings(quiet_s=0)).sweeper.sweep()
    return compute.starts


@pytest.mark.azurite
@pytest.mark.slow
def test_with_the_uploads_late_and_wrong(desk: Scene) -> None:
    desk.upload("lobby/scene.yaml", b"train_steps: 200\nnotify: [team, stranger]\n")
    assert sweep(desk) == 0, "alone it is no scene"
    desk.upload("lobby/view1.mp4", b"first")
    assert sweep(desk) == 1
    assert desk.run(**PRESET).returncode == 0
    asked = manifest(desk)["asked"]
    assert (asked["settings"], asked["notify"]) == ({"train_steps": 200}, ["team"])
    assert asked["not_given"] == [
        "scene.yaml asks to notify stranger: NOTIFY_TARGETS does not allow it, ask the operator to add it"
    ]
    assert names(desk.containers.processed) == ["lobby/scene.yaml", "lobby/view1.mp4"]

    desk.upload("lobby/scene.yaml", b"train_steps: 100000\nexport_formats: ply\n")
    assert sweep(desk) == 1, "new settings of a scene that has files"
    assert desk.run(**PRESET).returncode == 0
    found = manifest(desk)
    assert found["asked"]["not_given"] == ["scene.yaml asks for train_steps 100000: 500 is the most here"]
    assert [(each["filename"], each["generation"]) for each in found["files"]] == [("scene.yaml", 2), ("view1.mp4", 1)]
    assert "lobby.splat" not in {each["name"] for each in found["outputs"]}

    desk.upload("lobby/scene.yaml", b"train_steps: 200\ntrain_stepps: 1\n")
    assert sweep(desk) == 1
    assert desk.run(**PRESET).returncode == 0
    assert manifest(desk) == found, "the published result stays"
    error = json.loads(desk.containers.error.read("lobby/error.json")[0])
    assert error["code"] == "BAD_SETTINGS"
    assert "scene.yaml: line 2: train_stepps is not known: did you mean train_steps?" in error["cause"]
    assert names(desk.containers.input) == []


def test_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video, file, out = tmp_path / "a.mp4", tmp_path / "scene.yaml", tmp_path / "o"
    video.write_bytes(b"any")
    file.write_text("max_gaussians: 9000000\nexport_formats: spz\n")
    arguments = ["scene", str(video), str(file), "--out", str(out), "--backend", "mock", "--preset", "smoke"]
    assert cli.main([*arguments, "--max-gaussians", "5000"], {"PATH": ""}) == 0
    found = json.loads((out / "manifest.json").read_text())
    assert found["asked"]["not_given"] == ["scene.yaml asks for max_gaussians 9000000: 5000 is the most here"]
    assert {path.name for path in out.iterdir()} >= {"o.ply"}
    assert not (out / "o.splat").exists()
    file.write_text("max_gaussian: 9000")
    capsys.readouterr()
    assert cli.main(arguments, {"PATH": ""}) == 1
    assert "line 1: max_gaussian is not known: did you mean max_gaussians?" in capsys.readouterr().err
    assert cli.main([*arguments, "--train-steps", "9"], {"PATH": ""}) == 2
    assert "--train-steps '9' is not allowed: use 0 or 100 to 1000000" in capsys.readouterr().err
