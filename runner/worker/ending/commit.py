"""The commit of an attempt's result, and the steps that bring a decided scene to its end.

    before the commit    upload the result       invisible, may be repeated
    the commit           one conditional write of the record: lease and ETag
    after the commit     FORWARD                 only forward, each step safe to repeat

A runner that is killed after any line leaves a scene that the next one brings to the same end: before the commit by
another attempt, after it by all steps from the first on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from runner.job import run_log
from runner.scene.stages import Stage
from runner.worker import first_look
from runner.worker.ending.archive import archive
from runner.worker.ending.dead_letter import write_reason
from runner.worker.ending.publish import publish, upload_outputs
from runner.worker.leftovers import remove_progress, remove_run
from runner.worker.saved_work.resume_store import forget
from scenejobs.errors import Code, Failure, InputError, UnusedFile, remedy
from scenejobs.names import is_media, within_scene
from scenejobs.ports import BlobStore, Containers
from scenejobs.state import generations
from scenejobs.state.blobs import InputBlob
from scenejobs.state.contents import after, clip_names, lost_clips
from scenejobs.state.incoming import undeleted
from scenejobs.state.layout import RUN_LOG, run_folder
from scenejobs.state.record import Phase, SceneRecord
from scenejobs.state.records import Stored
from scenejobs.wording import listed

log = logging.getLogger(__name__)

NAMED = 5  # clips in a message
Save = Callable[[Stored, SceneRecord], Stored]  # the conditional write of a record


@dataclass(frozen=True)
class Result:
    """What an attempt made."""

    folder: Path
    log_file: Path
    clips: tuple[str, ...]  # of which it has frames; see SceneRecord.shown
    manifest: tuple[InputBlob, ...]  # of the record, with what the download told
    doubt: Failure | None = None  # why it may be wrong
    unused: tuple[UnusedFile, ...] = ()  # files that it does without, and why


def clips_of(record: SceneRecord, summary: Mapping[str, Any], unused: Collection[str] = ()) -> tuple[str, ...]:
    """The clips of which a result has frames, as its job told; all that it got where it did not tell.

    A file of the same bytes as one that it shows is told as shown: a clip that is replaced by the bytes of another is
    not lost. unused: files that the job did not get: refused by their download, or of the same bytes as another.
    """
    offered, told = clip_names(record), summary.get("clips_shown")
    return tuple(sorted(offered.difference(unused) if told is None else offered & set(told)))


def doubt_of(summary: Mapping[str, Any], scene: str) -> Failure | None:
    """Why a suspect result may be wrong, as its job told; None where it is not in doubt."""
    told = summary.get("doubt")
    if not told:
        return None
    first, *others = map(str, told["reasons"])
    more = f" (and {len(others)} more: see metrics.json)" if others else ""
    return Failure(str(Stage.CLEAN_UP), str(told["code"]), first.rstrip(".") + more, remedy(Code.POSES_SUSPECT, scene))


def unused_in(summary: Mapping[str, Any]) -> tuple[UnusedFile, ...]:
    """The files that a result does without, as its job told."""
    try:
        return msgspec.convert(summary.get("unused") or (), tuple[UnusedFile, ...])
    except ValueError:  # of msgspec as well
        return ()


def commit(stored: Stored, result: Result, output: BlobStore, check: Callable[[], None], save: Save) -> Stored:
    """Uploads the result and the log into the run's own folder, then makes the result final.

    `check` raises when the scene may be another runner's, or the work is to end. Raises InputError CLIPS_LOST when the
    published result shows clips that this one does not, LeaseLost when the record was changed meanwhile, RunnerError
    when the job left no manifest, StorageError.
    """
    record = stored.record
    if lost := lost_clips(record, result.clips):
        raise InputError(
            f"{listed(lost, NAMED)} can be seen in the published result of scene {record.scene} and not in the new "
            f"one, made with {listed(_new(record), NAMED) or 'what is archived'}, so the published one stays",
            code=Code.CLIPS_LOST, advice=remedy(Code.CLIPS_LOST, record.scene),
            stage="upload", files=tuple(clip for clip in lost if clip in _new(record)),
        )  # fmt: skip
    if result.doubt is not None:
        _tell(record, result.doubt)
    outputs = upload_outputs(result.folder, output, record.scene, record.run, check)
    if result.log_file.is_file():
        output.upload(result.log_file, run_folder(record.scene, record.run) + RUN_LOG, content_type="text/plain")
    check()
    return save(stored, record.committed(outputs, result.clips, result.manifest, result.doubt, result.unused))


def _tell(record: SceneRecord, doubt: Failure) -> None:
    """The line of a suspect result, in the log of its run too. Its event never changes: `scene.suspect`."""
    stays = "; the published result stays" if record.withholds(doubt) else ""
    log.warning(
        "scene %s: the result may be wrong (%s): %s%s", record.scene, doubt.code, doubt.cause, stays,
        extra={"event": "scene.suspect", "scene": record.scene, "run_id": record.run},
    )  # fmt: skip


def _new(record: SceneRecord) -> list[str]:
    return [within_scene(blob.name, record.scene) for blob in record.manifest if is_media(blob.name)]


@dataclass(frozen=True)
class Decided:
    """A scene whose outcome is decided, with what the steps need. A step returns it with what it adds."""

    stored: Stored  # its record is COMMITTED or FAILING, and IDLE after the last step
    containers: Containers
    log_file: Path  # of this runner
    check: Callable[[], None]  # raises when the scene may be another runner's, or the work is to end
    save: Save
    now: Callable[[], datetime]
    depth: int = 1  # levels of folders that name a scene
    extends: bool = True  # what was uploaded late extends the scene; False: it replaces it
    execution: str = ""  # the platform's name of the one in which it ends
    archived: Mapping[str, str] = field(default_factory=dict)  # input name -> where it lies now

    @property
    def record(self) -> SceneRecord:
        return self.stored.record

    @property
    def succeeded(self) -> bool:
        return self.record.phase is Phase.COMMITTED


Step = Callable[[Decided], Decided]


def publish_or_explain(scene: Decided) -> Decided:
    """The committed result where the user looks, or the reason of a dead letter before its inputs move.

    A suspect result is withheld where a better one is published: it stays in the folder of its run.
    """
    if scene.succeeded and not scene.record.withheld:
        publish(scene.record, scene.containers.output, scene.check)
    elif not scene.succeeded:
        write_reason(scene.record, scene.containers.error, run_log.tail(scene.log_file), scene.check)
    return scene


def archive_inputs(scene: Decided) -> Decided:
    """The inputs to `processed` or `error`. Tells for each of them where it lies, also when all have moved before.

    One that is copied and cannot be deleted is noted: its scene goes on without it.
    """
    containers, record = scene.containers, scene.record
    destination, kind = (containers.processed, "processed") if scene.succeeded else (containers.error, "error")
    kept: list[str] = []
    keep = undeleted.keeper(containers.state, record.scene, kind, scene.now(), kept)
    places = archive(record, containers.input, destination, kind, scene.check, scene.depth, keep)
    if kept:
        undeleted.alert(record.scene, f"{len(kept)} uploads are archived and cannot be deleted, as {min(kept)}")
    return replace(scene, archived=places)


def note_generation(scene: Decided) -> Decided:
    """What the generation consisted of, created once."""
    generations.note(scene.containers.state, scene.record, dict(scene.archived), scene.execution)
    return scene


def forget_saved_work(scene: Decided) -> Decided:
    """Nothing is left to resume, nor to watch, nor of an attempt that was not committed."""
    forget(scene.containers.state, scene.record.scene, scene.check)
    remove_progress(scene.containers.state, scene.record.scene)
    first_look.remove(scene.containers.state, scene.record.scene)
    if scene.record.phase is Phase.FAILING:
        remove_run(scene.containers.output, scene.record, scene.check)
    return scene


def close_record(scene: Decided) -> Decided:
    """The record becomes idle and begins the next generation."""
    if scene.record.phase is Phase.IDLE:
        return scene
    contents = after(scene.record, scene.archived, extend=scene.extends)
    closed = scene.record.closed(dict(scene.archived), scene.now(), contents)
    return replace(scene, stored=scene.save(scene.stored, closed))


FORWARD: tuple[Step, ...] = (publish_or_explain, archive_inputs, note_generation, forget_saved_work, close_record)


def roll_forward(scene: Decided) -> SceneRecord:
    """All steps, from the first on, whatever was done before. Returns the closed record.

    Raises LeaseLost, Interrupted and StorageError: then the next runner goes on.
    """
    for step in FORWARD:
        scene = step(scene)
    return scene.record
