"""`retry`, as command line and HTTP API mean it: what is cancelled goes on, what failed gets its inputs back, what is
finished is made anew.
"""

from __future__ import annotations

from scenejobs.errors import Code, InputError
from scenejobs.names import refusal
from scenejobs.ports import Containers, Queues
from scenejobs.state import cancelling, redrive, wishes
from scenejobs.state.incoming import undeleted
from scenejobs.state.incoming.uploads import list_scene
from scenejobs.state.record import Wish

Plan = redrive.Plan | wishes.AgainPlan


def plan(
    containers: Containers,
    scene: str,
    *,
    generation: int = 0,
    replacing: bool = False,
    with_what_is_there: bool = False,
    failed_alone: bool = False,
    depth: int = 1,
) -> Plan:
    """What `carry_out` would do. failed_alone: a scene that has nothing to bring back is not made anew.

    generation: another one than the last that ended. replacing: newer uploads of the same names are overwritten.
    depth: levels of folders that name a scene.
    Raises InputError when there is nothing to run or somebody works on the scene, StorageError.
    """
    if not generation and (waiting := _cancelled(containers, scene, depth)):
        return wishes.AgainPlan(scene, waiting, cancelled=True)
    try:
        return redrive.plan(containers, scene, generation=generation, replacing=replacing)
    except InputError as exc:
        if failed_alone or not _has_nothing_to_bring_back(exc):
            raise
    return wishes.plan_again(containers, scene, with_what_is_there=with_what_is_there)


def carry_out(
    containers: Containers, queues: Queues, plan: Plan, *, with_what_is_there: bool = False
) -> redrive.Redrive | None:
    """Does it. What was brought back; None: the scene is made anew from its archive, or goes on with its uploads.

    Raises InputError when somebody works on the scene, StorageError.
    """
    if isinstance(plan, wishes.AgainPlan):
        wishes.again(containers, queues, plan.scene, with_what_is_there=with_what_is_there)
        return None
    wish = Wish("retry", containers.state.now(), with_what_is_there=True) if with_what_is_there else None
    return redrive.carry_out(containers, queues, plan, wish=wish)


def _cancelled(containers: Containers, scene: str, depth: int) -> tuple[str, ...]:
    """The uploads that wait of a scene that is cancelled; none: it is not."""
    if refusal(scene):
        return ()  # who looks for what it has says why
    state = containers.state
    noted = cancelling.load(state, scene)
    if noted is None:
        return ()
    uploads = undeleted.without(state, scene, list_scene(containers.input, scene, depth))
    return tuple(blob.name for blob in uploads) if noted.note.covers(uploads) else ()


def _has_nothing_to_bring_back(error: InputError) -> bool:
    return isinstance(error, redrive.NothingToBringBack) or error.code is Code.INPUT_GONE
