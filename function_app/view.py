"""What one sweep sees: each place listed once, however many scenes there are. Finished scenes lie in none of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from scenejobs.errors import UnreadableMessage
from scenejobs.names import is_companion, is_scene_file, scene_key
from scenejobs.ports import BlobInfo, BlobStore, Containers, JobQueue
from scenejobs.state import cancelling
from scenejobs.state.blobs import digest
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.batches import ListedBatch
from scenejobs.state.incoming.sending import Memories
from scenejobs.state.incoming.undeleted import Known
from scenejobs.state.incoming.uploads import Refused, Sending, snapshot, sort_uploads
from scenejobs.state.layout import ACTIVE, CANCELLED, UNDELETED, cancelled_name, is_check, key_of_marker
from scenejobs.state.messages import JobMessage

FULL_PEEK = 32  # so many messages a queue shows; where it shows fewer, there are no others


@dataclass(frozen=True)
class View:
    """The containers, as they were listed."""

    scenes: dict[str, tuple[BlobInfo, ...]]  # uploads
    refused: tuple[Refused, ...]
    batches: dict[str, list[ListedBatch]]  # by scene key; of no scene where there are no uploads
    active: dict[str, BlobInfo]  # by scene key: the markers
    checks: tuple[BlobInfo, ...]  # notes of checks that are on their way
    sending: dict[str, tuple[Sending, ...]]  # uploads in progress
    memories: Memories  # of these
    undeleted: tuple[BlobInfo, ...] = ()  # notes of uploads that are done with and cannot be deleted; not in `scenes`
    called_off: tuple[BlobInfo, ...] = ()  # notes of cancelled scenes; what they cover is not in `scenes`
    over: tuple[BlobInfo, ...] = ()  # those of them that cover no upload

    @property
    def keys(self) -> frozenset[str]:
        """Of the scenes that have uploads."""
        return frozenset(map(scene_key, self.scenes))

    def uploads_by_key(self) -> dict[str, tuple[BlobInfo, ...]]:
        return {scene_key(scene): blobs for scene, blobs in self.scenes.items()}

    def batches_of(self, scene: str) -> list[ListedBatch]:
        return self.batches.get(scene_key(scene), [])

    def may_run(self, scene: str) -> bool:
        """Whether it holds more than what waits for videos or photos."""
        uploads = self.scenes[scene]
        if not all(is_companion(blob.name) for blob in uploads):
            return True
        if not any(is_scene_file(blob.name, scene) for blob in uploads):
            return False
        own = digest(snapshot(uploads))  # new settings of a scene that has files: a batch of just these was sent
        return any(item.digest == own and item.queued_at for item in self.batches_of(scene))

    def batches_with(self, scene: str) -> list[ListedBatch]:
        """Batches that may hold some of the uploads that lie there now."""
        uploads, found = self.scenes[scene], self.batches_of(scene)
        whole = digest(snapshot(uploads))
        held = {item.info.name for item in batches.may_hold(found, uploads)}
        return [item for item in found if item.digest == whole or item.info.name in held]

    def sent_batches(self, scene: str) -> list[ListedBatch]:
        """Those of them whose message was sent."""
        return [item for item in self.batches_with(scene) if item.queued_at]


@dataclass(frozen=True)
class Head:
    """The head of the work queue."""

    keys: frozenset[str]  # of scenes whose messages are visible there
    is_all: bool  # no other message is visible
    sent_at: datetime | None  # of the newest message there

    @staticmethod
    def of(jobs: JobQueue) -> Head:
        texts = jobs.peek()
        found = []
        for text in texts:
            try:
                found.append(JobMessage.from_json(text))
            except UnreadableMessage:  # the runner takes it out
                continue
        newest = max((message.sent_at for message in found), default=None)
        return Head(frozenset(scene_key(message.scene) for message in found), len(texts) < FULL_PEEK, newest)

    def passed(self, sent_at: datetime) -> bool:
        """Whether a message that was sent then, and is not visible here, is visible nowhere.

        Of a long queue only the head can be seen. What was sent before the messages there has been received since.
        """
        return self.is_all or (self.sent_at is not None and sent_at < self.sent_at)


def look(containers: Containers, depth: int) -> View:
    """Lists the uploads, the markers, and where there are uploads their batches. Raises StorageError."""
    notes = {info.name: info for info in containers.state.list(CANCELLED)}  # before the uploads
    listing = containers.input.list_all()
    uploads = sort_uploads(listing.blobs, depth, listing.sending)
    kept = tuple(containers.state.list(UNDELETED)) if uploads.scenes else ()  # after the uploads
    done_with = Known(kept)
    scenes = {scene: left for scene, blobs in uploads.scenes.items() if (left := done_with.without(blobs))}
    noted = [scene for scene in scenes if cancelled_name(scene) in notes]
    over = tuple(info for name, info in notes.items() if name not in set(map(cancelled_name, noted)))
    scenes = _wanted(containers.state, scenes, {scene: notes[cancelled_name(scene)] for scene in noted})
    found = batches.by_key(batches.listed(containers.state)) if scenes else {}
    listed = list(containers.state.list(ACTIVE))
    return View(
        scenes=scenes,
        undeleted=kept,
        called_off=tuple(notes.values()),
        over=over,
        refused=uploads.refused,
        batches=found,
        active={key_of_marker(info.name): info for info in listed if not is_check(info.name)},
        checks=tuple(info for info in listed if is_check(info.name)),
        sending=uploads.sending,
        memories=Memories(containers.state),
    )


def _wanted(
    state: BlobStore, scenes: dict[str, tuple[BlobInfo, ...]], notes: Mapping[str, BlobInfo]
) -> dict[str, tuple[BlobInfo, ...]]:
    """Without the scenes that are called off. notes: as they were listed before the uploads; newer ones count later."""
    found = dict(scenes)
    for scene, info in notes.items():
        noted = cancelling.load(state, scene)
        if noted is not None and noted.etag == info.etag and not cancelling.left(state, noted, scenes[scene]):
            del found[scene]
    return found
