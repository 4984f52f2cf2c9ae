"""`video-splat preflight`: every check runs, and what is missing is named with the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from runner import cli
from runner.commands import preflight
from runner.commands.preflight import Settings, device, exit_code, run, sandboxed, space
from runner.sandbox import landlock
from scenejobs.adapters.folder import Places, open_containers
from scenejobs.errors import Code, ConfigurationError, InputError, ResourceError
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.storage import FolderSettings, StorageSettings
from tests.folders import above

ROOT = Path(__file__).parents[4]
QUIET = {"PATH": os.environ["PATH"]}


def settings(**changed: Any) -> Settings:
    groups = {
        "runner": RunnerSettings(), "pipeline": PipelineSettings(), "account": StorageSettings(),
        "folders": FolderSettings(),
    }  # fmt: skip
    return Settings(**{**groups, **changed})


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
    assert run(settings(look_at_storage=False), {"storage": never}) == []
    assert not run(settings(), {"storage": never})[0].passed


def test_secrets_in_a_message_are_redacted() -> None:
    message = "https://x.blob.core.windows.net/?sig=c2VjcmV0c2VjcmV0c2VjcmV0&sv=1"
    (result,) = run(settings(), {"one": failing(ConfigurationError(message))})
    assert "c2VjcmV0" not in result.detail


def test_the_cpu_draws_a_picture() -> None:
    assert "an image was drawn" in device(settings(pipeline=PipelineSettings(backend="cpu")))


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


# ---- storage ---------------------------------------------------------------------------------------------------------


@pytest.mark.azurite
def test_real_containers_and_queues_are_looked_at(storage: StorageSettings) -> None:
    assert "debounce" in preflight.storage(settings(account=storage))
    assert "debounce" not in preflight.storage(settings(account=storage, runner=RunnerSettings(mode="batch")))
    assert preflight.storage(settings(account=storage)).endswith("; StorageV2, flat namespace")


@pytest.mark.parametrize("mode", ["queue", "batch", "watch"])
def test_folders_are_looked_at_where_they_are_set(tmp_path: Path, mode: Any) -> None:
    told = preflight.storage(settings(runner=RunnerSettings(mode=mode), folders=FolderSettings(data=str(tmp_path))))
    assert told.startswith(f"folders: {tmp_path}/input, ")
    assert told.endswith(f"{tmp_path}/state")


def test_watch_mode_asks_no_account_and_has_a_place_of_its_own(tmp_path: Path) -> None:
    everywhere = {f"{name}": str(tmp_path / name) for name in ("input", "output", "processed", "error", "state")}
    watching = settings(
        runner=RunnerSettings(mode="watch"), account=StorageSettings(account="shop"),
        folders=FolderSettings(**everywhere),
    )  # fmt: skip
    assert f"{tmp_path}/output" in preflight.storage(watching)


@pytest.mark.skipif(landlock.abi() == 0, reason="this kernel has no Landlock to close a folder with")
def test_a_folder_that_cannot_be_written_is_named_with_the_remedy(tmp_path: Path) -> None:
    """It is there and was written to before: else the first scene would find out, at its end."""
    places = Places.below(tmp_path)
    open_containers(places)
    for path in [*above(tmp_path), tmp_path, *tmp_path.rglob("*")]:
        path.chmod(0o777)  # whoever nobody is
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o777)
    scratch.chmod(0o777)
    open_folders = [str(folder) for folder in (places.input, places.output, places.processed, places.state, scratch)]
    command = [sys.executable, "-m", "tests.read_only_root", *open_folders, "--", sys.executable, "-m", "runner"]
    env = {**QUIET, "BACKEND": "mock", "MIN_DISK_SPACE_GB": "0", "DATA_PATH": str(tmp_path), "TEMP_PATH": str(scratch)}
    env |= {"NUMBA_CACHE_DIR": str(scratch), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([*command, "preflight"], cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert (done.returncode, line.split()[1], str(places.error) in line) == (2, "storage", True), done
    assert "the right to read and write the folder" in line


def test_folders_and_an_account_are_not_clear() -> None:
    both = settings(account=StorageSettings(account="shop"), folders=FolderSettings(data="/data"))
    with pytest.raises(ConfigurationError, match="not clear"):
        preflight.storage(both)
