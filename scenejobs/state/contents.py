"""What a scene consists of, over all its generations, as pure functions over its record and listings.

    a clip comes late       the next generation is made of everything the scene has and what is new  (`choose`)
    the same bytes again    what is part of the published result already is no news                  (`already_there`)
    a generation ends       what the scene consists of from then on                                  (`after`)

The record names every file, the version that was uploaded, and where it was archived (`blobs.Member`). Archived files
are read where they lie and never moved again. A finished scene never gets smaller by itself: where an archived file of
the published result is gone, only a wish (`scenejobs retry --with-what-is-there`) lets a run go on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from scenejobs.errors import NotFound
from scenejobs.names import (
    is_companion,
    is_media,
    is_photo,
    is_pose_file,
    is_ready_marker,
    is_scene_file,
    is_sidecar,
    within_scene,
)
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.state import generations
from scenejobs.state.blobs import InputBlob, Member
from scenejobs.state.copies import is_copy
from scenejobs.state.layout import generation_name
from scenejobs.state.record import Outcome, Phase, Published, SceneRecord

PHOTOS = "photos"  # stands for all photos of a scene, which may be grouped otherwise in another run
Archive = Callable[[], Mapping[str, BlobInfo]]  # what lies in it now, see `archive_of`
LOOK_BACK = 50  # generations, for the contents of a scene that an earlier program finished


@dataclass(frozen=True)
class Choice:
    """What an attempt is made of beside the new uploads."""

    carried: tuple[Member, ...] = ()
    gone: tuple[str, ...] = ()  # names of files of the published result that are no longer where they were archived


def choose(
    record: SceneRecord, uploads: Collection[InputBlob], listed: Mapping[str, BlobInfo], *, extend: bool
) -> Choice:
    """The archived files that belong to the scene beside `uploads`. The same name again replaces a file.

    listed: blobs of the archive by "<container kind>/<name>", see `archive_of`.
    extend: False: new videos or photos replace the scene instead of extending it (LATE_UPLOADS=replace).
    """
    if not extend and any(not is_companion(blob.name) for blob in uploads):
        return Choice()
    replaced = {blob.name for blob in uploads}
    members = [member for member in record.contents or () if member.name not in replaced]
    newest = {member.name: member for member in members if is_copy_at(member, listed)}  # of one name the last
    wished = record.wish is not None and record.wish.with_what_is_there
    forgiven = record.published is None or record.is_expired or wished
    if forgiven:
        return Choice(tuple(newest.values()))
    gone = [member.name for member in members if member.published and member.name not in newest]
    offered = _clips(record.scene, [*newest, *replaced, *gone])
    gone += [f"{record.scene}/{clip}" for clip in record.shown if clip not in offered]
    return Choice(tuple(newest.values()), tuple(gone))


def asks_for_a_run(record: SceneRecord | None, scene: str, names: Iterable[str]) -> bool:
    """Whether these uploads of a scene are more than what waits for videos or photos.

    New settings (scene.yaml) are that for a scene that has some already, in its archive.
    """
    some = tuple(names)
    if any(not is_companion(name) for name in some):
        return True
    members = record.contents or () if record else ()
    return any(is_scene_file(name, scene) for name in some) and any(is_media(member.name) for member in members)


def archive_of(containers: Containers, record: SceneRecord) -> dict[str, BlobInfo]:
    """What lies in the archive of a scene now, by "<container kind>/<name>". One listing per container it names."""
    kinds = {member.place.partition("/")[0] for member in record.contents or ()}
    return {
        f"{kind}/{info.name}": info
        for kind in sorted(kinds)
        for info in container(containers, kind).list(f"{record.scene}/")
    }


def container(containers: Containers, kind: str) -> BlobStore:
    """The container of a place. Raises ValueError for one that is no archive."""
    match kind:
        case "processed":
            return containers.processed
        case "error":
            return containers.error
    raise ValueError(f"no archive is called {kind!r}")


def lost_clips(record: SceneRecord, clips: Collection[str]) -> tuple[str, ...]:
    """Clips that the published result shows, that this attempt works on, and of which its result has no frames.

    clips: of which it has frames. What was taken out, or is gone with its user's consent, cannot be lost; nor can what
    only a suspect result shows.
    """
    if record.published is not None and (record.published.suspect or record.is_expired):
        return ()
    offered = clip_names(record)
    return tuple(clip for clip in record.shown if clip in offered and clip not in clips)


def clip_names(record: SceneRecord) -> frozenset[str]:
    """The clips that the attempt works on, as `SceneRecord.shown` has them."""
    return _clips(record.scene, [blob.name for blob in record.inputs if is_media(blob.name)])


def _clips(scene: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(PHOTOS if is_photo(name) else within_scene(name, scene) for name in names)


def already_there(
    record: SceneRecord, uploads: Collection[InputBlob], archive: Archive | None = None
) -> dict[InputBlob, Member | None]:
    """Uploads that are no news, each with the file of the scene that it is; None: a version that was replaced before.

    A version that was archived once and is in `input` again (undeleted, or an older state of the account came back) is
    never news. The same bytes as a new upload are none while they are part of the published result; after a failure,
    or when a run is wished for, they run. archive: asked for what lies in it, where a file is recognised by its bytes.
    """
    members = record.contents or ()
    by_etag = {member.etag: member for member in members}
    found: dict[InputBlob, Member | None] = {}
    same = repeated(record, uploads)
    listed = archive() if same and archive else None
    for blob in uploads:
        if was_archived(record, blob):
            found[blob] = by_etag.get(blob.etag)
        elif blob in same and (listed is None or is_copy_at(same[blob], listed)):
            found[blob] = same[blob]
    return found


def repeated(record: SceneRecord, uploads: Collection[InputBlob]) -> dict[InputBlob, Member]:
    """Uploads that hold the bytes of a file of the published result, as far as their hashes are known.

    The bytes of one file under the name of another replace that one, and a file that is replaced by the same uploads is
    no longer part of the scene: names may be swapped, or shifted by one, and no file is lost.
    """
    if record.wish is not None or record.ending is None or record.ending.outcome is not Outcome.SUCCEEDED:
        return {}
    own = {member.name: member for member in record.contents or ()}
    replaced = {blob.name for blob in uploads if blob.name in own and not _same(own[blob.name], blob)}
    found = {}
    for blob in uploads:
        same = (m for m in record.contents or () if m.published and m.name not in replaced and _same(m, blob))
        if blob.name not in replaced and (member := next(same, None)) is not None:
            found[blob] = member
    return found


def _same(member: Member, blob: InputBlob) -> bool:
    """A sidecar is another one under the name of another film."""
    if is_sidecar(blob.name) and member.name != blob.name:
        return False
    same_hash = (blob.content_md5 and blob.content_md5 == member.content_md5) or (
        blob.sha256 and blob.sha256 == member.sha256
    )
    return bool(same_hash) and member.size_bytes == blob.size_bytes


def news(
    record: SceneRecord, uploads: Collection[InputBlob], *, extend: bool, archive: Archive | None = None
) -> tuple[tuple[InputBlob, ...], dict[InputBlob, Member | None]]:
    """The uploads that a run is for, and those that are none (`already_there`), which are put away without a run.

    With extend=False, uploads that replace the scene stay together: all of them are news as soon as one is. So do
    camera poses and the files that come with them. Of a scene with a result, files that nothing is made of are no news.
    """
    known = already_there(record, uploads, archive)
    new = [blob for blob in uploads if blob not in known]
    together = any(is_pose_file(blob.name) for blob in new)
    if together or (not extend and any(not is_companion(blob.name) for blob in new)):
        known = {blob: member for blob, member in known.items() if was_archived(record, blob)}
    new = [blob for blob in uploads if blob not in known]
    if record.published is not None and not any(is_media(blob.name) or is_pose_file(blob.name) for blob in new):
        known |= {blob: None for blob in new if not is_companion(blob.name)}
    return tuple(blob for blob in uploads if blob not in known), known


def remembering(record: SceneRecord, known: Iterable[InputBlob]) -> SceneRecord:
    """The record that knows the versions of uploads that are put away, so that they are no news if they reappear."""
    members = {member.etag for member in record.contents or ()}
    return record.having_retired(blob.etag for blob in known if blob.etag not in members)


def was_archived(record: SceneRecord, blob: InputBlob) -> bool:
    """Whether this very version was archived before, and lies in `input` again."""
    return blob.etag in record.retired or any((m.name, m.etag) == (blob.name, blob.etag) for m in record.contents or ())


def after(record: SceneRecord, archived: Mapping[str, str], *, extend: bool = True) -> tuple[Member, ...]:
    """What the scene consists of once this COMMITTED or FAILING generation is closed.

    archived: input name -> place, or "superseded". After a success it is what the result was made from. After a
    failure, or a result that was withheld, it is what it was, and (with `extend`) the new files, but for those that a
    failure refuses by name: they would make every further generation fail. The published result is made of none of
    them.
    """
    new = [
        Member(
            blob.name, blob.etag, blob.size_bytes, archived[blob.name], record.generation, blob.content_md5, blob.sha256
        )
        for blob in record.manifest
        if "/" in archived.get(blob.name, "") and not is_ready_marker(blob.name)
    ]
    if record.phase is Phase.COMMITTED:
        # What was not read was refused, or nothing is made of it. (A program before this one hashed nothing.)
        # The same bytes under two names are two files, of which one is used: the other may be replaced later.
        hashed = any(member.sha256 for member in (*record.carried, *new))
        new = [member for member in new if member.sha256 or not hashed]
        if not record.withheld:
            return tuple(replace(member, published=True) for member in (*record.carried, *new))
    gave_up = record.phase is Phase.FAILING and record.failures
    refused = set(record.failures[-1].failure.files) if gave_up else set()
    members = (*(record.contents or ()), *(new if extend else ()))
    return tuple(each for each in members if each.published or within_scene(each.name, record.scene) not in refused)


def of_history(state: BlobStore, record: SceneRecord) -> SceneRecord:
    """The record with its contents, where an earlier program, whose generations replaced each other, did not say them.

    That is the last generation that succeeded, and what failed after it.
    """
    if record.contents is not None:
        return record
    members: list[Member] = []
    published = None
    for number in range(record.generation - 1, max(0, record.generation - 1 - LOOK_BACK), -1):
        try:
            found = generations.read(state, generation_name(record.scene, number))
        except NotFound:
            break
        succeeded = found.outcome is Outcome.SUCCEEDED and not found.withheld
        members = [*_members(found, published=succeeded), *members]
        if succeeded:
            published = Published(found.number, found.run, found.doubt is not None)
            break
    return replace(record, contents=tuple(members), published=record.published or published)


def without(record: SceneRecord, name: str) -> SceneRecord:
    """The record without a file, by its name in the scene or in the input container. Raises KeyError."""
    left = tuple(m for m in record.contents or () if name not in (m.name, within_scene(m.name, record.scene)))
    taken = [member.etag for member in record.contents or () if member not in left]
    photos = any(is_photo(member.name) for member in left)
    shown = tuple(
        clip for clip in record.shown if clip != within_scene(name, record.scene) and (photos or clip != PHOTOS)
    )
    if not taken and shown == record.shown:
        raise KeyError(name)
    return replace(record, contents=left, shown=shown, retired=(*record.retired, *taken))


def _members(found: generations.Generation, *, published: bool) -> list[Member]:
    return [
        Member(blob.name, blob.etag, blob.size_bytes, found.archived[blob.name], found.number, published=published)
        for blob in found.manifest
        if "/" in found.archived.get(blob.name, "") and not is_ready_marker(blob.name)
    ]


def is_copy_at(member: Member, listed: Mapping[str, BlobInfo]) -> bool:
    """Whether the file lies whole where it was archived, and can be read: in the archive tier it cannot."""
    found = listed.get(member.place)
    return is_copy(found, member.etag, member.size_bytes) and not (found and found.archived)
