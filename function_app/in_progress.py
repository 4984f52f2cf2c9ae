"""What an upload in progress changes about the decision over a scene. Its memory: scenejobs/state/incoming/sending.py.

It costs nothing where nothing is being sent, but for one read before a scene is sealed: another check may have seen an
upload grow.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from function_app import debounce
from function_app.debounce import Decision, Nothing, Settled
from scenejobs.errors import UnreadableRecord
from scenejobs.names import is_companion, is_scene_file, is_unfinished
from scenejobs.ports import BlobInfo, BlobStore
from scenejobs.settings.groups import DispatchSettings
from scenejobs.state import contents, records
from scenejobs.state.incoming import sending
from scenejobs.state.incoming.sending import InProgress, Memories, Memory
from scenejobs.state.incoming.uploads import Sending
from scenejobs.state.messages import MAX_SIZES, DebounceCheck

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Judged:
    """A decision, and what it was made with."""

    decision: Decision
    sending: tuple[InProgress, ...] = ()  # that have not stalled
    stalled: tuple[InProgress, ...] = ()

    def whole(self, blobs: tuple[BlobInfo, ...]) -> tuple[BlobInfo, ...]:
        """The uploads that a batch may hold."""
        parts = {item.name for item in self.sending}
        return tuple(blob for blob in blobs if blob.name not in parts)


@dataclass(frozen=True)
class Judge:
    """Decides over scenes with uploads in progress."""

    uploads: BlobStore
    state: BlobStore
    settings: DispatchSettings

    def judge(
        self,
        check: DebounceCheck,
        waiting: Sequence[BlobInfo],
        sent: Sequence[Sending],
        now: datetime,
        *,
        memories: Memories | None = None,
    ) -> Judged:
        """memories: where many scenes are judged; None reads what is remembered of this one."""
        starts = self._starts(check.scene, waiting)
        first = debounce.decide(check, waiting, now, self.settings, starts=starts)
        if not self.settings.upload_stalled_s or isinstance(first, Nothing):
            return Judged(first)
        suspected = sending.suspects(waiting, check.sizes)
        if not sent and not suspected and not isinstance(first, Settled):
            return Judged(first)
        memory = memories.load(check.scene) if memories else sending.load(self.state, check.scene)
        if not sent and not suspected and not memory.names:
            return Judged(debounce.decide(check, waiting, now, self.settings, grew_at=memory.grew_at, starts=starts))
        known, suspected = _without_whole(check, waiting, memory, suspected, now, self.settings.quiet_s)
        after, found = sending.observe(self.uploads, known, waiting, sent, suspected, now)
        sending.save(self.state, memory, after)
        going_on = sending.active(found, now, self.settings.upload_stalled_s)
        stalled = tuple(item for item in found if item not in going_on)
        for item in stalled:
            log.info("scene %s: %s has not grown since %s and is not waited for", check.scene, item.name, item.grew_at)
        decision = debounce.decide(check, waiting, now, self.settings, going_on, after.grew_at, starts)
        return Judged(decision, going_on, stalled)

    def _starts(self, scene: str, waiting: Sequence[BlobInfo]) -> Callable[[str], bool]:
        """Which names are enough for a job. The record is read only where new settings came alone."""
        names = [blob.name for blob in waiting]
        if all(map(is_companion, names)) and any(is_scene_file(name, scene) for name in names):
            with suppress(UnreadableRecord):  # whoever sends tells
                stored = records.load(self.state, scene)
                record = contents.of_history(self.state, stored.record) if stored else None
                if contents.asks_for_a_run(record, scene, names):
                    return lambda name: debounce.is_enough(name) or is_scene_file(name, scene)
        return debounce.is_enough

    def watch(self, scene: str, sent: Sequence[Sending], now: datetime, memories: Memories) -> bool:
        """Looks at what is being sent into a scene that nothing else asks about, so that it is known when it stalls.

        False where that is known: there was nothing to see.
        """
        stalled_s = self.settings.upload_stalled_s
        if not stalled_s or memories.has_stalled(scene, (item.name for item in sent), now, stalled_s):
            return False
        memory = memories.load(scene)
        after, _ = sending.observe(self.uploads, memory, (), sent, (), now)
        sending.save(self.state, memory, after)
        return True


def seen_sizes(waiting: Sequence[BlobInfo]) -> dict[str, int]:
    """Of the youngest uploads, for the next look."""
    youngest = sorted(waiting, key=lambda blob: blob.modified, reverse=True)[:MAX_SIZES]
    return {sending.mark(blob.name): blob.size_bytes for blob in youngest}


def _without_whole(
    check: DebounceCheck,
    waiting: Sequence[BlobInfo],
    memory: Memory,
    suspected: frozenset[str],
    now: datetime,
    quiet_s: float,
) -> tuple[Memory, frozenset[str]]:
    """Without the check's own upload, where its event said that it is over and the blob has not changed since.

    That is known at the first look alone, which comes a quiet time after the event.
    """
    own = next((blob for blob in waiting if blob.name == check.blob), None)
    if own is None or not check.ended or check.sizes or not own.size_bytes or is_unfinished(own.name):
        return memory, suspected
    if (now - own.modified).total_seconds() < quiet_s:
        return memory, suspected
    names = {name: seen for name, seen in memory.names.items() if name != own.name}
    return replace(memory, names=names), suspected - {own.name}
