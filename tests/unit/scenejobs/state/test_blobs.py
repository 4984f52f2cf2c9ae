"""The id of a set of uploads."""

from __future__ import annotations

from dataclasses import replace

from scenejobs.state.blobs import InputBlob, digest

BLOBS = (InputBlob("lobby/a.mp4", "0x1", 100), InputBlob("lobby/b.mp4", "0x2", 200))


def test_the_digest_is_that_of_the_set() -> None:
    assert digest(BLOBS) == digest(reversed(BLOBS))
    assert len(digest(BLOBS)) == 16
    changes = [replace(BLOBS[0], name="lobby/c.mp4"), replace(BLOBS[0], etag="0x9"), replace(BLOBS[0], size_bytes=101)]
    sets = [BLOBS, BLOBS[:1], BLOBS[1:], (), *[(changed, BLOBS[1]) for changed in changes]]
    assert len({digest(blobs) for blobs in sets}) == len(sets)
