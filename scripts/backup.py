"""Keeps all that a deployment knows outside of its storage account, and puts it back, into that account or another.

    python -m scripts.backup save FOLDER
    python -m scripts.backup restore FOLDER [--missing]

The account, its containers and the way to sign in come from the environment, as for every program. `save` reads the
five containers with what their blobs carry (metadata, type, encoding, MD5); a second one into the same folder reads
what is new. It ends when nothing changed while it looked, because a record and what it tells of belong together: best
while `scenejobs status` shows no scene in work. `restore` writes into empty containers; with --missing what
is not there. Messages are not kept: the sweep sends again what the records say. docs/backup.md tells the rest.
Exit codes: 0, 2 settings, sign-in, rights, or containers that are not empty, 3 storage, a damaged copy, or scenes in
work.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from azure.storage.blob import ContainerClient, ContentSettings

from scenejobs.adapters.azure.blobs import AzureBlobStore
from scenejobs.adapters.azure.clients import blob_service
from scenejobs.adapters.azure.credentials import access
from scenejobs.adapters.azure.errors import storage_errors
from scenejobs.adapters.azure.retry import NORMAL
from scenejobs.errors import Code, ConfigurationError, SceneJobError, StorageError
from scenejobs.names import refusal
from scenejobs.settings.reader import read_all
from scenejobs.settings.storage import StorageSettings
from scenejobs.state.copies import SOURCE_ETAG

# In the order of restoring: a record comes after what it points at, an upload after the records that know it.
ROLES = ("processed", "error", "output", "state", "input")
PASSES = 5
INDEX = "index.json"


@dataclass(frozen=True)
class Kept:
    """One blob in the folder. Its file has a number for a name: the blob's may be no name of a file."""

    role: str
    name: str
    etag: str
    size_bytes: int
    metadata: Mapping[str, str]
    content_type: str
    content_encoding: str
    content_md5: str  # hex; "": the storage had none
    file: str = ""
    sha256: str = ""

    @property
    def version(self) -> tuple[str, str, str]:
        return self.role, self.name, self.etag


def containers(env: Mapping[str, str]) -> dict[str, ContainerClient]:
    """By role. Raises ConfigurationError."""
    (settings,) = read_all((StorageSettings,), env)
    service = blob_service(access(settings), NORMAL)
    return {role: service.get_container_client(getattr(settings, role)) for role in ROLES}


def look(opened: Mapping[str, ContainerClient]) -> list[Kept]:
    """Every blob that can be kept, without its bytes."""
    return [blob for role, client in opened.items() for blob in _of(role, client)]


def _of(role: str, client: ContainerClient) -> Iterator[Kept]:
    with storage_errors(f"listing {client.container_name}"):
        for blob in client.list_blobs(include=["metadata"]):
            carried = dict(blob.metadata or {})
            if carried.get("hdi_isfolder") == "true" or refusal(str(blob.name)):
                continue  # a directory; a name that no program here uses (`scenejobs refused` tells of them)
            content = blob.content_settings
            yield Kept(
                role, str(blob.name), str(blob.etag).strip('"'), int(blob.size), carried,
                content.content_type or "", content.content_encoding or "",
                bytes(content.content_md5 or b"").hex(),
            )  # fmt: skip


def save(opened: Mapping[str, ContainerClient], folder: Path) -> list[Kept]:
    """Raises StorageError when scenes were worked on all the time, or a blob vanished; what was kept before stays."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    had = {each.version: each for each in index(folder)} if (folder / INDEX).exists() else {}
    now = look(opened)
    for _ in range(PASSES):
        for blob in now:
            if blob.version not in had:
                fetched = _fetch(opened[blob.role], blob, folder)
                if fetched:
                    had[blob.version] = fetched
        before, now = now, look(opened)
        if now == before:
            kept = [had[blob.version] for blob in now]
            _write_index(folder, kept)
            files = {each.file for each in kept}
            for role in ROLES:
                for path in (folder / role).glob("*"):
                    if f"{role}/{path.name}" not in files:
                        path.unlink()
            return kept
    versions, earlier = ({blob.version for blob in seen} for seen in (now, before))
    changed = sorted({name.partition("/")[0] for _, name, _ in versions ^ earlier})
    raise StorageError(
        f"changed while they were read, {PASSES} times: {', '.join(changed[:5])}",
        advice="save when `scenejobs status` shows no scene in work, or with MAX_PARALLEL_JOBS=0",
    )


def _fetch(client: ContainerClient, blob: Kept, folder: Path) -> Kept | None:
    """None for one that is another version by now: the next look tells."""
    (folder / blob.role).mkdir(exist_ok=True)
    file = f"{blob.role}/{hashlib.sha256(repr(blob.version).encode()).hexdigest()[:32]}"
    path = folder / file
    path.unlink(missing_ok=True)
    try:
        AzureBlobStore(client).download(blob.name, path, if_match=blob.etag)
    except SceneJobError as exc:
        if exc.code == Code.ACCESS_DENIED:
            raise
        path.unlink(missing_ok=True)
        return None
    return Kept(**{**asdict(blob), "file": file, "sha256": _sha256(path)})


def restore(opened: Mapping[str, ContainerClient], folder: Path, *, missing: bool) -> tuple[int, int]:
    """How many blobs were written and how many were there. Raises ConfigurationError where containers are not empty."""
    kept = index(folder)
    there = {(blob.role, blob.name) for blob in look(opened)}
    if there and not missing:
        names = ", ".join(sorted({opened[role].container_name for role, _ in there}))
        raise ConfigurationError(
            f"these containers are not empty: {names}", code=Code.INVALID_SETTING,
            advice="restore into empty ones, or give --missing to write what is not there and nothing else",
        )  # fmt: skip
    for blob in kept:
        path = folder / blob.file
        if not path.is_file() or _sha256(path) != blob.sha256:
            raise StorageError(f"the copy of {blob.role}/{blob.name} is damaged: {path}", advice="take an older backup")
    written = 0
    now: dict[str, str] = {}  # ETags of this account by those of the one that was saved
    # what was copied from another blob comes after that one
    for blob in sorted(kept, key=lambda each: (ROLES.index(each.role), SOURCE_ETAG in each.metadata)):
        if (blob.role, blob.name) in there:
            continue
        source = blob.metadata.get(SOURCE_ETAG, "")
        metadata = {**blob.metadata, **({SOURCE_ETAG: now[source]} if source in now else {})}
        content = ContentSettings(
            content_type=blob.content_type or None, content_encoding=blob.content_encoding or None,
            content_md5=bytearray.fromhex(blob.content_md5) or None,
        )  # fmt: skip
        with storage_errors(f"writing {blob.role}/{blob.name}"), (folder / blob.file).open("rb") as file:
            done = opened[blob.role].upload_blob(
                blob.name, file, length=blob.size_bytes, metadata=metadata, content_settings=content, overwrite=False
            )
        now[blob.etag] = str(done.get_blob_properties().etag).strip('"')
        written += 1
    return written, len(kept) - written


def index(folder: Path) -> list[Kept]:
    """Raises StorageError for a folder that is no finished backup."""
    try:
        return [Kept(**each) for each in json.loads((folder / INDEX).read_text())]
    except (OSError, ValueError, TypeError) as exc:
        raise StorageError(f"{folder} holds no finished backup: {exc}") from exc


def _write_index(folder: Path, kept: Sequence[Kept]) -> None:
    new = folder / f"{INDEX}.new"
    new.write_text(json.dumps([asdict(each) for each in kept], indent=0))
    new.replace(folder / INDEX)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def main(arguments: Sequence[str] | None = None, env: Mapping[str, str] = os.environ) -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("save", "restore"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--missing", action="store_true", help="restore what is not there, beside what is")
    options = parser.parse_args(arguments)
    try:
        opened = containers(env)
        if options.what == "save":
            kept = save(opened, options.folder)
            size = sum(each.size_bytes for each in kept)
            print(f"{len(kept)} blobs, {size / 1e6:.1f} MB, are in {options.folder}")
        else:
            written, there = restore(opened, options.folder, missing=options.missing)
            print(f"{written} blobs written, {there} were there; now: scenejobs audit --deep, then video-splat sweep")
    except SceneJobError as exc:
        print(exc, file=sys.stderr)
        return exc.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
