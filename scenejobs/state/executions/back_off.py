"""How long to wait for what only somebody else can mend: a minute at first, a day in the end.

So a scene that cannot go on costs eight executions on its first day and one on each further day.
"""

from __future__ import annotations

DAY_S = 86400.0
FIRST_S = 60.0
FACTOR = 3.0  # 1, 3, 9, 27, 81 min, 4 h, 12 h, a day
BUSY_MOST_S = 4 * 3600.0  # a service that is busy all day costs twelve executions
FREE_TRIES = 10  # are begun at once where the runner before died: it may have been its machine, and much was done


def after(tries: int, first_s: float = FIRST_S) -> float:
    """Seconds until the next try, after so many in vain."""
    return float(min(DAY_S, first_s * FACTOR ** min(max(0, tries - 1), 40)))
