"""Uploads in progress: what is being sent into a scene, how much of it is there, and when it last grew.

Three kinds of upload show before they are whole:

- blocks that nobody has committed yet (`BlobStore.list_all`, `sent_bytes`), and copies under way on the server;
- in accounts with a hierarchical namespace, over SFTP and mounts, a blob of no bytes, then of parts of its bytes;
- a name that a tool gives to an unfinished file and changes when it is whole.

No look shows that something grows: two do. What was seen is remembered in `state/sending/<key>.json`, a hint that may
be lost: then an upload counts as growing until it was watched for the stalling time once more. It is written only where
something is being sent. A name that is sent again, over a blob that is there, shows nothing before its commit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from scenejobs.errors import NotFound
from scenejobs.names import is_unfinished, is_used
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.state import codec
from scenejobs.state.incoming.uploads import Sending
from scenejobs.state.layout import SENDING, sending_name

log = logging.getLogger(__name__)

ASKED = 16  # names whose blocks are counted in one look, the one that was counted longest ago first
KEPT = 500  # names remembered of one scene


@dataclass(frozen=True)
class Growth:
    """What was seen of one name."""

    size_bytes: int
    grew_at: datetime  # by the service's clock: when this size was first seen, or the blob's own time
    looked_at: datetime
    blocks: bool  # it had no committed version: once it has one it is whole


@dataclass(frozen=True)
class Memory:
    """`state/sending/<key>.json`."""

    scene: str
    names: Mapping[str, Growth] = field(default_factory=dict)
    grew_at: datetime | None = None  # when any was last seen to grow, those that are whole since among them

    def to_json(self) -> dict[str, Any]:
        names = {name: codec.to_json(seen) for name, seen in self.names.items()}
        return {"scene": self.scene, "names": names, **({"grew_at": self.grew_at.isoformat()} if self.grew_at else {})}

    @staticmethod
    def from_json(value: Any) -> Memory:
        """Raises ValueError."""
        try:
            names = {name: codec.from_json(seen, Growth) for name, seen in value["names"].items()}
            grew_at = codec.parse_time(value["grew_at"]) if "grew_at" in value else None
            return Memory(value["scene"], names, grew_at)
        except (AttributeError, KeyError, TypeError) as exc:
            raise ValueError(f"what is being sent cannot be read: {exc}") from exc

    @property
    def digest(self) -> str:
        return digest(self.names)

    @property
    def last_grew_at(self) -> datetime | None:
        return max([self.grew_at, *(seen.grew_at for seen in self.names.values())], key=_early)


@dataclass(frozen=True)
class InProgress:
    """An upload that is not whole."""

    name: str
    size_bytes: int  # that are there
    grew_at: datetime
    listed: bool  # a blob of that name is listed, which a runner would take for an upload

    def stalls_in_s(self, now: datetime, stalled_s: float) -> float:
        return stalled_s - (now - self.grew_at).total_seconds()


def digest(names: Iterable[str]) -> str:
    """Of a set of names."""
    return hashlib.sha256("\n".join(sorted(names)).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def suspects(waiting: Collection[BlobInfo], sizes: Mapping[str, int]) -> frozenset[str]:
    """Those of a scene's uploads that one listing shows not to be whole, or of another size than an earlier one did.

    sizes: what an earlier look saw, by `mark`; of others nothing is known.
    """
    used = [blob for blob in waiting if is_used(blob.name)]
    changed = {blob.name for blob in used if sizes.get(mark(blob.name), blob.size_bytes) != blob.size_bytes}
    return frozenset(changed | {blob.name for blob in used if not blob.size_bytes or is_unfinished(blob.name)})


def mark(name: str) -> str:
    """Short, so that a message can hold some."""
    return hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:12]


def load(state: BlobStore, scene: str) -> Memory:
    """Empty where there is none, or it cannot be read."""
    try:
        return Memory.from_json(codec.loads(state.read(sending_name(scene))[0]))
    except NotFound:
        return Memory(scene)
    except ValueError as exc:
        log.warning("%s cannot be read; starting from a clean one: %s", sending_name(scene), exc)
        return Memory(scene)


class Memories:
    """What is remembered of any scene, as one listing shows it. It is listed when it is first asked for."""

    def __init__(self, state: BlobStore) -> None:
        self._state = state
        self._listed: dict[str, BlobInfo] | None = None
        self._lock = threading.Lock()  # a sweep judges scenes in parallel

    def load(self, scene: str) -> Memory:
        return load(self._state, scene) if sending_name(scene) in self._all() else Memory(scene)

    def has_stalled(self, scene: str, names: Iterable[str], now: datetime, stalled_s: float) -> bool:
        """Whether it is known that none of these, and nothing else, is still growing there."""
        info = self._all().get(sending_name(scene))
        try:
            known, grew_at = info.metadata["names"] if info else "", info.metadata["grew_at"] if info else ""
            age_s = (now - codec.parse_time(grew_at)).total_seconds()
            return known == digest(names) and age_s >= stalled_s
        except (KeyError, ValueError):
            return False

    @property
    def listed(self) -> bool:
        """Whether anything has been asked for."""
        return self._listed is not None

    def of_others(self, scenes: Collection[str]) -> list[BlobInfo]:
        """Those of scenes without uploads."""
        names = {sending_name(scene) for scene in scenes}
        return [info for name, info in self._all().items() if name not in names]

    def _all(self) -> dict[str, BlobInfo]:
        with self._lock:
            if self._listed is None:
                self._listed = {info.name: info for info in self._state.list(SENDING)}
            return self._listed


def observe(
    uploads: BlobStore,
    memory: Memory,
    waiting: Collection[BlobInfo],
    sending: Sequence[Sending],
    suspected: Collection[str],
    now: datetime,
) -> tuple[Memory, tuple[InProgress, ...]]:
    """One look: what is remembered after it, and the uploads in progress, those that have stalled among them.

    waiting:   uploads in no queued batch. suspected: those of them that may not be whole, see `suspects`; what is
               remembered as growing is suspected as well.
    """
    names: dict[str, Growth] = {}
    for blob in waiting:
        seen = memory.names.get(blob.name)
        if blob.name in suspected or (seen is not None and not seen.blocks):
            grew = seen is None or seen.blocks or seen.size_bytes != blob.size_bytes
            grew_at = blob.modified if grew or seen is None or is_unfinished(blob.name) else seen.grew_at
            names[blob.name] = Growth(blob.size_bytes, grew_at, now, blocks=False)
    listed = frozenset(names)
    sizes = {
        item.name: item.size_bytes if item.size_bytes is not None else uploads.sent_bytes(item.name)
        for item in _due(memory, sending)
    }
    counted_at = max(now, uploads.now()) if sizes else now  # a sweep's `now` may be minutes old
    for name, size in sizes.items():
        seen = memory.names.get(name)
        grew_at = counted_at if seen is None or seen.size_bytes != size else seen.grew_at
        names[name] = Growth(size, grew_at, now, blocks=True)
    for item in sending:
        if item.name not in names and item.name in memory.names:
            names[item.name] = memory.names[item.name]
    kept = sorted(names, key=lambda name: names[name].grew_at, reverse=True)[:KEPT]
    found = tuple(InProgress(name, names[name].size_bytes, names[name].grew_at, name in listed) for name in kept)
    after = Memory(memory.scene, {name: names[name] for name in kept}, memory.last_grew_at)
    return replace(after, grew_at=after.last_grew_at), found


def _early(time: datetime | None) -> float:
    return time.timestamp() if time is not None else 0.0


def _due(memory: Memory, sending: Sequence[Sending]) -> list[Sending]:
    """Whose blocks are counted now. What the listing tells already costs nothing."""
    asked = sorted(
        (item for item in sending if item.size_bytes is None),
        key=lambda item: (seen.looked_at.timestamp() if (seen := memory.names.get(item.name)) else 0.0, item.name),
    )
    return [item for item in sending if item.size_bytes is not None] + asked[:ASKED]


def save(state: BlobStore, before: Memory, after: Memory) -> None:
    """Writes what has changed. The last of two at once wins: a hint, which the next look corrects."""
    grew_at = after.last_grew_at
    if grew_at is None or (len(after.names) <= ASKED and _grown(before) == _grown(after)):
        return  # only the times of the looks differ, which matter where not all were asked
    metadata = {"names": after.digest, "grew_at": grew_at.isoformat()}
    state.write(sending_name(after.scene), json.dumps(after.to_json(), indent=1).encode(), metadata=metadata)


def _grown(memory: Memory) -> dict[str, tuple[int, datetime, bool]]:
    return {name: (seen.size_bytes, seen.grew_at, seen.blocks) for name, seen in memory.names.items()}


def active(found: Iterable[InProgress], now: datetime, stalled_s: float) -> tuple[InProgress, ...]:
    """Those that keep their scene waiting."""
    return tuple(item for item in found if item.stalls_in_s(now, stalled_s) > 0)


def whole(
    uploads: BlobStore, state: BlobStore, scene: str, blobs: tuple[BlobInfo, ...], stalled_s: float
) -> tuple[BlobInfo, ...]:
    """A scene's uploads without those in progress: what a run takes. Costs a call; two where something is suspected."""
    if not blobs or not stalled_s:
        return blobs
    suspected, memory = suspects(blobs, {}), load(state, scene)
    if not suspected and not memory.names:
        return blobs
    now = uploads.now()
    _, found = observe(uploads, memory, blobs, (), suspected, now)
    held = {item.name for item in active(found, now, stalled_s)}
    return tuple(blob for blob in blobs if blob.name not in held)
