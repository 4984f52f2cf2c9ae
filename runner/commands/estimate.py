"""`video-splat estimate FILE...`: what local videos and photos will take, before anything is made. Writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

from runner.commands.inputs import check_named, named_files
from runner.commands.parser import Parser
from runner.media.footage import read_footage
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.fitting import cores_of, plan_of
from runner.pipeline.knobs import turned
from runner.pipeline.presets import AUTO, preset
from runner.process import gpu_present
from scenejobs.estimate.model import estimate
from scenejobs.estimate.prices import read_prices
from scenejobs.estimate.words import document, lines
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read_all


def main(arguments: Sequence[str], env: Mapping[str, str]) -> int:
    """Returns 0. Raises InputError for what is no file, ConfigurationError."""
    options = _parser().parse_args(arguments)
    (settings,) = read_all((PipelineSettings,), env)
    settings = replace(settings, preset=options.preset or settings.preset)
    pipeline_settings.check(settings)
    check_named(options.files)
    gpu = settings.backend == "gsplat" or (
        settings.backend == "auto" and not settings.force_cpu and not gpu_present.why_none()
    )
    chosen = turned(preset(AUTO[gpu] if settings.preset == "auto" else settings.preset), settings)
    budget = options.frames or settings.frame_count or chosen.frames.budget
    frames = replace(chosen.frames, budget=budget, limits=pipeline_settings.limits(settings))
    footage = read_footage(named_files(options.files).clips, frames)
    plan = plan_of(replace(chosen, frames=frames), "gsplat" if gpu else "cpu")
    found, prices = estimate(footage, plan, cores_of(settings.threads), rate_fps=settings.frame_rate), read_prices()
    if options.json:
        print(json.dumps(document(found, prices), indent=1))
    else:
        print("\n".join(lines(found, prices)), flush=True)
    return 0


def _parser() -> Parser:
    parser = Parser(
        prog="video-splat estimate", description="What videos and photos will take: time, memory, disk, money."
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="videos and photos of one place")
    parser.add_argument("--preset", help="smoke, laptop, laptop-high, draft, standard, high; default: by the machine")
    parser.add_argument("--frames", type=int, help="frames over all videos")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser
