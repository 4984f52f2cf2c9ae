"""What was kept by rights goes on when these are mended, and not when its next try would be due, hours later."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import replace

from scenejobs.errors import Code, Conflict, LeaseLost
from scenejobs.ports import Containers, Queues
from scenejobs.state import records
from scenejobs.state.incoming import undeleted
from scenejobs.state.layout import record_name, undeleted_folder
from scenejobs.state.messages import JobMessage
from scenejobs.state.overview.status import SceneStatus, State
from scenejobs.state.record import Phase
from watch.rights import Rights

LEASE_S = 15

log = logging.getLogger(__name__)


class Mended:
    """Tries once for each time that something was tried in vain."""

    def __init__(self, containers: Containers, queues: Queues, rights: Rights) -> None:
        self._containers, self._queues, self._rights = containers, queues, rights
        self._tried: set[tuple[str, int]] = set()

    def go_on(self, scenes: tuple[SceneStatus, ...]) -> None:
        """After a look: of scenes that nothing is denied of any more. Raises StorageError."""
        for each in scenes:
            if self._rights.denies(each.scene):
                continue
            if each.undeleted:
                self._delete(each.scene)
            if each.state is State.BLOCKED:
                self._send(each.scene)

    def _delete(self, scene: str) -> None:
        state, uploads = self._containers.state, self._containers.input
        notes = []
        for info in state.list(undeleted_folder(scene)):
            found = undeleted.read(state, info.name)
            if found and found.why.code == Code.ACCESS_DENIED and self._is_new(info.name, found.tries):
                notes.append(info)
        if notes:
            undeleted.alert_still(undeleted.clear_away(state, uploads, notes, state.now(), due_now=True))

    def _send(self, scene: str) -> None:
        state = self._containers.state
        stored = records.load(state, scene)
        if stored is None or stored.record.phase not in (Phase.COMMITTED, Phase.FAILING):
            return
        record = stored.record
        if record.blocked is None or record.blocked.code != Code.ACCESS_DENIED or record.not_before is None:
            return
        if not self._is_new(scene, record.tries):
            return
        with suppress(Conflict, LeaseLost):  # somebody works on it, or just did
            lease = state.lease(record_name(scene), LEASE_S)
            try:
                records.save(state, stored, replace(record, not_before=None), lease)
            finally:
                lease.release()
            self._queues.jobs.send(JobMessage(scene, record.batch, state.now()).to_json())
            log.info("scene %s: nothing is denied of it any more; it goes on", scene, extra={"scene": scene})

    def _is_new(self, name: str, tries: int) -> bool:
        if (name, tries) in self._tried:
            return False
        self._tried.add((name, tries))
        return True
