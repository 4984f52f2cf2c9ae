"""Uploads that were refused by name: listed and removed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from scenejobs.errors import Code, InputError, NotFound
from scenejobs.logs.setup import printable
from scenejobs.names import refusal
from scenejobs.ports import BlobInfo, Containers
from scenejobs.state import layout
from scenejobs.state.incoming.uploads import Refused, sort_uploads


@dataclass(frozen=True)
class RefusedUpload:
    """A refused upload that lies in the input container now."""

    blob: BlobInfo
    reason: str

    def line(self) -> str:
        return f"refused: {shown(self.blob.name)} ({self.blob.size_bytes} bytes): {self.reason}"


def shown(name: str) -> str:
    """One line that says exactly which name it is: backslashes are doubled, what does not show is escaped."""
    return printable(name.replace("\\", "\\\\"))


def refused_uploads(containers: Containers, depth: int) -> list[RefusedUpload]:
    """In the order of names. The listing is the truth; blobs in `state/refused/` may outlive their uploads."""
    blobs = {blob.name: blob for blob in containers.input.list()}
    found: tuple[Refused, ...] = sort_uploads(blobs.values(), depth).refused
    return [RefusedUpload(blobs[item.name], item.reason) for item in found]


def remove(containers: Containers, depth: int, text: str, *, apply: bool) -> RefusedUpload:
    """Removes the refused upload that is shown as `text`, in the version that was listed. Raises InputError."""
    found = [item for item in refused_uploads(containers, depth) if text in (shown(item.blob.name), item.blob.name)]
    if len(found) != 1:
        raise InputError(
            f"{len(found)} refused uploads are called {text}", code=Code.NO_SCENE,
            advice="copy the name from `scenejobs refused`; other uploads are not removed here",
        )  # fmt: skip
    if apply:
        name, etag = found[0].blob.name, found[0].blob.etag
        if refusal(name):
            containers.input.delete_refused(name, if_match=etag)
        else:  # what is wrong is something else than the name: a copy that failed
            containers.input.delete(name, if_match=etag)
        with suppress(NotFound):  # no sweep has seen it yet
            containers.state.delete(layout.refused_name(name))
    return found[0]
