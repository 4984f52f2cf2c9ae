"""Uploads that are no news are archived by the dispatcher itself: no execution is started for them.

Only what the listing tells is known here: a version that was archived before, or the Content-MD5 of a file of the
published result. What only a download would tell is left to the runner (runner/worker/attempt.py).
"""

from __future__ import annotations

import functools
import logging

from scenejobs.errors import AccessDenied, Conflict
from scenejobs.ports import BlobInfo, Containers
from scenejobs.state import contents, records
from scenejobs.state.incoming import duplicates
from scenejobs.state.incoming.uploads import snapshot
from scenejobs.state.layout import record_name
from scenejobs.state.record import Phase
from scenejobs.state.records import Stored

LEASE_S = 60
MOST = 100  # uploads: the rest of a longer list is a runner's, who has more time than a function

log = logging.getLogger(__name__)


def put_away(containers: Containers, stored: Stored, blobs: tuple[BlobInfo, ...], depth: int) -> bool:
    """Archives a scene's uploads where none of them is news. False when there is something to run, or it is not known.

    stored: the scene's record. depth: levels of folders that name a scene.
    Raises StorageError; what was archived until then stays so.
    """
    state, scene, uploads = containers.state, stored.record.scene, snapshot(blobs)
    if stored.record.phase is not Phase.IDLE or len(blobs) > MOST:
        return False
    record = contents.of_history(state, stored.record)
    archive = functools.partial(contents.archive_of, containers, record)
    new, known = contents.news(record, uploads, extend=True, archive=archive)
    if not known or contents.asks_for_a_run(record, scene, (blob.name for blob in new)):
        return False
    try:
        lease = state.lease(record_name(scene), LEASE_S)
    except Conflict:  # a runner looks at it at this moment, and sees the same
        return False
    try:
        if records.load(state, scene) != stored:
            return False
        remembering = contents.remembering(record, known)
        if remembering != record:  # first: from then on they are no news, whatever becomes of this function
            records.save(state, stored, remembering, lease)
        for blob, member in known.items():
            duplicates.put_away(containers, record, blob, member, depth, lease.renew)
    except AccessDenied as exc:  # the identity may only read: a runner does it
        log.warning("scene %s: uploads that are no news are left to a runner: %s", scene, exc)
        return False
    finally:
        lease.release()
    log.info("scene %s: %d uploads were archived without a run: they are part of its result", scene, len(known))
    return True
