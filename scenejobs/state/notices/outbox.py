"""What is still to be told about a scene: `state/notices/<key>.json`, there before the message that makes it work.

    the dispatcher   notes that it is about to send a message (`opened`), and then sends it
    a sweep          looks at each outbox: what happened since (events.py) is written down for each target, then sent,
                     then struck off; when all is told and the scene is idle the outbox goes

So a crash anywhere loses none: what happened is read from the record and its notes again. One between the answer of a
target and the striking off tells it once more, with the same id and the same bytes.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from scenejobs.errors import Conflict, NotFound, SceneJobError, StorageError
from scenejobs.ports import NAMED, BlobInfo, BlobStore, Containers, NoticeTarget
from scenejobs.state import codec, records
from scenejobs.state.incoming import undeleted
from scenejobs.state.incoming.uploads import list_scene
from scenejobs.state.layout import ACTIVE, NOTICES, is_check, notices_name
from scenejobs.state.notices.events import Event, Queued, happened
from scenejobs.state.record import Phase, SceneRecord

VERSION = 1
FIRST_S, MOST_S = 30.0, 3600.0  # between two tries at a target
GIVE_UP = timedelta(days=3)  # a target that takes nothing for so long is told no more of this
KEEP = timedelta(days=7)  # an outbox of a scene in which nothing happens
LINGERS = timedelta(hours=1)  # of one whose events are all told: a message that was sent twice can begin the next run

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Pending:
    """One event for one target."""

    target: str
    id: str
    event: str  # as it is sent
    since: datetime
    next_at: datetime
    tries: int = 0


@dataclass(frozen=True)
class Outbox:
    """Of one scene."""

    scene: str
    queued: tuple[Queued, ...]
    told: tuple[str, ...] = ()  # ids of events that were written down
    pending: tuple[Pending, ...] = ()

    def to_json(self) -> dict[str, Any]:
        return {"schema_version": VERSION, **codec.to_json(self)}

    @staticmethod
    def from_json(value: Any) -> Outbox:
        """Raises ValueError."""
        codec.check_version(value, "outbox", VERSION)
        return codec.from_json(value, Outbox)


def opened(state: BlobStore, scene: str, now: datetime, *, refused: bool = False) -> None:
    """Before a message about the scene is sent. Safe to repeat. Raises StorageError: then nothing may be sent.

    refused: none is sent, for no execution could hold the scene.
    """
    stored = records.load(state, scene)
    generation = stored.record.generation if stored else 1
    for _ in range(3):
        found = load(state, scene)
        if found is None:
            try:
                _write(state, Outbox(scene, (Queued(generation, now, refused),)), None)
                return
            except Conflict:
                continue
        outbox, etag = found
        if any(each.generation >= generation and (refused or not each.refused) for each in outbox.queued):
            return
        try:
            _write(state, replace(outbox, queued=(*outbox.queued, Queued(generation, now, refused))), etag)
            return
        except Conflict:  # a sweep strikes something off
            continue
    raise StorageError(f"the outbox of scene {scene} changes all the time", advice="the next sweep tries again")


def load(state: BlobStore, scene: str) -> tuple[Outbox, str] | None:
    return _read(state, notices_name(scene))


def tell(
    containers: Containers,
    depth: int,
    targets: Mapping[str, NoticeTarget],
    goes_on: Callable[[], bool] = lambda: True,
) -> list[SceneJobError]:
    """Looks at every outbox; returns what failed, which is tried again later. Raises StorageError from the listing.

    depth: levels of folders that name a scene.
    """
    failed: list[SceneJobError] = []
    outboxes = list(containers.state.list(NOTICES))
    try:
        _open_others(containers.state, {info.name for info in outboxes})
    except SceneJobError as exc:
        failed.append(exc)
    for info in outboxes:
        if not goes_on():
            break
        try:
            failed += _tell(containers, depth, info, targets)
        except SceneJobError as exc:
            failed.append(exc)
    return failed


def _open_others(state: BlobStore, there: Container[str]) -> None:
    """Outboxes for scenes that run without one: a message that came twice, or that somebody wrote, can begin a run too.

    there: names of the outboxes that there are.
    """
    for marker in list(state.list(ACTIVE)):
        if is_check(marker.name) or NOTICES + marker.name.removeprefix(ACTIVE) in there:
            continue
        try:
            scene = str(codec.loads(state.read(marker.name)[0])["scene"])
        except (NotFound, ValueError, KeyError, TypeError):
            continue
        stored = records.load(state, scene)
        if stored is not None and stored.record.phase is not Phase.IDLE:
            opened(state, scene, state.now())


def _tell(
    containers: Containers, depth: int, info: BlobInfo, targets: Mapping[str, NoticeTarget]
) -> list[SceneJobError]:
    state = containers.state
    found = _read(state, info.name)
    if found is None:
        return []
    (outbox, etag), now, failed = found, state.now(), list[SceneJobError]()
    stored = records.load(state, outbox.scene)
    record = stored.record if stored else SceneRecord(outbox.scene)
    new = [event for event in happened(state, record, outbox.queued) if event.id not in outbox.told]
    if new:  # first: from then on the bytes of an event never change
        more = [
            Pending(name, event.id, event.to_json(), now, now) for event in new for name in _receivers(event, targets)
        ]
        told = (*outbox.told, *(event.id for event in new))
        outbox = replace(outbox, told=told, pending=(*outbox.pending, *more))
        if (written := _saved(state, outbox, etag)) is None:
            return []  # another sweep does it
        etag = written
    after = replace(outbox, pending=tuple(_sent(outbox.pending, targets, now, failed)))
    if after != outbox:
        if (written := _saved(state, after, etag)) is None:
            return failed
        etag = written
    quiet = now - info.modified if after == found[0] else timedelta(0)
    if not after.pending and _is_over(record, after, quiet) and not _more(containers, outbox.scene, depth):
        try:
            state.delete(info.name, if_match=etag)
        except (NotFound, Conflict):
            log.debug("the outbox of scene %s is in use again", outbox.scene)
    return failed


def _receivers(event: Event, targets: Iterable[str]) -> list[str]:
    """Of the targets, those that get it."""
    known = list(targets)
    asked = [f"{NAMED}{name}" for name in event.notify]
    for key in asked:
        if key not in known:
            text = "scene %s: nobody is called %s here, so %s is not told to them: NOTIFY_TARGETS of this program"
            log.warning(text, event.scene, key.removeprefix(NAMED), event.type, extra={"event": "notice.unknown"})
    return [key for key in known if not key.startswith(NAMED) or key in asked]


def _sent(
    pending: Sequence[Pending], targets: Mapping[str, NoticeTarget], now: datetime, failed: list[SceneJobError]
) -> list[Pending]:
    """What is left. Of one target in order: what comes after one that it did not take waits."""
    left, waits = list[Pending](), set[str]()
    for each in pending:
        target = targets.get(each.target)
        if target is None:  # it was taken out of the settings
            continue
        if each.target in waits or each.next_at > now:
            waits.add(each.target)
            left.append(each)
            continue
        try:
            target.send(each.id, each.event)
        except SceneJobError as exc:
            failed.append(exc)
            waits.add(each.target)
            if now - each.since < GIVE_UP:
                wait = timedelta(seconds=min(MOST_S, FIRST_S * 2.0**each.tries))
                left.append(replace(each, tries=each.tries + 1, next_at=now + wait))
            else:
                text = "a notice is given up after %d tries at %s: %s"
                log.error(text, each.tries, each.target, exc, extra={"event": "notice.given_up"})
    return left


def _is_over(record: SceneRecord, outbox: Outbox, quiet: timedelta) -> bool:
    """Nothing more happens that the outbox is for. record: the one that its events were made from. quiet: since the
    outbox changed."""
    if record.phase is not Phase.IDLE or record.wish is not None or quiet < LINGERS:
        return False
    return quiet > KEEP or all(each.generation < record.generation for each in outbox.queued)


def _more(containers: Containers, scene: str, depth: int) -> bool:
    """Whether uploads lie there, which the next run takes, with a message of its own or not."""
    return bool(undeleted.without(containers.state, scene, list_scene(containers.input, scene, depth)))


def _read(state: BlobStore, name: str) -> tuple[Outbox, str] | None:
    try:
        data, etag = state.read(name)
        return Outbox.from_json(codec.loads(data)), etag
    except NotFound:
        return None
    except ValueError as exc:
        raise StorageError(f"{name} cannot be read: {exc}", advice="remove it: what it holds is told no more") from exc


def _saved(state: BlobStore, outbox: Outbox, etag: str) -> str | None:
    try:
        return _write(state, outbox, etag)
    except Conflict:
        return None


def _write(state: BlobStore, outbox: Outbox, etag: str | None) -> str:
    data = json.dumps(outbox.to_json(), separators=(",", ":")).encode()
    return state.write(notices_name(outbox.scene), data, if_match=etag, if_absent=etag is None)
