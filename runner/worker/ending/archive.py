"""Moves the inputs of a decided generation out of the input container, each by `scenejobs.state.moves`.

Driven by the frozen manifest, never by a second listing. Nothing in the archive is ever overwritten: a name that is
taken by another version sends the input to the generation's folder. Many inputs are moved some at a time, by threads
that each ask for the lease before every change. What cannot be moved keeps no other input from it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping

from scenejobs.errors import Busy, StorageError
from scenejobs.parallel import Crew
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state.blobs import InputBlob
from scenejobs.state.copies import is_copy
from scenejobs.state.layout import archive_names, possible_archive_names
from scenejobs.state.moves import SUPERSEDED, Kept, move
from scenejobs.state.record import SceneRecord

AT_ONCE = 16  # moves; a move waits for three or four answers, one after the other
FEW = 16  # inputs are moved by the caller's own thread


def archive(
    record: SceneRecord,
    source: BlobStore,
    destination: BlobStore,
    kind: str,
    check: Callable[[], None],
    depth: int = 1,
    kept: Kept | None = None,
) -> dict[str, str]:
    """Moves every input of the record's manifest; returns where each lies now ("<kind>/<name>", or "superseded").

    `depth`: levels of folders that name a scene.
    `check` is called before every change, in every thread, and raises when another runner may hold the scene or the
    work is to end: then no further change begins. `kept`: see `moves.move`.
    Raises StorageError when inputs could not be moved, after all others were; Busy at once.
    """
    # Listed once instead of a request for each of thousands of inputs.
    existing = {info.name: info for info in destination.list(f"{record.scene}/")}
    ended = threading.Event()

    def moved(blob: InputBlob) -> str:
        try:
            names = _names(record, blob, existing, depth)
            return move(blob, source, destination, names, check, existing, kept)
        except BaseException as exc:
            if isinstance(exc, Busy) or not isinstance(exc, StorageError):
                ended.set()  # nobody else's input would fare better
            raise

    crew = Crew(1 if len(record.manifest) <= FEW else AT_ONCE, lambda: not ended.is_set())
    outcome = crew.each(moved, record.manifest)
    _raise_first([exc for _, exc in outcome.failed], len(record.manifest), record.scene)
    return {blob.name: place if place == SUPERSEDED else f"{kind}/{place}" for blob, place in outcome.done}


def _names(record: SceneRecord, blob: InputBlob, existing: Mapping[str, BlobInfo], depth: int) -> tuple[str, ...]:
    """Where it may go, in this order: first where an earlier runner, or an earlier program, has copied it already."""
    named = (record.scene, blob.name, record.generation, record.run)
    begun = [n for n in possible_archive_names(*named) if is_copy(existing.get(n), blob.etag, blob.size_bytes)]
    return (*begun, *archive_names(*named, depth))


def _raise_first(failed: list[StorageError], inputs: int, scene: str) -> None:
    busy = next((exc for exc in failed if isinstance(exc, Busy)), None)
    if busy is not None or len(failed) == 1:
        raise busy or failed[0]
    if failed:
        first = failed[0]
        cause = f"{len(failed)} of {inputs} inputs of scene {scene} cannot be archived; the first: {first.cause}"
        raise StorageError(cause, advice=first.advice, code=first.code) from first
