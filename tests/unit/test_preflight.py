"""`python -m runner preflight`: every check runs, and what is missing is named with the right exit code."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from runner import cli, preflight
from runner.preflight import Settings, device, exit_code, run, sandboxed, space
from scenejobs.errors import Code, ConfigurationError, InputError, ResourceError
from scenejobs.settings import PipelineSettings, RunnerSettings, StorageSettings

QUIET = {"PATH": os.environ["PATH"]}


def settings(**changed: Any) -> Settings:
    return Settings(**{"runner": RunnerSettings(), "pipeline": PipelineSettings(), "storage": None, **changed})


def failing(error: Exception) -> Any:
    def check(_: Settings) -> str:
        raise error

    return check


def test_every_check_runs_and_the_first_failure_decides() -> None:
    results = run(
        settings(),
        {
            "one": lambda _: "fine", "two": failing(ResourceError("full")),
            "three": failing(ConfigurationError("wrong")), "four": lambda _: "fine",
        },
    )  # fmt: skip
    assert [(result.name, result.passed, result.code) for result in results] == [
        ("one", True, 0), ("two", False, 3), ("three", False, 2), ("four", True, 0),
    ]  # fmt: skip
    assert exit_code(results) == 3
    assert exit_code(results[:1]) == 0


def test_storage_is_left_out_when_asked() -> None:
    never = failing(InputError("looked"))
    assert run(settings(), {"storage": never}) == []
    assert not run(settings(storage=StorageSettings()), {"storage": never})[0].passed


def test_secrets_in_a_message_are_redacted() -> None:
    message = "https://x.blob.core.windows.net/?sig=c2VjcmV0c2VjcmV0c2VjcmV0&sv=1"
    (result,) = run(settings(), {"one": failing(ConfigurationError(message))})
    assert "c2VjcmV0" not in result.detail


def test_the_cpu_draws_a_picture() -> None:
    assert "a picture was drawn" in device(settings(pipeline=PipelineSettings(backend="cpu")))


def test_a_gpu_that_is_asked_for_and_missing_is_named() -> None:
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigurationError) as caught:
        device(settings(pipeline=PipelineSettings(backend="gsplat")))
    assert caught.value.code is Code.NO_GPU
    with pytest.raises(ConfigurationError, match="both set"):
        device(settings(pipeline=PipelineSettings(backend="gsplat", force_cpu=True)))


def test_the_layers_of_a_real_decoder_process_are_named() -> None:
    assert sandboxed(settings()).startswith("limits")
    assert sandboxed(settings(pipeline=PipelineSettings(sandbox="off"))) == "limits"


def test_a_folder_that_cannot_be_written_and_a_full_disk_are_found(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigurationError, match="TEMP_PATH"):
        space(settings(runner=RunnerSettings(workspace=str(tmp_path / "file"))))
    with pytest.raises(ResourceError, match="GB are free"):
        space(settings(runner=RunnerSettings(workspace=str(tmp_path), min_free_gb=1e9)))
    assert "GB free" in space(settings(runner=RunnerSettings(workspace=str(tmp_path), min_free_gb=0)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"], "nothing is left"


def test_from_the_command_line_with_json(capsys: pytest.CaptureFixture[str]) -> None:
    env = {**QUIET, "BACKEND": "mock", "MIN_DISK_SPACE_GB": "1e9"}
    assert cli.main(["preflight", "--no-storage", "--json"], env) == 3
    told = json.loads(capsys.readouterr().out)
    assert (told["passed"], [check["name"] for check in told["checks"] if not check["passed"]]) == (False, ["disk"])


def test_without_an_account_the_missing_setting_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["preflight"], {**QUIET, "BACKEND": "mock"}) == 2
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAIL")]
    assert line.startswith("FAIL  storage")
    assert "AZURE_STORAGE_ACCOUNT" in line


@pytest.mark.parametrize(("arguments", "env"), [(["--fast"], {}), ([], {"PRESET": "best", "BACKEND": "tpu"})])
def test_wrong_arguments_and_settings_are_exit_2(arguments: list[str], env: dict[str, str]) -> None:
    assert cli.main(["preflight", *arguments], {**QUIET, **env}) == 2


@pytest.mark.azurite
def test_real_containers_and_queues_are_looked_at(storage: StorageSettings) -> None:
    assert "debounce" in preflight.storage(settings(storage=storage))
