"""The function app's triggers in one process and one thread, so that its requests have an order.

    python -m tests.chaos.dispatching upload NAME...   the blob trigger, once per name
    python -m tests.chaos.dispatching quiet            the queue trigger, until no message is visible
    python -m tests.chaos.dispatching sweep            the timer

What is called are the functions that the real host would call, found the way the real host finds them.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from azure.core.exceptions import ResourceExistsError
from azure.functions.queue import QueueMessage
from azure.functions.timer import TimerRequest

from functions_entry import app
from scenejobs.adapters.azure.clients import open_queues, queue_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.queues import AzureJobQueue
from scenejobs.adapters.azure.retry import NORMAL
from scenejobs.settings.reader import read
from scenejobs.settings.storage import StorageSettings

TRIES = 5  # host.json leaves the host's default: then the message goes to the poison queue
RETRY_S = 1.0

log = logging.getLogger("tests.chaos.dispatching")


def trigger(name: str) -> Callable[..., None]:
    found = {function.get_function_name(): function.get_user_function() for function in app.get_functions()}
    handler: Callable[..., None] = found[name]
    return handler


class Poison:
    """The output binding of `on_quiet`."""

    def __init__(self) -> None:
        self.text: str | None = None

    def set(self, text: str) -> None:
        self.text = text


def deliver_all(lock_s: float) -> None:
    """As the host does it: a failed try makes the message visible again, the last one copies it to the poison queue."""
    settings = read(StorageSettings, os.environ)
    queue, handle = open_queues(settings).debounce, trigger("on_quiet")
    context = SimpleNamespace(trace_context=SimpleNamespace(trace_parent=""))
    while (message := queue.receive(lock_s)) is not None:
        poison = Poison()
        body = QueueMessage(id=message.id, body=message.text, dequeue_count=message.dequeue_count)
        try:
            handle(message=body, poison=poison, context=context)
        except Exception:  # whatever a function raises is a failed try, here as in the real host
            log.exception("try %d", message.dequeue_count)
            if message.dequeue_count < TRIES:
                queue.release(message, delay_s=RETRY_S)
                continue
            poison.set(message.text)
        if poison.text is not None:
            _poison_queue(settings).send(poison.text)
        queue.complete(message)


def _poison_queue(settings: StorageSettings) -> AzureJobQueue:
    client = queue_service(access(settings), NORMAL).get_queue_client(f"{settings.debounce_queue}-poison")
    try:
        client.create_queue()
    except ResourceExistsError:
        log.debug("the poison queue exists already")
    return AzureJobQueue(client)


def main(arguments: list[str]) -> int:
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(name)s %(message)s")
    logging.getLogger("azure").setLevel(logging.WARNING)
    match arguments:
        case ["upload", *names]:
            upload: Any = trigger("on_upload")
            for name in names:
                upload(upload=SimpleNamespace(blob_name=name))
        case ["quiet"]:
            deliver_all(float(os.environ.get("CHAOS_LOCK_SECONDS") or 600))
        case ["sweep"]:
            trigger("sweep")(timer=TimerRequest(past_due=False))
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
