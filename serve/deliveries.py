"""Messages of the dispatcher's queues, delivered as the Functions host delivers them (host.json has the same numbers).

A message is hidden while its handler works. After a failure it comes back a minute later. After the last try it is
given up: nothing is lost by that, for a look at the containers finds what it was about.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

from function_app.given_up import shown
from scenejobs.errors import SceneJobError, StorageError
from scenejobs.ports import JobQueue

TRIES = 8
RETRY_S = 60.0
HIDDEN_S = 300.0  # a handler needs seconds; where this process dies in it, another takes the message then
AT_A_LOOK = 256  # of one queue: the look at the containers has its turn as well

log = logging.getLogger(__name__)

Handle = Callable[[bytes, int], str | None]
"""Gets a body and how often it was delivered; returns what belongs into the poison queue."""


@dataclass(frozen=True)
class Deliveries:
    """The messages of one queue. what: for the log. poison: gets what nobody can read. give_up: gets a last try."""

    what: str
    queue: JobQueue
    poison: JobQueue
    handle: Handle
    give_up: Callable[[bytes], None] | None = None

    def take(self, goes_on: Callable[[], bool]) -> int:
        """Delivers what is visible now; returns how many. Raises what the first handler that failed raised."""
        taken, failed = 0, list[SceneJobError]()
        while taken < AT_A_LOOK and goes_on() and (message := self.queue.receive(HIDDEN_S)) is not None:
            taken += 1
            body = message.text.encode()
            try:
                if message.dequeue_count > TRIES:
                    self._give_up(body)
                elif (refused := self.handle(body, message.dequeue_count)) is not None:
                    self.poison.send(refused)  # first: twice there is better than lost
                    log.error("%s cannot be read and goes to the poison queue: %s", self.what, refused[:200])
            except SceneJobError as exc:
                failed.append(exc)
                self.queue.release(message, delay_s=RETRY_S)
                if isinstance(exc, StorageError):
                    break  # the next would fail as well
                continue
            self.queue.complete(message)
        if failed:
            raise failed[0]
        return taken

    def _give_up(self, body: bytes) -> None:
        if self.give_up is not None:
            self.give_up(body)
        else:
            log.error("%s was given up; a look at the containers will find its scene: %s", self.what, shown(body))
