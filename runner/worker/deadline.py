"""How long a job may take, and when an execution takes no further one. Pure decisions; nothing here looks at a clock.

The estimate of a job counts its frames, their pairs, its training budget and the bytes to decode. The deadline is a
multiple of it, so that a smoke run that hangs costs minutes and not what the longest preset may take.

The platform ends an execution at a fixed time without asking. So the runner stops by itself some time before: the
attempt is given back, what was reached is kept, and the next execution begins with all of its time.
"""

from __future__ import annotations

from scenejobs.errors import Code, ConfigurationError
from scenejobs.settings.groups import RunnerSettings

SELF_STOP_S = 120.0  # before the platform's limit: time to give back the attempt, and to keep what was reached
BEGIN_S = 60.0  # from the start of an execution to its first attempt


def attempt_s(settings: RunnerSettings, planned: float) -> float:
    """The deadline of one attempt.

    It lies before the end of an execution that began with this attempt: a scene that cannot be done in any execution
    fails with a reason, instead of being given back and begun again for ever.
    """
    deadline = settings.job_timeout_s
    if settings.deadline_factor:
        deadline = min(deadline, settings.deadline_factor * planned)
    if settings.replica_timeout_s:
        deadline = min(deadline, settings.replica_timeout_s - SELF_STOP_S - BEGIN_S)
    return deadline


def budget_most_s(limit_s: float, planned: float) -> float:
    """What a budget for poses or training is extended to at most: what the deadline leaves beside the plan.

    limit_s: the deadline. planned: seconds that the attempt needs when all goes well.
    """
    return max(0.0, limit_s - planned)


def takes_another(taken: int, left_s: float | None, planned: float) -> bool:
    """Whether an execution that has taken `taken` messages takes one more. `left_s`: of its time; None: no end."""
    return taken == 0 or left_s is None or left_s >= planned


def check(settings: RunnerSettings) -> None:
    """Raises ConfigurationError when the platform's limit leaves no time for work."""
    limit = settings.replica_timeout_s
    if 0 < limit <= 2 * (SELF_STOP_S + BEGIN_S):
        raise ConfigurationError(
            f"REPLICA_TIMEOUT_SECS={limit:g} leaves no time: the runner stops {SELF_STOP_S:.0f} s earlier",
            code=Code.INVALID_SETTING,
            advice="set it to the replicaTimeout of the job, in seconds",
        )
