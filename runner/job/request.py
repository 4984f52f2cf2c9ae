"""What the parent and the child process of one job exchange: the job, reports of progress, the result.

Both are of one version, so an unknown field is an error. The child works on untrusted files and may be taken over:
what it says is believed only as far as its form is right.
"""

from __future__ import annotations

import dataclasses
import json
import os
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from runner.cache.store import CacheSettings
from runner.pipeline.more_time import USUAL, MoreTime
from runner.pipeline.scene_settings.scene_file import Asked
from runner.scene.frames import Clip, RefusedClip
from runner.scene.progress import Report
from runner.scene.stages import SHARES
from scenejobs.errors import Code, RunnerError, UnusedFile
from scenejobs.estimate.learned import Finished
from scenejobs.settings.pipeline import PipelineSettings

REQUEST_FILE = "request.json"  # in the workspace, parent -> child
RESULT_FILE = "result.json"  # written whole and last: its presence means success
FAILURE_FILE = "failure.json"  # why there is no result, see `runner/process/error_json.py`
STOP_LINE = b"stop\n"  # on the child's standard input

BYTES = "\0"  # before the bytes of a path that is no text, in hexadecimal: no path begins like that
DETAIL_CHARS = 500  # of a report are read


class Job(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `reconstruct` is to do."""

    clips: tuple[Clip, ...]
    workspace: Path  # for everything on the way; the same workspace again resumes
    out: Path  # for the results
    name: str  # stem of the result files
    job_id: str  # for manifest and reports
    settings: PipelineSettings
    save_s: float = 60.0  # between two saves of the training state in the workspace
    asked: Asked | None = None  # by the scene's own scene.yaml
    cache: CacheSettings | None = None  # of what earlier runs found; None: nothing is looked for or kept
    out_of_memory: str = ""  # the stage in which an earlier attempt ran out of memory: do it with less
    more_time: MoreTime = USUAL  # than usual, after attempts that ended for want of it
    warnings: tuple[str, ...] = ()  # about the uploads, for the reports: what is known before any of them is opened
    refused: tuple[RefusedClip, ...] = ()  # files that could not be used before any was opened, for the reports
    unused: tuple[UnusedFile, ...] = ()  # files that nothing is made of though they are whole, for the reports
    generations: dict[str, int] = {}  # of the scene that brought each file, by its name, for the manifest
    finished: tuple[Finished, ...] = ()  # scenes that the estimate learns from, oldest first
    uploaded_at: datetime | None = None  # the last upload of the scene; None: it was not uploaded
    machine: str = ""  # profile that the execution is billed as; "": it is not billed
    deadline_s: float | None = None  # from the start of the child, when its parent ends it; None: it does not say


class _Summary(msgspec.Struct, frozen=True):
    """What the parent reads of a result. The rest is for the reports and not looked at."""

    n_gaussians: Annotated[int, msgspec.Meta(ge=0)] = 0
    psnr_heldout: float | None = None  # dB
    clips_shown: list[str] | None = None  # clips of which the result has frames; None: not told
    unused: list[UnusedFile] | None = None  # files that it does without; None: not told


class ReportLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A report of progress as a line. JSON has no number that is not finite."""

    stage: str
    fraction: Annotated[float, msgspec.Meta(ge=0, le=1)]
    detail: str
    eta_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    expected_s: tuple[Annotated[float, msgspec.Meta(ge=0)], Annotated[float, msgspec.Meta(ge=0)]] | None = None


def encode(job: Job) -> bytes:
    """The job for its child, which works in another folder than the one that relative paths start from."""
    paths = {name: getattr(job.settings, name) for name in ("lpips_weights", "supersplat_viewer")}
    absolute = {name: os.path.abspath(path) for name, path in paths.items() if path}
    settings = dataclasses.replace(job.settings, **absolute)
    return _encoded(msgspec.structs.replace(job, settings=settings))


def decode(data: bytes) -> Job:
    """Raises ValueError when it is not a job, or holds a field that this version does not know."""
    job: Job = msgspec.json.decode(data, type=Job, dec_hook=_path)
    if json.loads(_encoded(job)) != json.loads(data):  # nested dataclasses drop what they do not know
        raise ValueError("the request holds fields that this version does not know")
    return job


def encode_report(report: Report) -> bytes:
    fraction = min(1.0, max(0.0, report.fraction))
    eta_s = None if report.eta_s is None else max(0.0, report.eta_s)
    return msgspec.json.encode(ReportLine(report.stage, fraction, report.detail, eta_s, report.expected_s))


def decode_report(line: bytes) -> Report | None:
    """None for a line that is no report: the child is not trusted."""
    try:
        said = msgspec.json.decode(line, type=ReportLine)
    except (ValueError, RecursionError):  # ValueError: of msgspec as well
        return None
    if said.stage not in SHARES:
        return None
    return Report(said.stage, said.fraction, said.detail[:DETAIL_CHARS], said.eta_s, said.expected_s)


def encode_result(summary: dict[str, Any]) -> bytes:
    return msgspec.json.encode(summary)


def decode_result(data: bytes) -> dict[str, Any]:
    """The summary of a job, as `reconstruct` returned it. Raises RunnerError when it is none."""
    try:
        msgspec.json.decode(data, type=_Summary)
        summary: dict[str, Any] = msgspec.json.decode(data, type=dict[str, Any])
    except (ValueError, RecursionError) as exc:  # ValueError: of msgspec as well
        raise RunnerError("the job ended with a result that cannot be read", code=Code.JOB_CRASHED) from exc
    return summary


def _encoded(job: Job) -> bytes:
    return msgspec.json.encode(job, enc_hook=_text)  # of all fields, JSON lacks paths only


def _text(path: Path) -> str:
    """Names on disk need not be UTF-8, and JSON is: others are written byte by byte."""
    raw = os.fsencode(path)
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return BYTES + raw.hex()


def _path(kind: type[Any], value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(os.fsdecode(bytes.fromhex(value.removeprefix(BYTES)))) if value.startswith(BYTES) else Path(value)
    raise TypeError(f"{value!r} is no {kind.__name__}")
