"""Runs that no upload asks for: a finished scene once more (`retry`), or without one of its files (`exclude`).

A wish is a field of the record. The dispatcher sees it in the record's metadata and sends a message, a runner takes
what the scene consists of from the record, and the end of the generation, however it ends, fulfils the wish.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime

from scenejobs.errors import Code, Conflict, InputError, LeaseLost
from scenejobs.names import is_companion, is_media, refusal, within_scene
from scenejobs.ports import BlobStore, Containers, Lease, Queues
from scenejobs.state import cancelling, contents, records
from scenejobs.state.layout import record_name
from scenejobs.state.messages import DebounceCheck
from scenejobs.state.record import Phase, SceneRecord, Wish
from scenejobs.state.records import Stored

LEASE_S = 30  # only around the change of the record
LEASE_TRIES = 30
LEASE_PAUSE_S = 2.0

ENDING_S = 60.0  # so long after its end a scene may still be held by who ended it
ENDING_TRIES = 20
ENDING_PAUSE_S = 0.5

Pause = Callable[[float], None]


@dataclass(frozen=True)
class AgainPlan:
    """What a run of a scene that nothing is brought back for would use."""

    scene: str
    files: tuple[str, ...]  # names in the input container
    gone: tuple[str, ...] = ()  # of the published result, which is done without
    cancelled: bool = False  # the files are uploads that wait: the scene is cancelled, and goes on


def plan_again(
    containers: Containers, scene: str, *, with_what_is_there: bool = False, pause: Pause = time.sleep
) -> AgainPlan:
    """What `again` would do. Raises InputError when somebody works on the scene, or there is nothing to run.

    Raises InputError ARCHIVE_GONE when files of the published result are gone, unless `with_what_is_there`.
    """
    record = contents.of_history(containers.state, idle_record(containers.state, scene, pause))
    listed = contents.archive_of(containers, record)
    choice = contents.choose(record, (), listed, extend=True)
    files = tuple(member.name for member in choice.carried)
    if choice.gone and not with_what_is_there:
        raise InputError(
            f"{len(choice.gone)} files of the published result of scene {scene} are no longer in the archive: "
            f"{', '.join(choice.gone[:5])}",
            code=Code.ARCHIVE_GONE,
            advice="upload them again, or run the scene without them: --with-what-is-there",
        )
    if all(is_companion(name) for name in files):
        raise InputError(f"nothing of scene {scene} is in the archive", code=Code.NO_VIDEO, advice="upload its files")
    return AgainPlan(scene, files, choice.gone)


def again(
    containers: Containers, queues: Queues, scene: str, *, with_what_is_there: bool = False, pause: Pause = time.sleep
) -> None:
    """Lets a scene run again from what its archive holds, and with its uploads, also where it was cancelled.

    Raises InputError when somebody works on it, StorageError.
    """
    state = containers.state
    if cancelling.is_noted(state, scene):
        records.ensure(state, scene)  # one that never began has none
        idle_record(state, scene, pause)
        cancelling.lift(state, scene)
    wish = Wish("retry", state.now(), with_what_is_there)
    change(state, scene, lambda record: contents.of_history(state, record).wishing(wish), pause)
    call_for(queues, scene, state)


def exclude(
    containers: Containers, queues: Queues, scene: str, name: str, *, pause: Pause = time.sleep
) -> tuple[str, ...]:
    """Takes a file out of a scene and lets it run without. Returns the names of the files that are left.

    The archived file stays where it is; a scene that was cancelled is no more. Raises InputError when the scene has no
    such file, nothing to look at without it, or somebody works on it; StorageError.
    """
    state = containers.state
    now = state.now()

    def excluding(record: SceneRecord) -> SceneRecord:
        record = contents.of_history(state, record)
        try:
            without = contents.without(record, name)
        except KeyError as exc:
            known = ", ".join(sorted(within_scene(member.name, scene) for member in record.contents or ())[:10])
            raise InputError(
                f"scene {scene} does not consist of a file {name}", code=Code.NO_VIDEO,
                advice=f"it consists of {known or 'nothing yet'}; what lies in the input container is removed there",
            ) from exc  # fmt: skip
        if not any(is_media(member.name) for member in without.contents or ()):
            cause = f"without {name} nothing is left of scene {scene}"
            raise InputError(
                cause, code=Code.NO_VIDEO, advice="upload another clip first, or remove the scene's result"
            )
        forgiving = record.wish is not None and record.wish.with_what_is_there  # of a wish that has not begun
        return without.wishing(Wish("exclude", now, forgiving))

    changed = change(state, scene, excluding, pause)
    cancelling.lift(state, scene)
    call_for(queues, scene, state)
    return tuple(within_scene(member.name, scene) for member in changed.contents or ())


def idle_record(state: BlobStore, scene: str, pause: Pause = time.sleep) -> SceneRecord:
    """The record of a scene that nobody works on. Raises InputError.

    Whoever ended it holds it for a moment more, to clear away, while its user is told already that it is done: that
    moment is waited for.
    """
    reason = refusal(scene)
    if reason:
        raise InputError(f"no scene can be called {scene!r}: {reason}", code=Code.NO_SCENE)
    for tries_left in range(ENDING_TRIES, -1, -1):
        stored = records.load(state, scene)
        if stored is None:
            raise InputError(f"there is no scene {scene}", code=Code.NO_SCENE)
        if stored.record.phase is not Phase.IDLE:
            raise worked_on(scene)
        if not state.head(record_name(scene)).leased:
            return stored.record
        if not tries_left or not _has_just_ended(stored.record, state.now()):
            break
        pause(ENDING_PAUSE_S)
    raise worked_on(scene)


def _has_just_ended(record: SceneRecord, now: datetime) -> bool:
    return record.ending is not None and abs((now - record.ending.at).total_seconds()) < ENDING_S


@contextmanager
def holding_idle(state: BlobStore, scene: str, lease_s: int, *, held: bool = False) -> Iterator[tuple[Stored, Lease]]:
    """The record of a scene that nobody works on, and its lease, which ends with the block.

    held: one that is held too (a call that was cut off goes on). Raises InputError; StorageError.
    """
    idle_record(state, scene)
    try:
        lease = state.lease(record_name(scene), lease_s)
    except Conflict as exc:
        raise worked_on(scene) from exc
    try:
        stored = records.load(state, scene)
        if stored is None or stored.record.phase is not Phase.IDLE or (stored.record.held and not held):
            raise worked_on(scene)
        yield stored, lease
    finally:
        with suppress(LeaseLost):
            lease.release()


def worked_on(scene: str) -> InputError:
    return InputError(f"scene {scene} is being worked on", code=Code.NO_SCENE, advice="wait until it has ended")


def change(
    state: BlobStore, scene: str, how: Callable[[SceneRecord], SceneRecord], pause: Pause = time.sleep,
    *, insist: bool = False,
) -> SceneRecord:  # fmt: skip
    """Changes the record of an idle scene under its lease, and returns it.

    insist: a lease that somebody holds is waited for; a runner may hold it for a moment, to find nothing to do.
    Raises InputError when there is no such scene or somebody works on it, StorageError.
    """
    idle_record(state, scene, pause) if not insist else None
    for tries_left in range(LEASE_TRIES, -1, -1):
        try:
            lease = state.lease(record_name(scene), LEASE_S)
            break
        except Conflict as exc:
            if not tries_left or not insist:  # nothing was done yet
                raise worked_on(scene) from exc
            pause(LEASE_PAUSE_S)
    try:
        stored = records.load(state, scene)
        if stored is None or stored.record.phase is not Phase.IDLE:
            raise worked_on(scene)
        record = how(stored.record)
        if record != stored.record:
            records.save(state, stored, record, lease)
    finally:
        lease.release()
    return record


def call_for(queues: Queues, scene: str, state: BlobStore) -> None:
    """Makes the dispatcher look at the scene."""
    queues.debounce.send(DebounceCheck(scene, "", state.now()).to_json())
