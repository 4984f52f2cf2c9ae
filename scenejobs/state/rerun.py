"""`retry`, as command line and HTTP API mean it: a failed scene gets its inputs back, a finished one is made anew."""

from __future__ import annotations

from scenejobs.errors import Code, InputError
from scenejobs.ports import Containers, Queues
from scenejobs.state import redrive, wishes
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
) -> Plan:
    """What `carry_out` would do. failed_alone: a scene that has nothing to bring back is not made anew.

    generation: another one than the last that ended. replacing: newer uploads of the same names are overwritten.
    Raises InputError when there is nothing to run or somebody works on the scene, StorageError.
    """
    try:
        return redrive.plan(containers, scene, generation=generation, replacing=replacing)
    except InputError as exc:
        if failed_alone or not _has_nothing_to_bring_back(exc):
            raise
    return wishes.plan_again(containers, scene, with_what_is_there=with_what_is_there)


def carry_out(
    containers: Containers, queues: Queues, plan: Plan, *, with_what_is_there: bool = False
) -> redrive.Redrive | None:
    """Does it. What was brought back; None: the scene is made anew from its archive.

    Raises InputError when somebody works on the scene, StorageError.
    """
    if isinstance(plan, wishes.AgainPlan):
        wishes.again(containers, queues, plan.scene, with_what_is_there=with_what_is_there)
        return None
    wish = Wish("retry", containers.state.now(), with_what_is_there=True) if with_what_is_there else None
    return redrive.carry_out(containers, queues, plan, wish=wish)


def _has_nothing_to_bring_back(error: InputError) -> bool:
    return isinstance(error, redrive.NothingToBringBack) or error.code is Code.INPUT_GONE
