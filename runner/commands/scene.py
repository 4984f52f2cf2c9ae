"""`video-splat scene FILE... --out DIR`: local videos and photos to a result in a folder. Touches no storage."""

from __future__ import annotations

import logging
import os
import shutil
import sys
import uuid
from argparse import Namespace
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Any

from runner.cache.store import CacheSettings
from runner.commands import knob_options
from runner.commands.earlier_results import forget, is_result, put_aside, remove_results
from runner.commands.inputs import NamedFiles, check_named, named_files
from runner.commands.progress_line import ProgressLine
from runner.files import json_file, writable
from runner.files.disk import require_space
from runner.job import run_log
from runner.job.request import Job
from runner.job.supervise import JobLimits, Supervision, run_job
from runner.media.settings import Limits
from runner.pipeline import config_file
from runner.pipeline import settings as pipeline_settings
from runner.pipeline.scene_settings.scene_file import asked_for
from runner.process.signals import StopFlag
from runner.report import documents
from runner.scene.frames import Clip
from runner.scene.inputs.pose_files import JSON_FILES, READ, is_read, misplaced
from scenejobs.errors import Code, ConfigurationError, InputError, SceneJobError
from scenejobs.logs.setup import printable
from scenejobs.names import (
    MAX_STEM_BYTES,
    POSE_FOLDERS,
    SCENE_FILE,
    as_text,
    is_companion,
    is_photo,
    output_stem,
    refusal,
)
from scenejobs.settings import older
from scenejobs.settings.groups import LogSettings, RunnerSettings
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.settings.reader import read_all

WORKSPACE = "workspace"
CACHE = "cache"  # in the workspace
LOG = "run.log"
ERROR = "error.json"


def main(arguments: Sequence[str], env: Mapping[str, str], stop: StopFlag) -> int:
    """Returns 0, also for a suspect result. Raises every failure, after writing DIR/error.json where there is a DIR."""
    options = _parser().parse_args(arguments)
    out = Path(os.path.abspath(options.out))
    name = _checked_name(options, out)
    _check_frames(options)
    read = {Path(os.path.abspath(path)) for path in options.videos}
    if options.poses:
        poses = Path(os.path.abspath(options.poses))
        read |= {poses, *(poses / file for file in READ)}
    check_named(options.videos)
    aside = _prepare(out, name, read)
    run_id = uuid.uuid4().hex[:12]
    inputs = list(options.videos)  # their names, as far as they are known
    try:
        files = named_files(options.videos)
        inputs = [*(clip.name for clip in files.clips), *(each.name for each in files.unused)]
        summary = _run(options, files, out, name, run_id, env, stop)
    except SceneJobError as exc:
        remove_results(out, name, read)
        now = datetime.now(UTC)
        document = documents.error(
            run_id,
            exc.failure(),
            attempts=1,
            failed_at=now,
            inputs=inputs,
            log=LOG if (out / LOG).is_file() else None,
        )
        earlier = {"earlier_result": aside.name} if aside else {}
        json_file.write_json(out / ERROR, document | earlier)
        raise
    finally:
        if not options.keep_workspace:
            shutil.rmtree(out / WORKSPACE, ignore_errors=True)
    forget(aside)
    doubtful = _tell_doubt(summary)
    if not options.quiet:
        psnr = summary.get("psnr_heldout")
        quality = f", {psnr:.1f} dB on held-out frames" if psnr is not None else ""
        print(f"{as_text(str(out))}: {summary.get('n_gaussians', 0):,} Gaussians{quality}{doubtful}", flush=True)
    return 0


def _tell_doubt(summary: Mapping[str, Any]) -> str:
    """Of a suspect result one line on stderr, which `--quiet` does not keep back; returns what the last line adds."""
    doubt = summary.get("doubt")
    if not doubt:
        return ""
    reasons = "; ".join(str(reason).rstrip(".") for reason in doubt["reasons"])
    print(printable(f"doubtful ({doubt['code']}): {reasons}: {doubt['advice']}"), file=sys.stderr, flush=True)
    return ", doubtful"


def _run(
    options: Namespace, files: NamedFiles, out: Path, name: str, run_id: str, env: Mapping[str, str], stop: StopFlag
) -> dict[str, Any]:  # fmt: skip
    config = config_file.read(env)
    env = {**config.env, **knob_options.given(options)}
    groups = (RunnerSettings, PipelineSettings, LogSettings)
    called = knob_options.called(options)
    runner, pipeline, logs = read_all(groups, env, refused=older.problems(env), called=called)
    logging.getLogger().setLevel(logs.level)  # of run.log
    config.tell(logging.getLogger(__name__))
    pipeline = _overridden(pipeline, options)
    pipeline_settings.check(pipeline)
    if pipeline.backend != "mock":
        writable.compiled_code(env)
    asked, told = asked_for(_settings_file(files.clips), runner.notify_targets)
    clips = (*(each for each in files.clips if each.path.name != SCENE_FILE), *_poses(options.poses))
    reserve_gb = runner.min_free_gb if "MIN_DISK_SPACE_GB" in env else 0.5  # a desk is not a container of its own
    require_space(out, input_bytes=sum(clip.path.stat().st_size for clip in clips), reserve_gb=reserve_gb)
    cache = _cache(options, out, runner)
    warnings = (*misplaced(clip.name for clip in clips), *files.warnings, *told)
    job = Job(clips, out / WORKSPACE, out, name, run_id, pipeline, cache=cache, asked=asked, warnings=warnings,
              unused=files.unused)  # fmt: skip
    limits = JobLimits(deadline_s=runner.job_timeout_s, stall_s=runner.stall_timeout_s)
    log = out / LOG
    with run_log.collected(log), ProgressLine(sys.stdout, quiet=options.quiet) as line:
        summary = run_job(job, Supervision(stop.is_set, on_progress=line.show, log_file=log), limits, env=env)
    log.unlink(missing_ok=True)  # of interest only when there is no result
    return summary


def _checked_name(options: Namespace, out: Path) -> str:
    """The stem of the result files. Raises ConfigurationError for one that no file can have."""
    if options.name is None:
        return output_stem(as_text(out.name).replace("\\", "_")) if out.name else "scene"
    name: str = options.name
    reason = refusal(name)
    if "/" in name:
        reason = "it holds a slash"
    elif (size := len(os.fsencode(name))) > MAX_STEM_BYTES:
        reason = f"it has {size} bytes, and {MAX_STEM_BYTES} leave room for what is made from it"
    if reason:
        cause = f"--name {name[:40]!r}{'...' if len(name) > 40 else ''} is no name for files: {reason}"
        raise ConfigurationError(cause, advice="use a short one without slashes", stage="configuration")
    return name


def _check_frames(options: Namespace) -> None:
    """Raises ConfigurationError for fewer frames than any scene is made of: the film could not help it."""
    limits = Limits()
    media = [path for path in options.videos if not is_companion(Path(path).name)]
    least = limits.min_scene_photos if all(map(is_photo, media)) else limits.min_scene_frames
    if options.frames is not None and 0 < options.frames < least:
        cause = f"--frames {options.frames} is too few: a scene needs {least}"
        raise ConfigurationError(cause, advice="leave the option out, or use a larger number", stage="configuration")


def _cache(options: Namespace, out: Path, runner: RunnerSettings) -> CacheSettings | None:
    """In the folder that was named; in a workspace that is kept; else there is none."""
    if not runner.cache_mb or not (options.cache or options.keep_workspace):
        return None
    folder = Path(options.cache).absolute() if options.cache else out / WORKSPACE / CACHE
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        cause = f"the folder {folder} cannot be made: {exc.strerror}"
        raise ConfigurationError(cause, advice="choose another --cache", stage="configuration") from exc
    return CacheSettings(folder, runner.cache_mb * 1_000_000, runner.cache_days * 86400.0)


def _parser() -> Any:
    from runner.commands.parser import Parser

    parser = Parser(prog="video-splat scene", description="Local videos and photos to a 3D Gaussian Splatting scene.")
    parser.add_argument(
        "videos", nargs="+", metavar="FILE", help="videos and photos of one place, files of poses, scene.yaml"
    )
    parser.add_argument("--out", required=True, metavar="DIR", help="folder of the results; made if missing")
    parser.add_argument(
        "--poses", metavar="PATH", help="camera poses: transforms.json, cameras.json, or a folder with a COLMAP model"
    )
    parser.add_argument("--preset", help="smoke, laptop, laptop-high, draft, standard, high; default: by the machine")
    parser.add_argument("--name", help="stem of the result files; default: the name of DIR")
    parser.add_argument("--backend", help="auto, gsplat, cpu, mock")
    parser.add_argument("--threads", type=int, help="cores used; default: all")
    parser.add_argument("--seed", type=int, help="seed of everything random")
    parser.add_argument("--frames", type=int, help="frames over all videos")
    parser.add_argument("--keep-workspace", action="store_true", help="keep DIR/workspace; a second run resumes there")
    parser.add_argument(
        "--cache", metavar="DIR", help="keep there what the stages find, and reuse it: another preset, one more video"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    knob_options.add(parser)
    return parser


def _overridden(settings: PipelineSettings, options: Namespace) -> PipelineSettings:
    """An option wins over the environment."""
    overrides = {
        "preset": options.preset,
        "backend": options.backend,
        "threads": options.threads,
        "seed": options.seed,
        "frame_count": options.frames,
    }
    for name in ("threads", "seed", "frame_count"):
        if overrides[name] is not None and overrides[name] < 0:
            raise ConfigurationError(f"{name} {overrides[name]} is not allowed", advice="use 0 or more")
    return replace(settings, **{name: value for name, value in overrides.items() if value is not None})


def _prepare(out: Path, name: str, inputs: Collection[Path]) -> Path | None:
    """Makes the folder, and puts aside the result of an earlier run; returns where it lies. Raises ConfigurationError.

    inputs: what this run reads, which stays where it is.
    """
    if out == out.parent:
        raise ConfigurationError(f"--out {out} is no folder for results", advice="name another", stage="configuration")
    if taken := sorted(path.name for path in inputs if path.parent == out and is_result(path.name, name)):
        cause = f"the result would be written over {taken[0]}, which it is made from"
        raise ConfigurationError(cause, advice="choose another --out", stage="configuration")
    try:
        out.mkdir(parents=True, exist_ok=True)
        probe = out / f".probe-{uuid.uuid4().hex}"
        probe.touch()
        probe.unlink()
        for ours in (ERROR, LOG):
            (out / ours).unlink(missing_ok=True)
        return put_aside(out, name, inputs)
    except OSError as exc:
        raise ConfigurationError(
            f"the folder {out} cannot be written: {exc.strerror}", advice="choose another --out", stage="configuration"
        ) from exc


def _settings_file(clips: Sequence[Clip]) -> Path | None:
    """The scene.yaml among the files. Raises ConfigurationError where there are two."""
    found = [clip.path for clip in clips if clip.path.name == SCENE_FILE]
    if len(found) > 1:
        cause = f"{found[0]} and {found[1]}: a scene has one {SCENE_FILE}"
        raise ConfigurationError(cause, advice="name one of them", stage="configuration")
    return found[0] if found else None


def _poses(supplied: str | None) -> tuple[Clip, ...]:
    """The files of camera poses that a path leads to, named as in a scene. Raises InputError."""
    if supplied is None:
        return ()
    path = Path(supplied).absolute()
    known = ("", *POSE_FOLDERS) if path.is_dir() else ()
    names = [str(PurePosixPath(folder, name)) for folder in dict.fromkeys(known) for name in READ]
    found = [Clip(name, path / name) for name in names if (path / name).is_file()]
    if path.is_file() and is_read(path.name):
        found = [Clip(path.name, path)]
    if not found:
        cause = f"{supplied} holds no camera poses" if path.exists() else f"{supplied} does not exist"
        advice = f"name {' or '.join(JSON_FILES)}, or a folder with one of them or with a COLMAP model"
        raise InputError(cause, code=Code.BAD_POSES if path.exists() else Code.INPUT_GONE, advice=advice,
                         stage="validation")  # fmt: skip
    return tuple(found)
