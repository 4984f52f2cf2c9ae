"""Permission to send files: one link for each blob, to make and write it for some hours, and nothing else.

The bytes go from the sender straight to the storage service. A name is given that is not there yet: neither as an
upload, sent or being sent, nor as a part of the scene, which a file of the same name would replace. So an upload by the
API never takes the place of another one; `scenejobs upload` can. A sidecar keeps the name of its film.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import PurePosixPath

import msgspec

from function_app.web import documents
from function_app.web.http import JSON, Refused, Request, Response
from function_app.web.site import SKEW, Site
from scenejobs.errors import InputError
from scenejobs.names import is_media, is_sidecar, scene_of, without_kind
from scenejobs.ports import BlobStore
from scenejobs.state import records
from scenejobs.state.copies import find
from scenejobs.state.incoming.accepted import check_depth, check_file

LASTS = timedelta(hours=4)
BLOCK_BYTES = 8 * 2**20
MOST_BLOCKS = 50_000  # of one blob


def tickets(site: Site, request: Request, _: Mapping[str, str]) -> Response:
    """POST /api/uploads."""
    wanted = _read(request)
    scene, depth = wanted.scene, site.dispatch.prefix_depth
    try:
        check_depth(scene, depth)
        sent = _sent(site.containers.input, scene)
        taken = sent | _parts_of(site.containers.state, scene)
        named: dict[int, str] = {}
        stems: dict[tuple[str, str], str] = {}  # what the films of this request are called
        for number, file in sorted(enumerate(wanted.files), key=lambda each: is_sidecar(each[1].name)):
            name = file.name
            if is_sidecar(name) and (stem := stems.get(without_kind(name))):
                name = f"{stem}{PurePosixPath(name).suffix}"
            blob = _same(site, scene, file.blob) if file.blob else _free(scene, name, sent, taken, depth)
            taken.add(blob)
            sent.add(blob)
            named[number] = blob
            stems.setdefault(without_kind(file.name), PurePosixPath(blob).stem)
        blobs = [named[number] for number in range(len(wanted.files))]
    except InputError as exc:
        raise Refused(HTTPStatus.BAD_REQUEST, exc.cause, code=str(exc.code), advice=exc.advice) from exc
    now = site.clock()
    made = (_ticket(site, file, blob, now) for file, blob in zip(wanted.files, blobs, strict=True))
    return Response.of(documents.Tickets(scene=scene, files=tuple(made)))


def _read(request: Request) -> documents.NewUploads:
    """Raises Refused for a body that is not one."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != JSON:
        raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"send it as {JSON}")
    try:
        return msgspec.json.decode(request.body, type=documents.NewUploads)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise Refused(HTTPStatus.BAD_REQUEST, f"the body is not what is taken here: {exc}") from exc


def _sent(store: BlobStore, scene: str) -> set[str]:
    """Uploads of the scene that are there, or of which something is."""
    listing = store.list_all(f"{scene}/")
    return {*(info.name for info in listing.blobs), *listing.sending}


def _parts_of(state: BlobStore, scene: str) -> set[str]:
    """Names of what the scene consists of already."""
    stored = records.load(state, scene)
    record = stored.record if stored else None
    if record is None:
        return set()
    return {member.name for member in record.contents or ()} | {blob.name for blob in record.manifest}


def _same(site: Site, scene: str, blob: str) -> str:
    """An upload that goes on. Raises InputError, and Refused where it has ended."""
    check_file(blob, site.dispatch.prefix_depth)
    if scene_of(blob, site.dispatch.prefix_depth) != scene:
        raise InputError(f"{blob} is no upload of scene {scene}", advice="send the blob that was answered for it")
    if find(site.containers.input, blob) is not None:
        raise _is_there(blob)
    return blob


def _free(scene: str, name: str, sent: Collection[str], taken: Collection[str], depth: int) -> str:
    """The blob of a new upload: `a.mp4`, or where that is taken `a-2.mp4`. Raises InputError, Refused."""
    file = PurePosixPath(name.replace("\\", "/").rpartition("/")[2])
    blob = f"{scene}/{file}"
    check_file(blob, depth)
    # camera poses and settings are known by their names, and newer ones replace older
    if not (is_media(blob) or is_sidecar(blob)):
        if blob in sent:
            raise _is_there(blob)
        return blob
    others = (f"{scene}/{file.stem}-{number}{file.suffix}" for number in itertools.count(2))
    blob = next(found for found in itertools.chain([blob], others) if found not in taken)
    check_file(blob, depth)
    return blob


def _is_there(blob: str) -> Refused:
    return Refused(HTTPStatus.CONFLICT, f"{blob} is there already", advice="nothing has to be sent")


def _ticket(site: Site, file: documents.NewFile, blob: str, now: datetime) -> documents.Ticket:
    return documents.Ticket(
        name=file.name,
        blob=blob,
        url=site.links.write(blob, now - SKEW, now + LASTS),
        until=now + LASTS,
        block_bytes=max(BLOCK_BYTES, -(-file.size_bytes // MOST_BLOCKS)),
    )
