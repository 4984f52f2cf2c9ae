"""What a user wants to know about a scene: uploaded -> settling -> queued -> running -> archiving -> done or failed;
blocked where somebody has to help.

Read from the blobs alone; nothing here changes anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from scenejobs.errors import UnreadableRecord
from scenejobs.estimate.model import Range
from scenejobs.estimate.words import time
from scenejobs.names import refusal, within_scene
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.settings.groups import DispatchSettings
from scenejobs.stages import in_words
from scenejobs.state import cancelling, contents, records
from scenejobs.state.blobs import digest
from scenejobs.state.executions import machine, start_backoff, usage
from scenejobs.state.incoming import batches, undeleted
from scenejobs.state.incoming.undeleted import Undeleted
from scenejobs.state.incoming.uploads import SceneUploads, look_at, snapshot
from scenejobs.state.layout import run_folder
from scenejobs.state.overview import progress, waiting
from scenejobs.state.record import Ending, Outcome, Phase, SceneRecord
from scenejobs.wording import listed

NAMED = 5  # files in one line


class State(StrEnum):
    """A scene as its user sees it."""

    UNKNOWN = "unknown"  # no upload and no record of that name
    UPLOADING = "uploading"  # an upload is in progress: the scene is open until it is whole, or has stalled
    SETTLING = "settling"  # uploads are there; waiting for the quiet time to pass
    QUEUED = "queued"  # sealed; waiting for a runner
    RUNNING = "running"  # frames, poses, training
    CANCELLED = "cancelled"  # its user called it off: nothing starts before `scenejobs retry` or a new upload
    BLOCKED = "blocked"  # it cannot go on before somebody helps; the reason says how
    ARCHIVING = "archiving"  # the result is final; files are being published and moved
    DONE = "done"  # the result lies in the output container
    FAILED = "failed"  # the inputs and the reason lie in the error container


@dataclass(frozen=True)
class SceneStatus:
    """One line about a scene."""

    scene: str
    state: State
    waiting: int = 0  # uploads in the input container
    stage: str = ""  # of a running attempt
    fraction: float = 0.0  # of the whole run, 0..1
    detail: str = ""
    eta_s: float | None = None
    attempt: int = 0
    run: str = ""
    execution: str = ""  # in which it runs; "" where that is not known
    since: datetime | None = None
    reason: str = ""  # of a failure, or of a doubt
    doubtful: bool = False  # done, and its result may be wrong
    note: str = ""  # what keeps it waiting
    refused: int = 0  # uploads in its folder that are used for nothing
    refused_why: str = "for the name"  # of one of them, where it is something else
    expected: datetime | None = None  # when the waiting ends, as far as that can be known
    estimate_s: tuple[float, float] | None = None  # of the whole run, at least and at most, as it was expected
    first_look: bool = False  # there is one of the running attempt
    took_s: float | None = None  # of a finished run, where it is known
    undeleted: int = 0  # uploads that are done with, and cannot be deleted

    def line(self) -> str:
        """For a terminal."""
        text = f"{self.scene}: {self.state}" + (", doubtful" if self.doubtful else "")
        if self.state in (State.SETTLING, State.UPLOADING) and self.waiting:
            text += f", {self.waiting} upload{'s' if self.waiting != 1 else ''}"
        if self.state is State.RUNNING:
            text += f" {self.fraction:4.0%} {in_words(self.stage)}" + (f": {self.detail}" if self.detail else "")
            if self.eta_s is not None:
                text += f" (about {_duration(self.eta_s)} left in this stage)"
            if self.estimate_s is not None:
                text += f", expected {time(Range(*self.estimate_s))} in all"
            if self.first_look:
                text += f"; a first look: scenejobs open {self.scene} --preview"
        if self.took_s is not None and self.estimate_s is not None:
            text += f", took {_duration(self.took_s)} (expected {time(Range(*self.estimate_s))})"
        if self.attempt > 1:
            text += f", attempt {self.attempt}"
        if self.note:
            text += f", {self.note}"
        if self.refused:
            text += f", {self.refused} upload{'s' if self.refused != 1 else ''} refused {self.refused_why}"
        return text + (f": {self.reason}" if self.reason else "")


def scene_status(
    containers: Containers, scene: str, depth: int = 1, settings: DispatchSettings | None = None
) -> SceneStatus:
    """settings: of the dispatcher, to say why the scene waits and until when; None says what the blobs alone tell.

    Raises ValueError for a name no scene can have.
    """
    reason = refusal(scene)
    if reason:
        raise ValueError(f"no scene has the name {scene!r}: {reason}")
    try:
        stored = records.load(containers.state, scene)
    except UnreadableRecord as exc:
        return SceneStatus(scene, State.BLOCKED, reason=str(exc))
    record = stored.record if stored else SceneRecord(scene)
    if record.phase is Phase.RUNNING:
        running = _running(containers, record)
        if cancelling.is_noted(containers.state, scene):
            return replace(running, note="cancelled: it stops within seconds")
        return _with_later_uploads(running, containers, record, depth, settings)
    if record.blocked and record.phase in (Phase.COMMITTED, Phase.FAILING):
        return _blocked(record, f"{record.blocked.cause.rstrip('.')}: {record.blocked.advice}".rstrip(": "))
    if record.phase in (Phase.COMMITTED, Phase.FAILING):
        found = progress.load(containers.state, record)
        execution = found.execution if found else ""
        status = SceneStatus(scene, State.ARCHIVING, attempt=record.attempts, run=record.run, execution=execution)
        return _with_later_uploads(status, containers, record, depth, settings)
    uploads = look_at(containers.input, scene, depth)
    done_with = undeleted.of_scene(containers.state, scene, uploads.blobs) if uploads.blobs else []
    kept = {found.blob for found in done_with}
    uploads = replace(uploads, blobs=tuple(blob for blob in uploads.blobs if not kept.intersection(snapshot([blob]))))
    if off := _cancelled(containers.state, scene, uploads):
        return replace(off, attempt=record.attempts, refused=len(uploads.refused))
    status = replace(_of_uploads(containers, record, uploads, settings), refused=len(uploads.refused))
    for item in uploads.refused:
        if not item.for_its_name:
            status = replace(status, refused_why=f"({within_scene(item.name, scene)}: {item.reason})")
    note = "; ".join(filter(None, (status.note, _cannot_be_deleted(done_with))))
    status = replace(status, note=note, undeleted=len(done_with))
    if status.state is State.UNKNOWN and any(item.in_archive_tier for item in uploads.refused):
        return replace(status, state=State.BLOCKED)
    if status.state is State.BLOCKED or not (uploads.sending or settings):
        return status
    return _with_sending(status, containers, uploads, settings or DispatchSettings())


def _cancelled(state: BlobStore, scene: str, uploads: SceneUploads) -> SceneStatus | None:
    """Of a scene whose uploads are called off, with what is being sent into it: that starts it."""
    noted = cancelling.load(state, scene) if uploads.blobs else None
    if noted is None or not noted.note.covers(uploads.blobs):
        return None
    count = len(uploads.blobs)
    stay = f"{count} upload{'s stay' if count != 1 else ' stays'} in the input container; scenejobs retry {scene}"
    note = f"{stay}, or a new upload, starts it"
    return SceneStatus(scene, State.CANCELLED, waiting=count, since=noted.note.at, note=note)


def _of_uploads(
    containers: Containers, record: SceneRecord, uploads: SceneUploads, settings: DispatchSettings | None
) -> SceneStatus:
    """Of a scene that nobody works on. What is being sent is not looked at."""
    if contents.asks_for_a_run(record, record.scene, (blob.name for blob in uploads.blobs)):
        return _waiting(containers, record, uploads.blobs, settings)
    scene, ending = record.scene, record.ending  # markers and poses alone: nothing happens before videos come
    if record.wish is not None:
        return _wished_for(containers, record, settings)
    if ending is None and uploads.blobs:
        return SceneStatus(scene, State.SETTLING, waiting=len(uploads.blobs), note="no video and no photo yet")
    if ending is None:
        gone = record.expired if record.is_erased else None
        told = f"everything of it was deleted on {gone.at:%Y-%m-%d} ({gone.why})" if gone else ""
        return SceneStatus(scene, State.UNKNOWN, note=told)
    state = State.DONE if ending.outcome is Outcome.SUCCEEDED else State.FAILED
    return SceneStatus(
        scene,
        state,
        fraction=1.0 if state is State.DONE else 0.0,
        run=ending.run,
        since=ending.at,
        reason=next((why.in_words() for why in (ending.failure, ending.doubt) if why), ""),
        doubtful=ending.doubt is not None,
        note=_what_stays(record, ending) or (_what_is_not_in_it(record) if state is State.DONE else ""),
    )


def _what_stays(record: SceneRecord, ending: Ending) -> str:
    """Where the last generation is not the one that is published."""
    if record.expired is not None and record.is_expired:
        on, again = record.expired.at, f"scenejobs retry {record.scene} makes it again"
        word = "deleted" if record.expired.deleted else "expired"
        return f"{word}: its result was removed on {on:%Y-%m-%d} ({record.expired.why}); {again}"
    if record.published is None or record.published.generation == ending.generation:
        return ""
    doubtful = ", which is doubtful," if record.published.suspect else ""
    stays = f"the published result of generation {record.published.generation}{doubtful} stays"
    if ending.outcome is not Outcome.SUCCEEDED:
        return stays
    return f"{stays}; the doubtful one lies in output/{run_folder(record.scene, ending.run)}"


def _what_is_not_in_it(record: SceneRecord) -> str:
    """Of a published result: which files it does without, and why."""
    unused = record.unused or ()
    if not unused:
        return ""
    named = listed([each.sentence().rstrip(".") for each in unused], NAMED, "; ")
    more = ", see report.html" if len(unused) > NAMED else ""
    return f"{len(unused)} file{'s' if len(unused) != 1 else ''} not used ({named}{more})"


def _wished_for(containers: Containers, record: SceneRecord, settings: DispatchSettings | None) -> SceneStatus:
    """`scenejobs retry` or `exclude` asked for a run that has not begun."""
    asked = "to be made again" if record.wish and record.wish.kind == "retry" else "to be made without a file"
    status = SceneStatus(record.scene, State.QUEUED, attempt=record.attempts, note=asked)
    if record.held:
        return _blocked(record, f"held: {record.held}")
    if settings is None:
        return status
    why = waiting.for_execution(containers, settings, containers.state.now())
    return replace(status, note="; ".join(filter(None, (asked, why.note))), expected=why.expected)


def _with_sending(
    status: SceneStatus, containers: Containers, uploads: SceneUploads, settings: DispatchSettings
) -> SceneStatus:
    """An upload in progress is what an open scene waits for, and of a sealed one the next generation."""
    found = waiting.uploading(containers, status.scene, uploads.blobs, uploads.sending, settings)
    stalled = waiting.stalled_note(found)
    if not found.growing:
        return replace(status, note="; ".join(filter(None, (status.note, stalled))))
    if status.state is State.QUEUED:
        later = f"for the next generation: {waiting.sizes(found.growing)}"
        return replace(status, note="; ".join(filter(None, (status.note, later, stalled))))
    why = waiting.for_upload(found, settings)
    note = "; ".join(filter(None, (why.note, stalled)))
    return replace(status, state=State.UPLOADING, waiting=len(uploads.blobs), note=note, expected=why.expected)


def _with_later_uploads(
    status: SceneStatus,
    containers: Containers,
    record: SceneRecord,
    depth: int,
    settings: DispatchSettings | None,
) -> SceneStatus:
    """Of a scene that is worked on: what came since its attempt began waits for its end."""
    if settings is None:
        return status
    uploads = look_at(containers.input, record.scene, depth)
    blobs = undeleted.without(containers.state, record.scene, uploads.blobs)
    more = set(snapshot(blobs)).difference(record.manifest)
    found = waiting.uploading(containers, record.scene, uploads.blobs, uploads.sending, settings)
    later = [f"for the next generation: {waiting.sizes(found.growing)}"] if found.growing else []
    why = waiting.for_own_run(containers, record, len(more)) if more else waiting.Reason("")
    note = "; ".join(filter(None, (why.note, *later, waiting.stalled_note(found))))
    return replace(status, waiting=len(more), note=note, expected=why.expected)


def _waiting(
    containers: Containers, record: SceneRecord, uploads: tuple[BlobInfo, ...], settings: DispatchSettings | None
) -> SceneStatus:
    """Settling or queued, and what is known about why it does not begin."""
    state = containers.state
    status = SceneStatus(
        record.scene,
        State.QUEUED if _is_sealed(state, record.scene, uploads) else State.SETTLING,
        waiting=len(uploads),
        attempt=record.attempts,
        reason=record.failures[-1].failure.cause if record.attempts and record.failures else "",
    )
    if record.held:
        return replace(_blocked(record, f"held: {record.held}"), waiting=status.waiting)
    if status.state is State.QUEUED and (unfit := _unfit(state, record.scene, uploads)):
        return replace(_blocked(record, unfit), waiting=status.waiting)
    if status.state is State.SETTLING:
        return _because(status, waiting.for_quiet(state, record.scene, uploads, settings)) if settings else status
    now = state.now()
    if record.not_before and record.not_before > now:
        note = f"next attempt at {record.not_before:%Y-%m-%d %H:%M:%S} UTC"
        return replace(status, note=note, expected=record.not_before)
    if settings:
        return _because(status, waiting.for_execution(containers, settings, now))
    starter = start_backoff.load(state)
    if starter.unanswered_since and usage.begun_since(state, starter.unanswered_since, now):
        starter = starter.answered()
    return replace(status, note=machine.held_back(state, starter, now))


def _because(status: SceneStatus, why: waiting.Reason) -> SceneStatus:
    return replace(status, note=why.note, expected=why.expected)


def _blocked(record: SceneRecord, why: str) -> SceneStatus:
    """Decided and not brought to its end, or held."""
    due = f"next try at {record.not_before:%Y-%m-%d %H:%M:%S} UTC" if record.not_before else ""
    expected = record.not_before if due else None
    return SceneStatus(record.scene, State.BLOCKED, run=record.run, note=due, reason=why, expected=expected)


def _cannot_be_deleted(found: Sequence[Undeleted]) -> str:
    """What to tell of uploads that are done with. They keep their scene from nothing."""
    if not found:
        return ""
    first, names = found[0], [each.name for each in found]
    return (
        f"blocked: {listed(names, 1)} cannot be deleted: {first.why.advice or first.why.cause} "
        f"(archived in {first.place}, tried {first.tries} times)"
    )


def _is_sealed(state: BlobStore, scene: str, uploads: tuple[BlobInfo, ...]) -> bool:
    """Every upload is in a batch: in one of exactly these, or, where some of a batch have gone already, in any."""
    entries = snapshot(uploads)
    found = batches.listed(state, scene)
    if any(item.digest == digest(entries) for item in found):
        return True
    sealed = {blob for stored in batches.read_all(state, found) for blob in stored.batch.blobs}
    return sealed.issuperset(entries)


def _unfit(state: BlobStore, scene: str, uploads: tuple[BlobInfo, ...]) -> str:
    """Why nothing is started for exactly these uploads, as the dispatcher wrote; "" where it was, or will be."""
    now = digest(snapshot(uploads))
    found = [item for item in batches.listed(state, scene) if item.digest == now and item.queued_at is None]
    return next((stored.batch.unfit for stored in batches.read_all(state, found)), "")


def _running(containers: Containers, record: SceneRecord) -> SceneStatus:
    status = SceneStatus(
        record.scene, State.RUNNING, attempt=record.attempts, run=record.run, since=record.started_at, stage="starting"
    )
    found = progress.load(containers.state, record)
    if found is None:
        return status
    status = replace(status, stage=found.stage, fraction=found.total_fraction, detail=found.detail, eta_s=found.eta_s)
    return replace(status, execution=found.execution, estimate_s=found.expected_s, first_look=found.first_look)


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 90 else f"{seconds / 60:.0f} min"
