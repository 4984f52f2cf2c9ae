"""What happens next with a scene, as pure functions with named results. `runner/worker/attempt.py` carries them out.

what is there             -> next_step       NothingToDo | RollForward | TooEarly | NotNow | Attempt | GiveUp
a decided one taken up    -> before_another_try, after_block     when it is tried again
an attempt that failed    -> after_failure   GiveBack | Retry | GiveUp
the failures so far       -> may_resume, out_of_memory_in, more_time_of
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from runner.pipeline.more_time import MoreTime
from scenejobs.errors import (
    Busy,
    Code,
    ConfigurationError,
    Failure,
    InputError,
    Interrupted,
    SceneJobError,
    UploadsChanged,
    remedy,
)
from scenejobs.logs.alerts import Alert
from scenejobs.names import is_companion
from scenejobs.state.blobs import InputBlob
from scenejobs.state.contents import Choice, asks_for_a_run
from scenejobs.state.executions import back_off
from scenejobs.state.executions.usage import next_day
from scenejobs.state.record import Phase, SceneRecord
from scenejobs.wording import listed

HELD_S = 900.0  # bringing inputs back takes seconds, after an interruption longer: the first of growing waits
VANISHED = Failure(
    stage="",
    code=str(Code.JOB_CRASHED),
    cause="the runner of this attempt vanished without a word (killed, out of memory, or its machine was lost)",
    advice="give the job more memory or a smaller preset if this happens again",
)
NOTHING_CARRIED = Choice()
NAMED = 5  # files in a message
CRASHES_TO_DOUBT = 2  # an attempt after this many starts from nothing


@dataclass(frozen=True)
class NothingToDo:
    """No uploads, or none to make a scene from.

    `record`: to be saved first, when it still speaks of an attempt that vanished.
    """

    record: SceneRecord | None = None


@dataclass(frozen=True)
class RollForward:
    """The outcome is decided: finish publishing and archiving, after saving `before_another_try`."""


@dataclass(frozen=True)
class TooEarly:
    """A message came before the scene is due: come back after the delay. Nothing to save, nothing to tell."""

    delay_s: float


@dataclass(frozen=True)
class NotNow:
    """The scene must wait: come back after the delay, after saving `record`, where there is one."""

    delay_s: float
    alert: Alert
    why: str
    record: SceneRecord | None = None


@dataclass(frozen=True)
class Attempt:
    """Work on the snapshot, after saving this record."""

    record: SceneRecord


@dataclass(frozen=True)
class GiveUp:
    """Dead-letter, after saving this record."""

    record: SceneRecord


@dataclass(frozen=True)
class GiveBack:
    """The attempt does not count; save this record and end with the error."""

    record: SceneRecord


@dataclass(frozen=True)
class Retry:
    """Save this record and come back after the delay."""

    record: SceneRecord
    delay_s: float


def next_step(
    record: SceneRecord,
    inputs: tuple[InputBlob, ...],
    *,
    max_attempts: int,
    run: str,
    now: datetime,
    max_runs_per_day: int = 0,
    choice: Choice = NOTHING_CARRIED,
) -> NothingToDo | RollForward | TooEarly | NotNow | Attempt | GiveUp:
    """For the holder of the lease: what the record and the listing of the scene ask for.

    choice: the archived files that belong to the attempt as well.
    """
    early_s = (record.not_before - now).total_seconds() if record.not_before else 0.0
    if record.phase in (Phase.COMMITTED, Phase.FAILING):
        return TooEarly(early_s) if early_s > 0 else RollForward()
    vanished = record.phase is Phase.RUNNING  # its runner held the lease that is ours now
    if vanished:
        record = record.failed_for_now(VANISHED, now)
    if not asks_for_a_run(record, record.scene, (blob.name for blob in inputs)):  # it waits for its videos or photos
        wished = record.wish is not None
        if not wished:
            return NothingToDo(record if vanished else None)
        if not choice.gone and all(is_companion(member.name) for member in choice.carried):  # nothing to wish for
            return NothingToDo(record.wishing(None))
    if choice.gone:
        return GiveUp(record.given_up(_archive_gone(record, choice.gone), inputs, run, now))
    if record.attempts >= max_attempts:
        return GiveUp(record.given_up(_used_up(record, max_attempts), inputs, run, now))
    if record.held and early_s > 0:
        return TooEarly(early_s)
    if record.held:
        delay_s = back_off.after(record.tries + 1, HELD_S)
        return NotNow(delay_s, Alert.HELD, record.held, record.in_vain(now + timedelta(seconds=delay_s)))
    runs = record.runs_on(now.date().isoformat())
    if max_runs_per_day and runs >= max_runs_per_day:
        tomorrow = next_day(now)
        why = f"{runs} runs today, {max_runs_per_day} are allowed; the next is due at {tomorrow.isoformat()}"
        return NotNow((tomorrow - now).total_seconds(), Alert.SCENE_RUNS, why, record.postponed(tomorrow))
    return Attempt(record.attempted(run, inputs, now, choice.carried))


def before_another_try(record: SceneRecord, now: datetime) -> SceneRecord:
    """For a decided generation that its runner did not bring to an end. Counted before the work, which may kill."""
    wait_s = back_off.after(record.begun + 1 - back_off.FREE_TRIES)
    return record.taken_up(now + timedelta(seconds=wait_s) if record.begun >= back_off.FREE_TRIES else None)


def after_block(record: SceneRecord, error: SceneJobError, now: datetime) -> tuple[SceneRecord, float]:
    """For a decided generation that could not be brought to its end: the record, and the seconds until the next try."""
    delay_s = back_off.after(record.tries + 1)
    if isinstance(error, Busy):  # it passes by itself, and a scene waits for it no longer than four hours
        delay_s = min(delay_s, back_off.BUSY_MOST_S)
    return record.in_vain(now + timedelta(seconds=delay_s), error.failure()), delay_s


def after_failure(
    record: SceneRecord,
    error: SceneJobError,
    *,
    max_attempts: int,
    max_preemptions: int,
    retry_base_s: float,
    retry_max_s: float,
    now: datetime,
) -> GiveBack | Retry | GiveUp:
    """For a RUNNING record whose attempt raised `error` (not LeaseLost: then nothing is written).

    A failure that the scene did not cause costs no attempt, `max_preemptions` times. From then on it counts like any
    other: otherwise the scene would cost without end, and its user would never learn why.
    """
    not_its_fault = isinstance(error, (Interrupted, ConfigurationError, UploadsChanged))
    if not_its_fault and record.preemptions < max_preemptions:
        return GiveBack(record.given_back())
    failure = error.failure()
    if error.code == Code.OUT_OF_MEMORY and out_of_memory_in(record):
        cause = f"{failure.cause}; the attempt before ran out of memory as well, and this one asked for less"
        return GiveUp(record.given_up(replace(failure, cause=cause), record.manifest, record.run, now))
    # A bug is retried once: it may come from the machine. More often would only cost.
    repeated_bug = error.code == Code.BUG and any(
        earlier.failure.code == Code.BUG and earlier.failure.stage == failure.stage for earlier in record.failures
    )
    if isinstance(error, InputError) or repeated_bug or record.attempts >= max_attempts:
        return GiveUp(record.given_up(failure, record.manifest, record.run, now))
    delay_s = min(retry_max_s, retry_base_s * 2 ** (record.attempts - 1))
    return Retry(record.failed_for_now(failure, now, now + timedelta(seconds=delay_s)), delay_s)


def may_resume(record: SceneRecord) -> bool:
    """Whether the next attempt may resume: not from a state that may be the cause of a failure."""
    codes = [earlier.failure.code for earlier in record.failures if earlier.failure != VANISHED]
    spoiled = any(code in (Code.BUG, Code.TRAINING_DIVERGED) for code in codes)
    return not spoiled and codes.count(Code.JOB_CRASHED) < CRASHES_TO_DOUBT


def out_of_memory_in(record: SceneRecord) -> str:
    """The stage in which an attempt of this generation ran out of memory, or "": the next one is made with less."""
    stages = [each.failure.stage for each in record.failures if each.failure.code == Code.OUT_OF_MEMORY]
    return (stages[-1] or "training") if stages else ""


def more_time_of(record: SceneRecord, most_s: float, *, max_attempts: int) -> MoreTime:
    """Twice the budget after each attempt that ended for want of it. most_s: no more than that."""
    codes = [each.failure.code for each in record.failures]
    poses, training = (2.0 ** codes.count(code) for code in (Code.POSES_TIMED_OUT, Code.TRAINING_TIMED_OUT))
    return MoreTime(poses, training, most_s, again=record.attempts < max_attempts)


def _archive_gone(record: SceneRecord, names: tuple[str, ...]) -> Failure:
    shown = listed(names, NAMED)
    return Failure(
        stage="validation",
        code=str(Code.ARCHIVE_GONE),
        cause=f"{shown} of the published result of scene {record.scene} can no longer be read in the archive; "
        "a result without would be smaller, so the published one stays",
        advice=remedy(Code.ARCHIVE_GONE, record.scene),
    )


def _used_up(record: SceneRecord, max_attempts: int) -> Failure:
    last = record.failures[-1].failure if record.failures else VANISHED
    return Failure(
        stage=last.stage,
        code=str(Code.TOO_MANY_ATTEMPTS),
        cause=f"{record.attempts} of {max_attempts} attempts are used up; the last one: {last.cause}",
        advice=last.advice,
    )
