"""What the API works with: opened by wiring.py, or twins in a test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from time import monotonic

from function_app.web.limits import Buckets
from scenejobs.parallel import AT_ONCE
from scenejobs.ports import Containers, Links, Queues
from scenejobs.settings.groups import DispatchSettings
from scenejobs.settings.web import WebSettings
from scenejobs.state.overview.seen import Kept

WINDOW = timedelta(minutes=10)
SKEW = timedelta(minutes=5)  # between this clock and the service's


def system_clock() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True)
class Site:
    """env: the platform's variables. at_once: requests of one answer at the same time."""

    containers: Containers
    queues: Queues
    links: Links
    settings: WebSettings
    dispatch: DispatchSettings
    env: Mapping[str, str] = field(default_factory=dict)
    kept: Kept = field(default_factory=Kept)
    buckets: Buckets = field(default_factory=Buckets)
    clock: Callable[[], datetime] = system_clock
    monotonic_s: Callable[[], float] = monotonic
    at_once: int = AT_ONCE

    def minutes(self) -> tuple[datetime, datetime]:
        """From when until when a link to a result works: 10 to 20 minutes.

        The same within ten minutes, so that an answer with links in it is the same, and a browser keeps the picture.
        """
        now = self.clock()
        begin = now - (now - datetime.min.replace(tzinfo=UTC)) % WINDOW
        return begin - SKEW, begin + 2 * WINDOW
