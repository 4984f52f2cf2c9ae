"""`video-splat preflight`: is everything there that a job will need? Names what is missing, and exits.

    video-splat preflight [--no-storage] [--json]

    packages   the libraries load, in these versions
    device     the backend that would be used, a small image and its gradients; on a GPU compared with the CPU
    lpips      where LPIPS_WEIGHTS is set: the published weights load, and two images are compared
    sandbox    a locked-down decoder process starts; which layers this system has (SANDBOX=require: all of the minimum)
    disk       TEMP_PATH can be written, and MIN_DISK_SPACE_GB are free
    storage    the identity is accepted, every container and queue is there and may be read; folders: can be written;
               which kind of account it is, where the identity may ask

Every check runs, whatever the others say. Exit code: 0 all passed, else that of the first that did not (2 settings,
credentials or a missing GPU, 3 the machine or the service).
"""

from __future__ import annotations

import importlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from runner.cache import provenance
from runner.commands.parser import Parser
from runner.files import disk, writable
from runner.job import workspace
from runner.media.decoding.self_test import self_test as decoder_self_test
from runner.pipeline import config_file
from runner.pipeline import settings as pipeline_settings
from runner.quality.lpips_weights import Weights
from scenejobs.adapters.open import WATCHED, nowhere, open_storage, places
from scenejobs.errors import Code, ConfigurationError, RunnerError, SceneJobError
from scenejobs.logs.redact import redact
from scenejobs.logs.setup import printable
from scenejobs.settings import modes, older
from scenejobs.settings.groups import RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import FolderSettings, StorageSettings

MODULES = ("numpy", "scipy", "numba", "av", "PIL", "pillow_heif", "pycolmap", "cv2", "plyfile", "jinja2", "torch")


@dataclass(frozen=True)
class Settings:
    """What the checks read."""

    runner: RunnerSettings
    pipeline: PipelineSettings
    account: StorageSettings
    folders: FolderSettings
    look_at_storage: bool = True


@dataclass(frozen=True)
class Result:
    """How one check went."""

    name: str
    passed: bool
    detail: str  # what was found, or the error with its remedy
    code: int  # exit code; 0 when passed


Check = Callable[[Settings], str]


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Prints a line per check; returns the exit code. Raises ConfigurationError for wrong arguments or settings."""
    parser = Parser(prog="video-splat preflight", description="Is everything there?")
    parser.add_argument("--no-storage", action="store_true", help="leave the storage account out")
    parser.add_argument("--json", action="store_true", help="one object, for a monitor")
    options = parser.parse_args(arguments)
    env = config_file.read(env).env
    groups = (RunnerSettings, PipelineSettings, StorageSettings, FolderSettings)
    runner, pipeline, account, folders = read_all(groups, env, refused=(*older.problems(env), *modes.problems(env)))
    results = run(Settings(runner, pipeline, account, folders, look_at_storage=not options.no_storage))
    if options.json:
        print(json.dumps({"passed": exit_code(results) == 0, "checks": [asdict(result) for result in results]}))
    else:
        for result in results:
            print(f"{'ok  ' if result.passed else 'FAIL'}  {result.name:<9} {result.detail}")
    return exit_code(results)


def run(settings: Settings, checks: Mapping[str, Check] | None = None) -> list[Result]:
    """Every check that the settings ask for, in order. `checks`: default all."""
    chosen = CHECKS if checks is None else checks
    unasked = {"storage": not settings.look_at_storage, "lpips": not settings.pipeline.lpips_weights}
    return [_result(name, check, settings) for name, check in chosen.items() if not unasked.get(name)]


def exit_code(results: Sequence[Result]) -> int:
    return next((result.code for result in results if not result.passed), 0)


def _result(name: str, check: Check, settings: Settings) -> Result:
    try:
        return Result(name, True, printable(check(settings)), 0)
    except SceneJobError as exc:
        return Result(name, False, printable(redact(" ".join(str(exc).split()))), exc.exit_code)
    except Exception as exc:  # noqa: BLE001  # of a library, on a machine nobody thought of: the other checks still tell
        return Result(name, False, printable(redact(f"{type(exc).__name__}: {' '.join(str(exc).split())}")), 3)


def packages(_settings: Settings) -> str:
    for name in MODULES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as exc:  # OSError: a shared library that cannot be loaded
            raise RunnerError(f"{name} cannot be loaded ({exc})", advice="rebuild the image, or reinstall") from exc
    return ", ".join(f"{name} {version}" for name, version in provenance.versions().items())


def device(settings: Settings) -> str:
    pipeline_settings.check_names(settings.pipeline)
    wanted, force_cpu = settings.pipeline.backend, settings.pipeline.force_cpu
    if wanted == "mock":
        return "mock: nothing is drawn"
    if wanted == "gsplat" and force_cpu:
        raise ConfigurationError(
            "BACKEND=gsplat and FORCE_CPU_BACKEND are both set", code=Code.NO_GPU, advice="unset one of them"
        )
    writable.compiled_code(os.environ)
    from runner.raster import self_test  # loads torch

    return self_test.self_test("cpu" if force_cpu else wanted, settings.pipeline.threads)


def lpips(settings: Settings) -> str:
    from runner.quality.lpips import self_test  # loads torch

    return self_test(Weights(Path(settings.pipeline.lpips_weights)))


def sandboxed(settings: Settings) -> str:
    return decoder_self_test(settings.pipeline.sandbox)


def space(settings: Settings) -> str:
    folder = writable.workspace(settings.runner.workspace)
    with workspace.job_folder(settings.runner.workspace) as made:
        (made / "probe").write_bytes(b"probe")
    disk.require_space(folder, input_bytes=0, reserve_gb=settings.runner.min_free_gb)
    return f"{disk.free_bytes(folder) / disk.GB:.1f} GB free in {folder}"


def storage(settings: Settings) -> str:
    """As the mode will open it."""
    account, folders, mode = settings.account, settings.folders, settings.runner.mode
    if mode == "watch":  # asks no account, and has a place of its own
        if why := nowhere(folders):
            raise ConfigurationError(why, code=Code.MISSING_SETTING, advice="name a folder of yours")
        account, folders = StorageSettings(), replace(folders, data=folders.data or WATCHED)
    queues = mode in ("queue", "serve")
    opened = open_storage(folders, account, check=True, queues=queues)
    if folders.data:
        return f"{opened.means}: {', '.join(map(str, places(folders).all()))}"
    from scenejobs.adapters.azure import clients  # heavy, and not there where only folders are

    names = (*clients.container_names(account), *(clients.queue_names(account) if queues else ()))
    kind = clients.namespace(account)
    return f"by {opened.means}: {', '.join(names)}" + (f"; {kind}" if kind else "")


CHECKS: Mapping[str, Check] = {
    "packages": packages, "device": device, "lpips": lpips, "sandbox": sandboxed, "disk": space, "storage": storage,
}  # fmt: skip
