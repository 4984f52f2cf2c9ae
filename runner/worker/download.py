"""Downloads the files of an attempt: exactly these versions, new uploads and archived ones, under names of ours."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from runner.files.disk import require_space
from runner.media.settings import Limits
from runner.scene.frames import Clip, RefusedClip
from runner.worker.usable_uploads import usable_files
from scenejobs.errors import (
    REMEDIES,
    Code,
    Conflict,
    InputError,
    NotFound,
    StorageError,
    UnusedFile,
    UploadsChanged,
    WrongChecksum,
)
from scenejobs.names import is_media, is_scene_file, within_scene
from scenejobs.ports import BlobInfo, BlobStore, Containers
from scenejobs.state.blobs import InputBlob
from scenejobs.state.contents import container
from scenejobs.state.copies import find
from scenejobs.state.record import SceneRecord


@dataclass(frozen=True)
class Downloaded:
    """The files of an attempt on the disk."""

    clips: tuple[Clip, ...]  # each content once
    manifest: tuple[InputBlob, ...]  # of the record, with the hashes of what was read
    repeated: Mapping[str, str]  # media that hold the same bytes as another: its name, and the name of the one used
    refused: tuple[RefusedClip, ...] = ()  # that cannot be used, while others can
    settings: Path | None = None  # the scene's scene.yaml


def download(
    record: SceneRecord, containers: Containers, archive: Mapping[str, BlobInfo], folder: Path, limits: Limits,
    min_free_gb: float, check: Callable[[], None],
) -> Downloaded:  # fmt: skip
    """The usable files of the record's manifest, and what it carries, as `<folder>/inputs/0001.mp4`, ...

    archive: where the carried files lie, by their places. `check` is called before each file.
    Raises InputError NO_VIDEO or TOO_LARGE before the first download, ResourceError where the disk cannot hold them
    and `min_free_gb` beside, UploadsChanged for a version that was replaced or deleted, StorageError; InputError
    WRONG_CHECKSUM where nothing is left of the new videos and photos.
    """
    found = usable_files(record.scene, record.inputs, limits, set(record.manifest))
    usable, refused = found.files, found.too_large
    _require_some(refused, usable, set(record.manifest))
    require_space(folder, input_bytes=sum(blob.size_bytes for blob in usable), reserve_gb=min_free_gb)
    carried = {member.blob: member for member in record.carried}
    new, sizes = set(record.manifest), Counter(blob.size_bytes for blob in usable)
    inputs = folder / "inputs"
    inputs.mkdir()
    clips: dict[int, Clip] = {}  # by their place in the order of names
    settings: Path | None = None
    hashes: dict[InputBlob, str] = {}
    first: dict[str, str] = {}  # SHA-256 of media -> the name of the one that is used
    repeated: dict[str, str] = {}
    # of the same bytes, the one is used that the scene has had for longest
    oldest = {blob: member.generation for blob, member in carried.items()}
    for number, blob in sorted(enumerate(usable, start=1), key=lambda each: oldest.get(each[1], record.generation)):
        check()
        path = inputs / f"{number:04d}{PurePosixPath(blob.name).suffix.lower()}"
        name = within_scene(blob.name, record.scene)
        try:
            if blob in new:
                info = _fetch(containers.input, blob.name, blob.etag, path, blob)
            else:
                kind, _, place = carried[blob].place.partition("/")
                info = _fetch(container(containers, kind), place, archive[carried[blob].place].etag, path, blob)
        except WrongChecksum as exc:
            refused.append((blob, _wrong(name, exc)))
            continue
        sha256 = blob.sha256 or (_sha256(path) if blob in new or sizes[blob.size_bytes] > 1 else "")
        hashes[blob] = sha256
        if sha256 and is_media(blob.name) and first.setdefault(sha256, name) != name:
            repeated[name] = first[sha256]
            path.unlink()
        elif is_scene_file(blob.name, record.scene):
            settings = path
        else:
            clips[number] = Clip(name, path, encoding=info.content_encoding)
    _require_some(refused, [blob for number, blob in enumerate(usable, start=1) if number in clips], new)
    manifest = tuple(replace(blob, sha256=hashes.get(blob, "")) for blob in record.manifest)
    left_out = tuple(RefusedClip(within_scene(blob.name, record.scene), exc.failure()) for blob, exc in refused)
    return Downloaded(tuple(clips[number] for number in sorted(clips)), manifest, repeated, left_out, settings)


def _wrong(name: str, error: WrongChecksum) -> InputError:
    """It is not tried again: what is stored stays as it is. The transport has checksums of its own."""
    return InputError(
        f"{name} does not hold the bytes that its Content-MD5 promises: {error.cause}",
        code=Code.WRONG_CHECKSUM, advice=REMEDIES[Code.WRONG_CHECKSUM], stage="validation", files=(name,),
    )  # fmt: skip


def _require_some(
    refused: Sequence[tuple[InputBlob, InputError]], taken: Sequence[InputBlob], new: Container[InputBlob]
) -> None:
    """Raises InputError where no new video or photo is left; of a scene without new ones, none at all."""
    media = [blob for blob, _ in refused if is_media(blob.name)]
    if not media:
        return
    asked_for = [blob for blob in (*media, *taken) if blob in new] or [*media, *taken]
    if any(blob in asked_for and is_media(blob.name) for blob in taken):
        return
    cause = "; ".join(error.cause for _, error in refused)
    first, files = refused[0][1], tuple(name for _, error in refused for name in error.files)
    error = InputError(cause, code=first.code, advice=first.advice, stage=first.stage, files=files)
    error.unused = tuple(UnusedFile(name, each.cause) for _, each in refused for name in each.files)
    raise error


def _fetch(store: BlobStore, name: str, etag: str, path: Path, blob: InputBlob) -> BlobInfo:
    try:
        return store.download(name, path, if_match=etag)
    except (Conflict, NotFound) as exc:
        found = find(store, name)
        if found is not None and found.etag == etag:  # the service refuses it for another reason, and will again
            raise StorageError(f"{blob.name} is there, and cannot be read: {exc.cause}") from exc
        raise UploadsChanged(f"{blob.name} was replaced or deleted before it was read") from exc


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
