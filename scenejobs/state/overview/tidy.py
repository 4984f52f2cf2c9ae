"""Everything that nobody can need any more, looked for everywhere: what `scenejobs tidy` shows and removes.

Most of it goes by itself, with the run that made it or with a sweep. This finds the rest as well: folders of attempts
that were not committed, progress of scenes that have ended, and the state of scenes that left no file in any container.
It lists all containers whole, and reads the notes of the scenes in doubt.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from scenejobs.errors import NotFound, StorageError
from scenejobs.names import refusal, scene_key
from scenejobs.ports import BlobInfo, Containers
from scenejobs.state import activity, generations, records
from scenejobs.state.control_names import stored_scene
from scenejobs.state.incoming import batches
from scenejobs.state.incoming.uploads import sort_uploads
from scenejobs.state.layout import (
    CANCELLED,
    GENERATIONS,
    PROGRESS,
    RECORDS,
    REDRIVES,
    REFUSED,
    cancelled_name,
    key_of_record,
)
from scenejobs.state.overview import leftovers
from scenejobs.state.overview.leftovers import KEEP_UNUSED, Leftover

RUNS = "/runs/"


@dataclass(frozen=True)
class Tidy:
    """What was found. The records come last: after a kill in between, the next time finds what is left."""

    first: tuple[Leftover, ...]
    records: tuple[Leftover, ...]

    @property
    def all(self) -> tuple[Leftover, ...]:
        return self.first + self.records


def find(containers: Containers, depth: int, cache_days: float, gone_days: float, now: datetime) -> Tidy:
    """gone_days: so long a scene must have been unchanged that left no file anywhere; 0: these are kept.

    Raises StorageError when something cannot be listed.
    """
    state = containers.state
    uploads = sort_uploads(containers.input.list(), depth)
    listed = {info.name: info for info in state.list(RECORDS)}
    busy = {scene_key(scene) for scene in uploads.scenes}
    busy |= {key_of_record(name) for name, info in listed.items() if info.leased or activity.is_active(info.metadata)}
    named = {part for info in listed.values() for part in records.parts_in(info.metadata)}
    found = [*leftovers.old_usage(state, now), *leftovers.old_cache(state, cache_days, now)]
    found += leftovers.old_refusals(state, state.list(REFUSED), (item.name for item in uploads.refused), now)
    found += leftovers.unnamed_parts(state, named, now)
    by_key = {scene_key(scene): blobs for scene, blobs in uploads.scenes.items()}
    for key, group in batches.by_key(batches.listed(state)).items():
        found += leftovers.spent_batches(state, group, by_key.get(key, ()), now)
    names = {cancelled_name(scene) for scene in uploads.scenes}
    found += leftovers.over(state, (info for info in state.list(CANCELLED) if info.name not in names), now)
    found += _progress(containers, busy, now)
    found += leftovers.old_previews(state, now)
    outputs = list(containers.output.list())
    found += _uncommitted(containers, outputs, depth, busy, now)
    small = (info for info in listed.values() if leftovers.may_be_blank_record(info, busy, now))
    blank = [item for info in small if (item := leftovers.blank_record(state, info)) is not None]
    gone: list[Leftover] = []
    if gone_days:
        kept = busy | _with_files(containers, outputs, depth)
        old = [info for name, info in listed.items() if key_of_record(name) not in kept]
        gone = [Leftover(state, info, "the record of a scene that left no file") for info in old
                if info.modified < now - timedelta(days=gone_days)]  # fmt: skip
        found += _notes(containers, {key_of_record(item.info.name) for item in gone})
    blank = [item for item in blank if item.info.name not in {each.info.name for each in gone}]
    return Tidy(tuple(found), (*blank, *gone))


def _progress(containers: Containers, busy: Collection[str], now: datetime) -> Iterator[Leftover]:
    for info in containers.state.list(PROGRESS):
        key = info.name.removeprefix(PROGRESS).removesuffix(".json")
        if key not in busy and info.modified < now - KEEP_UNUSED:
            yield Leftover(containers.state, info, "the progress of a scene that has ended")


def _uncommitted(
    containers: Containers, outputs: Iterable[BlobInfo], depth: int, busy: Collection[str], now: datetime
) -> Iterator[Leftover]:
    """Folders of runs that no generation names: their attempts failed, or their runners were killed."""
    runs: dict[str, dict[str, list[BlobInfo]]] = {}
    for info in outputs:
        scene, _, rest = info.name.partition(RUNS)
        run, _, file = rest.partition("/")
        if file and refusal(info.name) is None and stored_scene(info.name, depth) == scene:
            runs.setdefault(scene, {}).setdefault(run, []).append(info)
    for scene, folders in runs.items():
        committed = _committed(containers, scene) if scene_key(scene) not in busy else None
        for run, blobs in folders.items():
            if committed and run not in committed and all(info.modified < now - KEEP_UNUSED for info in blobs):
                for info in blobs:
                    yield Leftover(containers.output, info, "of an attempt that was not committed")


def _committed(containers: Containers, scene: str) -> set[str] | None:
    """The runs that the record or a generation of a scene names; None where it cannot be told."""
    try:
        stored = records.load(containers.state, scene)
        if stored is None:
            return None
        record = stored.record
        found = {record.run, *([record.published.run] if record.published else [])}
        found |= {record.ending.run} if record.ending else set()
        for info in containers.state.list(f"{GENERATIONS}{scene_key(scene)}/"):
            found.add(generations.read(containers.state, info.name).run)
    except (StorageError, NotFound):
        return None
    return found


def _with_files(containers: Containers, outputs: Iterable[BlobInfo], depth: int) -> set[str]:
    """Keys of scenes of which anything lies in a container that people see."""
    every = (*outputs, *containers.processed.list(), *containers.error.list())
    return {scene_key(stored_scene(info.name, depth)) for info in every if refusal(info.name) is None}


def _notes(containers: Containers, keys: Collection[str]) -> Iterator[Leftover]:
    for place in (GENERATIONS, REDRIVES):
        for info in containers.state.list(place):
            if info.name.removeprefix(place).partition("/")[0] in keys:
                yield Leftover(containers.state, info, "a note of a scene that left no file")
