"""The settings of host.json that this host applies, with the defaults of the real one.

The blob extension has queue settings of its own that host.json does not reach: a failed event is tried again at once,
and its queue is looked at every minute when it is idle.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from scenejobs.errors import ConfigurationError

BLOB_RETRY_S = 0.0
BLOB_MAX_POLLING_S = 60.0


@dataclass(frozen=True)
class HostOptions:
    """Limits of one instance of the host."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility: timedelta = timedelta(0)  # between a failure and the next try, of queue triggers
    max_polling: timedelta = timedelta(minutes=1)  # between two looks at an empty queue, of queue triggers
    blob_parallel: int = 8
    blob_tries: int = 5
    function_timeout: timedelta = timedelta(minutes=30)

    @staticmethod
    def read(path: Path) -> HostOptions:
        """Raises ConfigurationError for an encoding of messages that this project does not write."""
        body = json.loads(path.read_text())
        extensions = body.get("extensions", {})
        queues, blobs = extensions.get("queues", {}), extensions.get("blobs", {})
        if queues.get("messageEncoding", "base64") != "none":
            raise ConfigurationError("host.json: messages are plain text here", advice='set messageEncoding to "none"')
        batch_size = int(queues.get("batchSize", 16))
        return HostOptions(
            batch_size=batch_size,
            new_batch_threshold=int(queues.get("newBatchThreshold", batch_size // 2)),
            max_dequeue_count=int(queues.get("maxDequeueCount", 5)),
            visibility=_span(queues.get("visibilityTimeout", "00:00:00")),
            max_polling=_span(queues.get("maxPollingInterval", "00:01:00")),
            blob_parallel=int(blobs.get("maxDegreeOfParallelism", 8)),
            blob_tries=int(blobs.get("poisonBlobThreshold", 5)),
            function_timeout=_span(body.get("functionTimeout", "00:30:00")),
        )


def _span(text: Any) -> timedelta:
    hours, minutes, seconds = map(float, str(text).split(":"))
    return timedelta(hours=hours, minutes=minutes, seconds=seconds)
