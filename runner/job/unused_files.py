"""Which files a job that failed had done without. Asked for by its parent, so a crash is explained as well."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from runner.files.marker import read_marker
from runner.job.request import Job
from runner.scene.inputs.file_use import sentence
from runner.scene.inputs.pose_files import misplaced
from scenejobs.errors import InputError, SceneJobError, UnusedFile
from scenejobs.logs.setup import printable

CHOICE = "frames.json"  # in the workspace: what the frame stage found, see runner/media/extract.py
MAX_CAUSE = 4000  # characters of an error: what is longer is cut when it is stored


class _Reason(msgspec.Struct):
    cause: str


class _Refused(msgspec.Struct):
    name: str
    failure: _Reason


class _Choice(msgspec.Struct):
    """What is read of a stored choice of frames. The child is not believed beyond its form."""

    refused: tuple[_Refused, ...] = ()
    unused: tuple[UnusedFile, ...] = ()


def explain(error: SceneJobError, job: Job) -> None:
    """Gives the error the files that were not used; that of an input a sentence about them as well."""
    found = _found(error, job)
    if found is None:
        return
    before = (*(UnusedFile(each.name, each.failure.cause) for each in job.refused), *job.unused)
    error.unused = tuple({each.name: each for each in (*before, *found)}.values())
    if isinstance(error, InputError):
        offered = {*(clip.name for clip in job.clips), *(each.name for each in before)}
        text = sentence(error.unused, len(offered), error.cause)
        if text:
            error.cause = f"{error.cause.rstrip('.')[:MAX_CAUSE]}. {text}"
            error.args = (error.cause,)


def _found(error: SceneJobError, job: Job) -> Sequence[UnusedFile] | None:
    """What the frame stage said; None where it did not come so far."""
    if error.unused is not None:
        return _of_this_job(error.unused, job)
    if error.stage in ("", "configuration", "validation"):  # a choice of an earlier run may lie there
        return None
    try:
        stored: Any = read_marker(job.workspace / CHOICE)
    except OSError:
        return None
    if stored is None:
        return None
    try:
        choice = msgspec.convert(stored, _Choice)
    except (ValueError, RecursionError):  # ValueError: of msgspec as well
        return None
    refused = tuple(UnusedFile(each.name, each.failure.cause) for each in choice.refused)
    return _of_this_job((*refused, *choice.unused), job)


def _of_this_job(found: Sequence[UnusedFile], job: Job) -> tuple[UnusedFile, ...]:
    names = {clip.name for clip in job.clips}
    unread = tuple(
        UnusedFile(clip.name, "no camera poses are read from there") for clip in job.clips if misplaced([clip.name])
    )
    return (*(UnusedFile(each.name, printable(each.reason)) for each in found if each.name in names), *unread)
