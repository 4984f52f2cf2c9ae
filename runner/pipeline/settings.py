"""From the settings a user gave to what the stages get: the preset with every override applied, and the backend."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from pathlib import Path

from runner.cache.store import CacheSettings
from runner.export.viewer.package import ADVICE, Package
from runner.media.settings import Limits, SandboxSettings
from runner.pipeline import knobs
from runner.pipeline.more_time import USUAL, MoreTime
from runner.pipeline.presets import AUTO, PRESETS, Preset, preset, with_less_memory, with_threads
from runner.pipeline.scene_settings.budget import NO_BUDGET, SceneBudget, scene_budget
from runner.pipeline.scene_settings.limits import held
from runner.pipeline.scene_settings.scene_file import Asked, as_settings
from runner.process import gpu_driver
from runner.quality.lpips_weights import Weights
from runner.scene.frames import RefusedClip
from scenejobs.errors import Code, ConfigurationError, UnusedFile
from scenejobs.estimate.learned import Finished
from scenejobs.settings import knobs as knob_settings
from scenejobs.settings.pipeline import MediaLimits, PipelineSettings

log = logging.getLogger(__name__)

BACKENDS = ("auto", "gsplat", "cpu", "mock")


@dataclass(frozen=True)
class JobSettings:
    """What `reconstruct` gets."""

    preset: Preset  # frames, poses, train: with every override
    backend: str  # "gsplat" | "cpu" | "mock"
    job_id: str  # for manifest and reports
    threads: int  # 0: all cores
    seed: int
    save_s: float = 60.0  # between two saves of the training state
    cache: CacheSettings | None = None  # of what earlier runs found
    smaller: str = ""  # what was made smaller after an attempt ran out of memory, for the reports
    warnings: tuple[str, ...] = ()  # about the uploads, for the reports
    refused: tuple[RefusedClip, ...] = ()  # uploads that could not be used before any was opened, for the reports
    unused: tuple[UnusedFile, ...] = ()  # uploads that nothing is made of though they are whole, for the reports
    generations: Mapping[str, int] = field(
        default_factory=dict
    )  # of the scene that brought each file, for the manifest
    lpips: Weights | None = None  # None: LPIPS is not measured
    supersplat: Package | None = None  # whose page viewer.html is; None: our own
    ends_at: float | None = None  # time.monotonic() at which the run has to be over; None: nobody says
    formats: tuple[str, ...] = knob_settings.USUAL_FORMATS  # the files that are written
    asked: Asked | None = None  # by the scene's scene.yaml, for the manifest
    finished: tuple[Finished, ...] = ()  # scenes that the estimate learns from, oldest first
    uploaded_at: datetime | None = None  # the last upload of the scene; None: it was not uploaded
    filming_page: str = ""  # address that the report links to; "": none
    marker_size_m: float = 0.0  # side of printed markers; 0: there are none
    metric: bool = False  # METRIC: files in metres where the scale is known
    publish_geo: bool = False  # GEO=publish: coordinates may stand in outputs
    machine: str = ""  # profile that the execution is billed as; "": it is not billed
    budget: SceneBudget = NO_BUDGET  # which may be what `ends_at` comes from
    finish_s: float = 0.0  # estimated, of what follows the training
    train_again: bool = False  # what is trained too little is no result: another attempt follows, with more time


def check(settings: PipelineSettings) -> None:
    """Raises ConfigurationError for unknown names and missing files.

    Light: the parent asks before any work begins.
    """
    check_names(settings)
    _check_frame_count(settings)
    _check_filming_page(settings)
    _check_knobs(settings)
    if weights := lpips_weights(settings):
        weights.check()
    if package := supersplat_viewer(settings):
        package.check()


def check_names(settings: PipelineSettings) -> None:
    """Raises ConfigurationError for an unknown preset or backend."""
    if settings.preset != "auto" and settings.preset not in PRESETS:
        raise ConfigurationError(
            f"preset {settings.preset!r} is unknown",
            code=Code.INVALID_SETTING,
            advice=f"use one of auto, {', '.join(PRESETS)}",
            stage="configuration",
        )
    if settings.backend not in BACKENDS:
        raise ConfigurationError(
            f"backend {settings.backend!r} is unknown",
            code=Code.INVALID_SETTING,
            advice=f"use one of {', '.join(BACKENDS)}",
            stage="configuration",
        )


def resolve(
    settings: PipelineSettings, job_id: str, *, save_s: float = 60.0, out_of_memory: str = "",
    cache: CacheSettings | None = None, warnings: tuple[str, ...] = (), refused: tuple[RefusedClip, ...] = (),
    generations: Mapping[str, int] | None = None, unused: tuple[UnusedFile, ...] = (), more_time: MoreTime = USUAL,
    ends_at: float | None = None, asked: Asked | None = None, finished: tuple[Finished, ...] = (), machine: str = "",
    uploaded_at: datetime | None = None,
) -> JobSettings:  # fmt: skip
    """Looks at the machine where "auto" asks for it. Raises ConfigurationError, NO_GPU included, and InputError
    BAD_SETTINGS.

    asked: what the scene's own scene.yaml asks for, which is held by the settings (scene_settings/limits.py).
    out_of_memory: the stage in which an earlier attempt ran out of memory; what needs most of it there is made smaller.
    finished, machine: for the estimate.
    more_time: the budgets are so many times the usual ones.
    """
    check(settings)
    begun = time.monotonic()
    backend = _backend(settings)
    name = settings.preset
    if name == "auto":
        name = AUTO[backend == "gsplat"]
    budget, ends_at = scene_budget(settings, asked, machine).beside(ends_at, begun)
    chosen, told = _chosen(settings, name, more_time), budget.told
    if asked:
        wanted = replace(settings, **as_settings(asked))
        limit, settings = chosen, wanted
        wished = _chosen(wanted, str(asked.values.get("preset", name)), more_time)
        found = held(asked, wished, limit)
        chosen, told = found.preset, (*told, *found.told)
    for each in told:
        log.warning("%s", each)
    if budget.seconds is not None:
        chosen = replace(chosen, poses=replace(chosen.poses, budget_s=min(chosen.poses.budget_s, budget.seconds)))
    smaller = ""
    if out_of_memory:
        chosen, smaller = with_less_memory(chosen, out_of_memory)
    return JobSettings(
        chosen, backend, job_id, settings.threads, settings.seed, save_s, cache, smaller, (*warnings, *told),
        refused, unused, generations or {}, lpips_weights(settings), supersplat_viewer(settings),
        ends_at, settings.formats, asked, finished,
        uploaded_at, settings.filming_page, settings.marker_size_m, settings.metric,
        settings.geo == "publish", machine,
        budget, train_again=budget.seconds is None and more_time.may_follow(chosen.train.budget_s),
    )  # fmt: skip


def _chosen(settings: PipelineSettings, name: str, more_time: MoreTime) -> Preset:
    """The preset of that name with every setting that overrides it."""
    chosen = knobs.turned(with_threads(preset(name), settings.threads), settings)
    frames = replace(
        chosen.frames,
        budget=settings.frame_count or chosen.frames.budget,
        rate_fps=settings.frame_rate or chosen.frames.rate_fps,
        limits=limits(settings),
        sandbox=SandboxSettings(settings.sandbox, int(settings.decode_memory_gb * 1024**3), settings.decode_timeout_s),
    )
    poses = replace(
        chosen.poses,
        features=settings.features or chosen.poses.features,
        features_of_few=settings.features or chosen.poses.features_of_few,
        min_points=settings.min_points,
        budget_s=more_time.for_poses(settings.poses_budget_s or chosen.poses.budget_s),
        seed=settings.seed,
    )
    train_s = more_time.for_training(chosen.train.budget_s)
    train = replace(chosen.train, seed=settings.seed, budget_s=train_s)
    return replace(chosen, frames=frames, poses=poses, train=train)


def limits(settings: PipelineSettings) -> Limits:
    """What a video or photo may be."""
    return Limits(**{item.name: getattr(settings, item.name) for item in fields(MediaLimits)})


def _check_frame_count(settings: PipelineSettings) -> None:
    least = Limits().min_scene_photos  # a scene with videos needs more, which is told when they are known
    if 0 < settings.frame_count < least:
        raise ConfigurationError(
            f"FRAME_COUNT={settings.frame_count} is too few: a scene needs {least} frames at least",
            code=Code.INVALID_SETTING, advice="leave it out, or use a larger number", stage="configuration",
        )  # fmt: skip


def _check_filming_page(settings: PipelineSettings) -> None:
    if settings.filming_page and not settings.filming_page.startswith("https://"):
        raise ConfigurationError(
            f"FILMING_PAGE={settings.filming_page[:40]!r} is no address of a page",
            code=Code.INVALID_SETTING, advice="begin it with https://, or leave it out", stage="configuration",
        )  # fmt: skip


def _check_knobs(settings: PipelineSettings) -> None:
    """With "auto" each preset that it may become counts: only the job's own process looks at the machine."""
    knob_settings.check(settings)
    names = AUTO if settings.preset == "auto" else (settings.preset,)
    possible = [knobs.turned(preset(name), settings) for name in names]
    for problem in dict.fromkeys(each for chosen in possible for each in knobs.problems(chosen)):
        raise ConfigurationError(
            problem, code=Code.INVALID_SETTING, advice="let the first be the smaller one", stage="configuration"
        )


def lpips_weights(settings: PipelineSettings) -> Weights | None:
    return Weights(Path(settings.lpips_weights)) if settings.lpips_weights else None


def supersplat_viewer(settings: PipelineSettings) -> Package | None:
    """Raises ConfigurationError where it is wanted and nobody says where it is."""
    if settings.viewer != "supersplat":
        return None
    if not settings.supersplat_viewer:
        raise ConfigurationError(
            "VIEWER=supersplat needs SUPERSPLAT_VIEWER, the folder of the package",
            code=Code.INVALID_SETTING,
            advice=ADVICE,
            stage="configuration",
        )
    return Package(Path(settings.supersplat_viewer))


def _backend(settings: PipelineSettings) -> str:
    if settings.backend in ("cpu", "mock"):
        return settings.backend
    usable = not settings.force_cpu and gpu_usable()
    if not usable and not settings.force_cpu:
        if settings.backend == "gsplat":
            gpu_driver.require()
        elif reason := gpu_driver.why_too_old():
            log.warning("the CPU is used: %s", reason)
    if settings.backend == "gsplat" and not usable:
        why = "FORCE_CPU_BACKEND is set" if settings.force_cpu else "no CUDA device is usable"
        raise ConfigurationError(
            f"backend gsplat needs a GPU, and {why}",
            code=Code.NO_GPU,
            advice="use BACKEND=auto or BACKEND=cpu, or run on a machine with an NVIDIA GPU",
            stage="configuration",
        )
    return "gsplat" if usable else "cpu"


def gpu_usable() -> bool:
    import torch  # heavy: only the child process asks

    return torch.cuda.is_available()
