"""The id of an attempt in batch mode whose user chose it (`BATCH_JOB_ID`).

The first attempt bears it exactly as given. Attempts at the same uploads that follow it (a retry, a container that was
started again) bear `<id>~2`, `<id>~3`: two attempts never share an id, for one may still be writing. An id under which
the scene was brought to an end is refused: two results, logs and reports could not be told apart.
"""

from __future__ import annotations

import re

from scenejobs.errors import Code, ConfigurationError
from scenejobs.names import refusal, scene_key
from scenejobs.ports import BlobStore, Containers
from scenejobs.state import generations
from scenejobs.state.layout import GENERATIONS, run_folder
from scenejobs.state.record import Phase, SceneRecord

MOST_CHARS = 128  # it is a part of the names of blobs
FURTHER = "~"  # before the number of a further attempt; no id holds it


def check(job_id: str) -> None:
    """Raises ConfigurationError for what cannot be part of a name."""
    reason = refusal(job_id) or next((f"it holds a {char}" for char in ("/", FURTHER) if char in job_id), "")
    if len(job_id) > MOST_CHARS:
        reason = f"it has {len(job_id)} characters, more than {MOST_CHARS}"
    if reason:
        raise ConfigurationError(
            f"BATCH_JOB_ID={job_id[:MOST_CHARS]!r} cannot be part of a name: {reason}",
            code=Code.INVALID_SETTING, advice="use letters, digits and hyphens", stage="configuration",
        )  # fmt: skip


def of_attempt(job_id: str, record: SceneRecord | None, containers: Containers) -> str:
    """The id of the attempt that is about to begin. `record`: of the scene, under its lease.

    Raises ConfigurationError where a run of this id has ended, StorageError.
    """
    if record is None:
        return job_id
    if record.phase in (Phase.COMMITTED, Phase.FAILING):  # no attempt begins: what is decided is brought to its end
        return record.run
    number = _number(job_id, record.run)
    if number and (record.attempts or record.preemptions or record.failures or record.phase is Phase.RUNNING):
        return f"{job_id}{FURTHER}{number + 1}"
    if ended := _ended(job_id, record, containers):
        raise ConfigurationError(
            f"BATCH_JOB_ID={job_id}: scene {record.scene} has a run of this id already ({ended})",
            code=Code.INVALID_SETTING, advice="choose another id, or leave it out", stage="configuration",
        )  # fmt: skip
    return job_id


def _number(job_id: str, run: str) -> int:
    """1 for the id itself, n for `<id>~n`, 0 for another run."""
    found = re.fullmatch(rf"{re.escape(job_id)}(?:{FURTHER}(\d{{1,6}}))?", run)
    return int(found[1] or 1) if found else 0


def _ended(job_id: str, record: SceneRecord, containers: Containers) -> str:
    """How the run of that id ended; "" where there was none."""
    if _any(containers.output, run_folder(record.scene, job_id)):
        return "its result is in the output container"
    for info in containers.state.list(f"{GENERATIONS}{scene_key(record.scene)}/"):
        found = generations.read(containers.state, info.name)
        if _number(job_id, found.run):
            return str(found.outcome)
    return ""


def _any(store: BlobStore, prefix: str) -> bool:
    return next(iter(store.list(prefix)), None) is not None
