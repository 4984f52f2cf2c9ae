"""What mutants put in the place of functions, continued: scenes that grow, uploads in progress, blocked scenes."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime

from function_app import sweep
from function_app.view import View
from scenejobs.errors import Conflict, Failure, NotFound
from scenejobs.ports import BlobInfo, BlobStore, Containers, Lease
from scenejobs.state import activity, contents, moves, records
from scenejobs.state.blobs import InputBlob, Member
from scenejobs.state.incoming import sending
from scenejobs.state.layout import archive_names, marker_name
from scenejobs.state.record import Phase, SceneRecord

# ---- what a scene consists of ---------------------------------------------------------------------------------------

_choose, _after, _closed, _lost_clips = contents.choose, contents.after, SceneRecord.closed, contents.lost_clips


def choose_nothing(
    record: SceneRecord, uploads: Collection[InputBlob], listed: Mapping[str, BlobInfo], *, extend: bool
) -> contents.Choice:
    """Late clips replace the scene, unless somebody wished for a run."""
    return _choose(record, uploads, listed, extend=extend and record.wish is not None)


def choose_replaced_as_well(
    record: SceneRecord, uploads: Collection[InputBlob], listed: Mapping[str, BlobInfo], *, extend: bool
) -> contents.Choice:
    return _choose(record, (), listed, extend=extend)


def choose_what_is_there(
    record: SceneRecord, uploads: Collection[InputBlob], listed: Mapping[str, BlobInfo], *, extend: bool
) -> contents.Choice:
    """What is gone from the archive is done without."""
    return replace(_choose(record, uploads, listed, extend=extend), gone=())


def after_with_refused(record: SceneRecord, archived: Mapping[str, str], *, extend: bool = True) -> tuple[Member, ...]:
    """What a failure refused by name stays a part of the scene."""
    if record.phase is Phase.FAILING:
        failures = tuple(replace(each, failure=replace(each.failure, files=())) for each in record.failures)
        record = replace(record, failures=failures)
    return _after(record, archived, extend=extend)


def after_success_only(record: SceneRecord, archived: Mapping[str, str], *, extend: bool = True) -> tuple[Member, ...]:
    """What a failure archived is forgotten."""
    return _after(record, archived, extend=extend and record.phase is not Phase.FAILING)


def after_as_if_published(
    record: SceneRecord, archived: Mapping[str, str], *, extend: bool = True
) -> tuple[Member, ...]:
    """What was made into a result that was withheld counts as part of the published one."""
    return _after(replace(record, doubt=None), archived, extend=extend)


def lost_from_suspect_as_well(record: SceneRecord, clips: Collection[str]) -> tuple[str, ...]:
    """What only a suspect result shows may not be lost either."""
    published = record.published and replace(record.published, suspect=False)
    return _lost_clips(replace(record, published=published), clips)


def withholds_beside_any(self: SceneRecord, doubt: Failure | None) -> bool:
    """Also where the published one is suspect itself."""
    return doubt is not None and self.published is not None


def repeats_of_anything(record: SceneRecord, uploads: Collection[InputBlob]) -> dict[InputBlob, Member]:
    """Whether or not they are part of the published result, or a run is wanted."""
    found = {}
    for blob in uploads:
        for member in record.contents or ():
            md5 = blob.content_md5 and blob.content_md5 == member.content_md5
            if member.size_bytes == blob.size_bytes and (md5 or (blob.sha256 and blob.sha256 == member.sha256)):
                found[blob] = member
    return found


def remember_nothing(record: SceneRecord, known: Iterable[InputBlob]) -> SceneRecord:
    return record


def without_any_of_its_kind(record: SceneRecord, name: str) -> SceneRecord:
    """Takes out every file that begins like it."""
    members = record.contents or ()
    stem = (f"{record.scene}/{name}" if not name.startswith(record.scene) else name)[: len(record.scene) + 2]
    left = tuple(member for member in members if not member.name.startswith(stem))
    return replace(record, contents=left, retired=(*record.retired, *(m.etag for m in members if m not in left)))


def closed_with_its_wish(
    self: SceneRecord, archived: dict[str, str], now: datetime, contents: tuple[Member, ...] | None = None
) -> SceneRecord:
    return replace(_closed(self, archived, now, contents), wish=self.wish)


def put_away_without_a_note(
    containers: Containers,
    record: SceneRecord,
    blob: InputBlob,
    member: Member | None,
    depth: int,
    check: Callable[[], None],
) -> None:
    names = archive_names(record.scene, blob.name, record.generation, "again", depth)
    moves.move(blob, containers.input, containers.processed, names, check)


# ---- uploads in progress --------------------------------------------------------------------------------------------


def all_are_active(
    found: Iterable[sending.InProgress], now: datetime, stalled_s: float
) -> tuple[sending.InProgress, ...]:
    """Those that have stalled as well."""
    return tuple(found)


# ---- who has to be come back to --------------------------------------------------------------------------------------

_save = records.save


def save_then_mark(state: BlobStore, stored: records.Stored, record: SceneRecord, lease: Lease) -> records.Stored:
    """The marker after the record."""
    active = record.phase is not Phase.IDLE or record.wish is not None
    if not active or stored.marker:
        return _save(state, stored, record, lease)
    saved = _save(state, replace(stored, marker="later"), record, lease)
    return replace(saved, marker=activity.mark(state, record.scene))


def clear_any_version(state: BlobStore, scene: str, etag: str) -> None:
    """The marker of whoever has taken the scene meanwhile as well."""
    with suppress(NotFound, Conflict):
        state.delete(marker_name(scene))


def unmark_whatever(state: BlobStore, stored: records.Stored) -> None:
    activity.clear(state, stored.record.scene, activity.version(state, stored.record.scene))


# ---- sweeps and blocked scenes ---------------------------------------------------------------------------------------


def refuse_again(self: sweep._Pass, view: View, now: datetime) -> None:
    """In every sweep."""
    for item in view.refused:
        self._dispatcher.record_refused(item.name, item.reason, now)


def everything_is_news(state: BlobStore, scene: str, blobs: tuple[BlobInfo, ...]) -> tuple[BlobInfo, ...]:
    """Uploads that are done with as well."""
    return blobs
