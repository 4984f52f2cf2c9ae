"""What must be true of the stores when everything has come to rest, told from the blobs alone."""

from __future__ import annotations

import hashlib
import json

from scenejobs.state.layout import ERROR_DOCUMENT, MANIFEST, RUN_LOG, run_folder
from scenejobs.state.record import Outcome, Phase, SceneRecord
from tests.runner_world import Cloud


def assert_at_rest(cloud: Cloud) -> None:
    """Nothing lost, nothing twice, every result whole, every failure explained, nothing left to do."""
    assert cloud.names("input") == [], "an upload was left behind"
    assert not any(queue.messages for queue in cloud.queues.values()), "a message was left behind"
    for name in cloud.names("state", "scenes/"):
        record = SceneRecord.from_json(cloud.json("state", name))
        assert record.phase is Phase.IDLE
        assert record.attempts == 0
        assert cloud.stores["state"].blobs[name].lease_id is None, "a lease was left behind"
        if record.ending is not None and record.ending.outcome is Outcome.SUCCEEDED:
            assert_result_is_whole(cloud, record)
    for upload in cloud.uploads:
        places = [(kind, name) for kind in ("processed", "error") for name in _copies(cloud, kind, upload.etag)]
        if upload.etag in cloud.superseded:
            assert len(places) <= 1
            continue
        assert len(places) == 1, f"{upload.name} ({upload.etag}) lies in {places}"
        kind, name = places[0]
        assert cloud.stores[kind].read(name)[0] == upload.data, f"{name} has other bytes than were uploaded"
        if kind == "error":
            assert f"{name.split('/')[0]}/{ERROR_DOCUMENT}" in cloud.names("error"), "a dead letter without a reason"


def assert_result_is_whole(cloud: Cloud, record: SceneRecord) -> None:
    """The run folder holds what the record committed, and what is published are copies of it."""
    output = cloud.stores["output"]
    assert MANIFEST in {file.name for file in record.outputs}
    for file in record.outputs:
        committed = output.read(run_folder(record.scene, record.run) + file.name)[0]
        assert (len(committed), hashlib.sha256(committed).hexdigest()) == (file.size_bytes, file.sha256)
        assert output.read(f"{record.scene}/{file.name}")[0] == committed, f"{file.name} is published from another run"
    for entry in json.loads(output.read(f"{record.scene}/{MANIFEST}")[0])["outputs"]:
        published = output.read(f"{record.scene}/{entry['name']}")[0]
        assert hashlib.sha256(published).hexdigest() == entry["sha256"]


def _copies(cloud: Cloud, kind: str, etag: str) -> list[str]:
    return [
        blob.name
        for blob in cloud.stores[kind].list()
        if blob.metadata.get("source_etag") == etag and not blob.name.endswith((ERROR_DOCUMENT, RUN_LOG))
    ]
