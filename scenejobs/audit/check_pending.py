"""What still has to happen, that it will, and that it cannot go on for ever."""

from __future__ import annotations

from collections.abc import Iterator

from scenejobs.audit.snapshot import DAY, Evidence, Finding, SceneEvidence
from scenejobs.names import scene_key
from scenejobs.state import activity, layout
from scenejobs.state.contents import asks_for_a_run
from scenejobs.state.executions import usage
from scenejobs.state.incoming.batches import ListedBatch
from scenejobs.state.incoming.uploads import Uploads, sort_uploads
from scenejobs.state.record import Phase
from scenejobs.state.records import parts_in

SWEEPS_DAILY = "a sweep removes it in a day"
SWEEP = "run `video-splat sweep`"
FOLDERS = (
    layout.RECORDS, layout.BATCHES, layout.PROGRESS, layout.PARTS, layout.GENERATIONS, layout.DUPLICATES,
    layout.REFUSED, layout.REDRIVES, layout.USAGE, layout.RESUME_FOLDER, layout.CACHE_FOLDER, layout.ACTIVE,
    layout.UNDELETED, layout.SENDING, layout.CANCELLED, layout.PREVIEWS, layout.NOTICES,
)  # fmt: skip
SINGLES = (layout.DISPATCHER_RECORD, layout.SWEEP_RECORD, layout.PREFLIGHT_RECORD, layout.ESTIMATES_RECORD)
UNMARKED = 2 * DAY  # a sweep looks at all records once a day
SILENT_S = 300.0  # a runner reports its usage about once a minute


def check(evidence: Evidence, scene: SceneEvidence) -> Iterator[Finding]:
    record, where = scene.record, f"state/{scene.info.name}"
    for number, attempts in [(found.number, found.attempts) for found in scene.closed] + [
        (record.generation, record.attempts)
    ]:
        if attempts > evidence.max_attempts:  # I5
            what = f"generation {number} was tried {attempts} times, and {evidence.max_attempts} are allowed"
            yield Finding("I5", True, where, what, "see MAX_RETRIES of the runner (--max-attempts), and its logs")
    if scene.info.leased and not _any_runner(evidence):
        what = f"its lease is held, and no runner has reported usage for {SILENT_S:.0f} s"
        yield Finding("I7", True, where, what, "break the lease with period 0, and see who held it")
    active = activity.is_active(scene.info.metadata)
    if active and layout.marker_name(record.scene) not in evidence.blobs["state"]:  # the version before wrote none
        forgotten = evidence.now - scene.info.modified > UNMARKED
        what = "somebody has to come back to it, and no marker says so: the sweeps of a day pass it by"
        yield Finding("I8", forgotten, where, what, f"a look at all records marks it: {SWEEP}")
    if record.held and evidence.now - scene.info.modified > evidence.patience:
        yield Finding("I7", True, where, f"nobody finished what holds it: {record.held}", "run the command it names")
    elif record.blocked and record.phase is not Phase.IDLE and not scene.info.leased:
        due = f"; next try at {record.not_before:%Y-%m-%d %H:%M} UTC" if record.not_before else ""
        what = f"{record.phase}, and blocked after {record.tries} tries: {record.blocked.cause}{due}"
        yield Finding("I8", False, where, what, record.blocked.advice)
    elif record.phase is not Phase.IDLE and not scene.info.leased:  # I8: something must point at it
        if evidence.messages == 0 and evidence.now - scene.info.modified > evidence.patience:
            yield Finding("I8", True, where, f"{record.phase}, and no message points at it", SWEEP)
        else:
            yield Finding("I8", False, where, f"{record.phase}: the next runner goes on")


def uploads(evidence: Evidence) -> Iterator[Finding]:
    """I7, I8: every upload waits for something that will happen."""
    found = sort_uploads(evidence.blobs["input"].values(), evidence.depth)
    yield from _refused(evidence, found)
    for name, listed in found.scenes.items():
        blobs = evidence.done_with.without(listed)
        if not blobs:
            continue  # said of their generation (check_uploads.py)
        scene = evidence.scenes.get(name)
        record = scene.record if scene else None
        if scene_key(name) in evidence.damaged_keys or (record and record.phase is not Phase.IDLE):
            continue  # reported already
        grew = evidence.blobs["state"].get(layout.sending_name(name))  # written whenever an upload in progress grew
        changes = [blob.modified for blob in blobs] + [info.modified for info in (scene and scene.info, grew) if info]
        queued = [item.queued_at for item in _batches(evidence, name) if item.queued_at]
        rest = evidence.now - max([*changes, *queued])
        due = record.not_before if record else None
        busy = evidence.messages or (scene and scene.moving) or (due and due > evidence.now)
        note = evidence.cancelled.get(name)
        if note is not None and note.covers(blobs):
            what = f"scene {name} was cancelled at {note.at:%Y-%m-%d %H:%M} UTC: {len(blobs)} uploads stay"
            yield Finding("I7", False, f"input/{blobs[0].name}", what, f"scenejobs retry {name} starts it")
        elif not asks_for_a_run(record, name, (blob.name for blob in blobs)):
            what = f"{len(blobs)} files of scene {name} wait for its videos or photos"
            yield Finding("I7", False, f"input/{blobs[0].name}", what, "upload these, or remove them")
        elif rest > evidence.patience and not busy:
            what = f"{len(blobs)} uploads of scene {name} lie there, and nothing points at them"
            yield Finding("I7", True, f"input/{blobs[0].name}", what, SWEEP)
        else:
            yield Finding("I7", False, f"input/{blobs[0].name}", f"{len(blobs)} uploads of scene {name} wait")
        for blob in blobs:
            if blob.leased:
                what = "somebody holds a lease on it: it cannot be archived"
                yield Finding("I7", False, f"input/{blob.name}", what, "break the lease")


def state(evidence: Evidence) -> Iterator[Finding]:
    """I7: nothing in the state container is there for nothing."""
    keys = {scene_key(name) for name in evidence.scenes} | evidence.damaged_keys
    busy = {scene_key(name) for name, scene in evidence.scenes.items() if activity.is_active(scene.info.metadata)}
    busy |= evidence.damaged_keys
    records = [scene.record for scene in evidence.scenes.values()]
    running = {(scene_key(each.scene), each.run) for each in records if each.phase is Phase.RUNNING}
    named = {part for scene in evidence.scenes.values() for part in parts_in(scene.info.metadata)}
    for name, info in evidence.blobs["state"].items():
        folder = next((folder for folder in FOLDERS if name.startswith(folder)), "")
        if not folder and name not in SINGLES:
            yield Finding("I7", True, f"state/{name}", "nothing of this program is called like that", "remove it")
        elif folder in (layout.GENERATIONS, layout.DUPLICATES, layout.REDRIVES) and _key(name, folder) not in keys:
            what = f"there is no record {layout.RECORDS}{_key(name, folder)}.json"
            yield Finding("I1", True, f"state/{name}", what, "restore the record (soft delete, versions)")
        elif folder == layout.ACTIVE and not layout.is_check(name) and layout.key_of_marker(name) not in busy:
            yield Finding("I7", False, f"state/{name}", "it marks a scene that is idle", "a sweep removes it")
        elif folder == layout.PREVIEWS and layout.run_of_preview(name) not in running:
            old = evidence.now - info.modified > UNMARKED
            yield Finding("I7", old, f"state/{name}", "a first look of a run that has ended", SWEEPS_DAILY)
        elif folder == layout.RESUME_FOLDER and _key(name, folder) not in keys:
            yield Finding("I7", True, f"state/{name}", "a checkpoint of no scene", "remove it")
        elif folder == layout.USAGE and not usage.read([info]):
            yield Finding("I7", True, f"state/{name}", "it tells nothing of an execution", "remove it")
        elif folder == layout.PARTS and layout.part_in(name) not in named and _key(name, folder) in keys:
            yield Finding("I7", False, f"state/{name}", "no record names it any more", SWEEPS_DAILY)
    if evidence.poison:
        what = f"{evidence.poison} messages that nobody could act on"
        yield Finding("I8", False, "queue jobs-poison", what, "read them: each tells its reason")
    if evidence.messages:
        yield Finding("I8", False, "queue jobs", f"{evidence.messages} messages, {evidence.waiting} of them visible")


def _refused(evidence: Evidence, found: Uploads) -> Iterator[Finding]:
    for item in found.refused:
        listed = layout.refused_name(item.name) in evidence.blobs["state"]
        old = evidence.now - evidence.blobs["input"][item.name].modified > evidence.patience
        what = f"{item.name!r} is refused: {item.reason}"
        if not listed and old:
            yield Finding("I7", True, "input", f"{what}, and no {layout.REFUSED} blob says so", SWEEP)
        else:
            remedy = "" if item.in_archive_tier else "upload it under another name, and remove this one"
            yield Finding("I7", False, "input", what, remedy)


def _batches(evidence: Evidence, scene: str) -> list[ListedBatch]:
    return [ListedBatch.of(info) for info in evidence.below("state", f"{layout.BATCHES}{scene_key(scene)}")]


def _any_runner(evidence: Evidence) -> bool:
    reports = evidence.below("state", layout.USAGE.rstrip("/"))
    return any((evidence.now - info.modified).total_seconds() < SILENT_S for info in reports)


def _key(name: str, folder: str) -> str:
    return name.removeprefix(folder).split("/")[0].removesuffix(".json")
