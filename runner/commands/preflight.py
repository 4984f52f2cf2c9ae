"""`python -m runner preflight`: is everything there that a job will need? Looks at once, names what is missing, exits.

    python -m runner preflight [--no-storage] [--json]

    packages   the libraries load, in these versions
    device     the backend that would be used, a real small picture and its gradients; on a GPU compared with the CPU
    lpips      where LPIPS_WEIGHTS is set: the published weights load, and two pictures are compared
    sandbox    a locked-down decoder process starts; which layers this system has (SANDBOX=require: all of the minimum)
    disk       TEMP_PATH can be written, and MIN_DISK_SPACE_GB are free
    storage    the identity is accepted, every container and queue is there and may be read; folders: can be written

Every check runs, whatever the others say. Exit code: 0 all passed, else that of the first that did not (2 settings,
credentials or a missing GPU, 3 the machine or the service).
"""

from __future__ import annotations

import importlib
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from runner.cache import provenance
from runner.commands.parser import Parser
from runner.files import disk
from runner.job import workspace
from runner.media import decoder
from runner.media.decoder_requests import CloseIn
from runner.pipeline import settings as pipeline_settings
from runner.quality.lpips_weights import Weights
from runner.sandbox import lockdown
from runner.sandbox import run as sandbox_run
from scenejobs.adapters.open import WATCHED, open_storage, places
from scenejobs.errors import Code, ConfigurationError, RunnerError, SceneJobError
from scenejobs.logs.redact import redact
from scenejobs.logs.setup import printable
from scenejobs.settings.groups import FolderSettings, PipelineSettings, RunnerSettings, StorageSettings
from scenejobs.settings.reader import read_all

MODULES = ("numpy", "scipy", "numba", "av", "PIL", "pillow_heif", "pycolmap", "plyfile", "jinja2", "torch")
SIZE = 48  # pixels of the picture that is drawn
GAUSSIANS = 64
AGREE = 1e-3  # colour, 0..1: as much as two rasterisers may differ
PROBE = sandbox_run.Bounds(
    lockdown.Ceilings(4 * 2**30, cpu_s=60, file_bytes=0), wall_s=60, silence_s=60, answer_bytes=1 << 16,
    files=0, folder_bytes=0,
)  # fmt: skip


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
    parser = Parser(prog="python -m runner preflight", description="Is everything there?")
    parser.add_argument("--no-storage", action="store_true", help="leave the storage account out")
    parser.add_argument("--json", action="store_true", help="one object, for a monitor")
    options = parser.parse_args(arguments)
    groups = (RunnerSettings, PipelineSettings, StorageSettings, FolderSettings)
    runner, pipeline, account, folders = read_all(groups, env)
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


def packages(_settings: Settings) -> str:
    for name in MODULES:
        try:
            importlib.import_module(name)
        except (ImportError, OSError) as exc:  # OSError: a shared library that cannot be loaded
            raise RunnerError(f"{name} cannot be loaded ({exc})", advice="rebuild the image, or reinstall") from exc
    return ", ".join(f"{name} {version}" for name, version in provenance.versions().items())


def device(settings: Settings) -> str:
    import torch

    from runner.raster import rasterizer, why_no_gpu

    pipeline_settings.check_names(settings.pipeline)
    wanted = settings.pipeline.backend
    if wanted == "mock":
        return "mock: nothing is drawn"
    if wanted == "gsplat" and settings.pipeline.force_cpu:
        raise ConfigurationError(
            "BACKEND=gsplat and FORCE_CPU_BACKEND are both set", code=Code.NO_GPU, advice="unset one of them"
        )
    if wanted == "cpu" or settings.pipeline.force_cpu:
        _draw(rasterizer("cpu", settings.pipeline.threads))
        return f"cpu, {os.cpu_count()} cores: a picture was drawn"
    reason = why_no_gpu()
    if torch.cuda.is_available() and reason:  # a GPU is paid for, and training would do without it or fail
        raise ConfigurationError(
            f"there is a GPU, but {reason}", code=Code.NO_GPU, advice="use the GPU image (docs/images.md)"
        )
    if reason and wanted == "auto":
        _draw(rasterizer("cpu", settings.pipeline.threads))
        return f"cpu ({reason}), {os.cpu_count()} cores: a picture was drawn"
    try:
        on_gpu = _draw(rasterizer("gsplat"))
    except RuntimeError as exc:  # torch's for everything CUDA says: no kernel image, driver too old, out of memory
        raise ConfigurationError(
            f"gsplat cannot draw on {_gpu()}: {str(exc).splitlines()[0]}", code=Code.NO_GPU,
            advice="build the kernels for this GPU (TORCH_CUDA_ARCH_LIST, docs/images.md), or update its driver",
        ) from exc  # fmt: skip
    apart = float((on_gpu - _draw(rasterizer("cpu", settings.pipeline.threads))).abs().max())
    if not apart < AGREE:  # NaN is not
        raise RunnerError(f"{_gpu()} draws another picture than the CPU: {apart:.3g} apart", advice="replace the GPU")
    return f"gsplat on {_gpu()}: a picture was drawn and agrees with the CPU's"


def _gpu() -> str:
    import torch

    found = torch.cuda.get_device_properties(0)
    return f"{found.name} (compute {found.major}.{found.minor}, {found.total_memory / 2**30:.0f} GiB)"


def _draw(backend: Any) -> Any:
    """A small picture [SIZE, SIZE, 3] on the CPU, after its gradients were taken."""
    import torch

    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Any:
        return torch.randn(*shape, generator=generator)

    values = {
        "means": normal(GAUSSIANS, 3) * 0.5 + torch.tensor([0.0, 0.0, 3.0]),
        "quats": normal(GAUSSIANS, 4),
        "scales": normal(GAUSSIANS, 3) * 0.3 - 2.0,
        "opacities": normal(GAUSSIANS),
        "sh0": normal(GAUSSIANS, 1, 3) * 0.5,
        "shN": normal(GAUSSIANS, 15, 3) * 0.1,
    }
    where = backend.device
    params = {name: value.to(where).requires_grad_() for name, value in values.items()}
    K = torch.tensor([[SIZE, 0, SIZE / 2], [0, SIZE, SIZE / 2], [0, 0, 1.0]], device=where)
    eye, black = torch.eye(4, device=where), torch.zeros(3, device=where)
    image = backend.render(params, eye, K, SIZE, SIZE, sh_degree=3, background=black).image
    image.sum().backward()
    if not all(bool(torch.isfinite(value.grad).all()) for value in params.values()):
        raise RunnerError(f"backend {backend.name} gives gradients that are no numbers", advice="rebuild the image")
    return image.detach().cpu()


def lpips(settings: Settings) -> str:
    import torch

    from runner.quality.lpips import load_lpips

    weights = Weights(Path(settings.pipeline.lpips_weights))
    apart = load_lpips(weights, torch.device("cpu"))(torch.zeros(SIZE, SIZE, 3), torch.ones(SIZE, SIZE, 3))
    return f"black and white are {apart:.3f} apart by the weights in {weights.folder}"


def sandboxed(settings: Settings) -> str:
    mode = settings.pipeline.sandbox
    layers: list[str] = []
    request = {**msgspec.to_builtins(CloseIn()), "writes": False}
    try:
        sandbox_run.run(
            request, about="nothing", bounds=PROBE, mode=mode, command=decoder.COMMAND, on_layers=layers.extend
        )
    except SceneJobError as exc:
        if not (lacking := lockdown.missing(layers)) or mode != "require":
            raise RunnerError(f"the decoder's process cannot work here: {exc}", advice="see docs/images.md") from exc
        raise ConfigurationError(
            f"SANDBOX=require, but this system lacks {', '.join(lacking)}", code=Code.NO_SANDBOX,
            advice="use a kernel with seccomp and Landlock and a container that allows them, or SANDBOX=auto",
        ) from exc  # fmt: skip
    lacking = lockdown.missing(layers)
    return ", ".join(layers) + (f"; NOT {', '.join(lacking)}" if lacking and mode != "off" else "")


def space(settings: Settings) -> str:
    folder = Path(settings.runner.workspace or tempfile.gettempdir())
    with workspace.job_folder(settings.runner.workspace) as made:
        (made / "probe").write_bytes(b"probe")
    disk.require_space(folder, input_bytes=0, reserve_gb=settings.runner.min_free_gb)
    return f"{disk.free_bytes(folder) / disk.GB:.1f} GB free in {folder}"


def storage(settings: Settings) -> str:
    """As the mode will open it."""
    account, folders, mode = settings.account, settings.folders, settings.runner.mode
    if mode == "watch":  # asks no account, and has a place of its own
        account, folders = StorageSettings(), replace(folders, data=folders.data or WATCHED)
    opened = open_storage(folders, account, check=True, queues=mode == "queue")
    if folders.data:
        return f"{opened.means}: {', '.join(map(str, places(folders).all()))}"
    from scenejobs.adapters.azure import clients  # heavy, and not there where only folders are

    names = (*clients.container_names(account), *(clients.queue_names(account) if mode == "queue" else ()))
    return f"by {opened.means}: {', '.join(names)}"


CHECKS: Mapping[str, Check] = {
    "packages": packages, "device": device, "lpips": lpips, "sandbox": sandboxed, "disk": space, "storage": storage,
}  # fmt: skip
