"""What the Functions host calls. A trigger parses, calls and returns.

Names in percent signs are app settings, filled in by the host. `SceneStorage` is the connection of the storage account
with the uploads and queues: `SceneStorage__blobServiceUri` and its companions in Azure (an identity, no key), a
connection string of that name with the emulator (local.settings.json.example).

How uploads are reported: by the blob trigger (`by_webhook`), or where UPLOADS_QUEUE names a queue, by the messages of
Event Grid in it (`by_queue`), which need no endpoint of ours that answers, and wait while the app is stopped.
"""

from __future__ import annotations

import logging
import os
from datetime import UTC, datetime

import azure.functions as func
from azurefunctions.extensions.bindings import blob

from function_app import given_up, wiring
from function_app.web import trigger
from scenejobs.settings.reader import read
from scenejobs.settings.web import WebSettings

log = logging.getLogger(__name__)

CONNECTION = "SceneStorage"
DEBOUNCE_QUEUE = "%DEBOUNCE_QUEUE%"
UPLOADS_QUEUE = "%UPLOADS_QUEUE%"

blueprint = func.Blueprint()  # type: ignore[no-untyped-call]
by_webhook = func.Blueprint()  # type: ignore[no-untyped-call]
by_queue = func.Blueprint()  # type: ignore[no-untyped-call]


def chosen() -> tuple[func.Blueprint, ...]:
    """The functions of the app in this environment. Raises ConfigurationError for a setting of the API that is none."""
    found = (blueprint, by_queue if os.environ.get("UPLOADS_QUEUE") else by_webhook)
    settings = read(WebSettings, os.environ)
    return (*found, trigger.blueprint(settings)) if settings.on else found


def blob_source() -> func.BlobSource:
    """Event Grid, the only source Flex Consumption knows; the emulator raises no events and is polled."""
    return func.BlobSource(os.environ.get("BLOB_TRIGGER_SOURCE") or func.BlobSource.EVENT_GRID.value)


# A BlobClient carries a name; InputStream would pull gigabytes of video through the host.
@by_webhook.function_name("on_upload")
@by_webhook.blob_trigger(
    arg_name="upload", path="%AZURE_BLOB_CONTAINER_INPUT%/{name}", connection=CONNECTION, source=blob_source()
)
def on_upload(upload: blob.BlobClient) -> None:
    """Handles the event of an upload."""
    wiring.app().on_upload(upload.blob_name, datetime.now(UTC))


@by_queue.function_name("on_event")
@by_queue.queue_trigger(arg_name="message", queue_name=UPLOADS_QUEUE, connection=CONNECTION)
@by_queue.queue_output(arg_name="poison", queue_name=f"{UPLOADS_QUEUE}-poison", connection=CONNECTION)
def on_event(message: func.QueueMessage, poison: func.Out[str]) -> None:
    """Event Grid put an upload's event into a queue. An unreadable message goes to the poison queue at once."""
    refused = wiring.app().on_event(message.get_body(), datetime.now(UTC))
    if refused is not None:
        poison.set(refused)


@blueprint.function_name("on_quiet")
@blueprint.queue_trigger(arg_name="message", queue_name=DEBOUNCE_QUEUE, connection=CONNECTION)
@blueprint.queue_output(arg_name="poison", queue_name=f"{DEBOUNCE_QUEUE}-poison", connection=CONNECTION)
def on_quiet(message: func.QueueMessage, poison: func.Out[str], context: func.Context) -> None:
    """The quiet time after an upload has passed. An unreadable message goes to the poison queue at once."""
    refused = wiring.app().on_quiet(
        message.get_body(), message.dequeue_count or 1, context.trace_context.trace_parent or ""
    )
    if refused is not None:
        poison.set(refused)


@blueprint.function_name("sweep")
@blueprint.timer_trigger(arg_name="timer", schedule="%SWEEP_SCHEDULE%", run_on_startup=False)
def sweep(timer: func.TimerRequest) -> None:
    """Heals lost events, messages and executions."""
    if timer.past_due:
        log.warning("the sweep is late")
    wiring.app().sweeper.sweep()


@by_webhook.function_name("on_upload_poison")
@by_webhook.queue_trigger(arg_name="message", queue_name="webjobs-blobtrigger-poison", connection=CONNECTION)
def on_upload_poison(message: func.QueueMessage) -> None:
    """The host gave up on an upload's event, which names the upload: nothing waits for the sweep."""
    wiring.app().on_upload_given_up(message.get_body(), datetime.now(UTC))


@by_queue.function_name("on_event_poison")
@by_queue.queue_trigger(arg_name="message", queue_name=f"{UPLOADS_QUEUE}-poison", connection=CONNECTION)
def on_event_poison(message: func.QueueMessage) -> None:
    """An event was given up, or was none. Where it names an upload, nothing waits for the sweep."""
    wiring.app().on_event_given_up(message.get_body(), datetime.now(UTC))


@blueprint.function_name("on_quiet_poison")
@blueprint.queue_trigger(arg_name="message", queue_name=f"{DEBOUNCE_QUEUE}-poison", connection=CONNECTION)
def on_quiet_poison(message: func.QueueMessage) -> None:
    """A check was given up. Nothing is lost: the sweep lists."""
    log.error(
        "a quiet-time check was given up; the sweep will look at its scene: %s", given_up.shown(message.get_body())
    )
