"""Results of stages, cached by the content of their inputs: another preset or one more clip does not repeat the work.

    <folder>/<kind>-<key>[-<content>]    one entry: a few files in a zip file, with its name and the SHA-256 of each

A key stands for everything the stage reads: the bytes of its inputs, the settings that it depends on, and the program
(our code and the versions of the libraries). So an entry never becomes wrong, it is only no longer asked for. What is
torn, renamed or written by somebody else does not have the right hash or form: it is removed and the work is done.
With one exception the cache changes how long a result takes, never which one it is: poses that a run with another
preset found serve where they are as good (`runner/poses/reuse/reusable_poses.py`), and the report says so.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import re
import stat
import time
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from runner.cache.provenance import program_digest
from runner.files.atomic import replacing
from runner.files.disk import free_bytes
from runner.files.plain_zip import READ_ERRORS, require_plain
from scenejobs.errors import ResourceError

KINDS = ("survey", "chosen", "features", "poses")
NAME = re.compile(rf"(?:{'|'.join(KINDS)})-[0-9a-f]{{32}}(?:-[0-9a-f]{{32}})?")
CHUNK = 1 << 20
META = ".entry"  # member with what the entry says of itself
MAX_META_BYTES = 1 << 16
FORMAT = 1
DIRECTORY_END = b"PK\x05\x06"  # begins the last 22 bytes of a zip file
SPARE_BYTES = 1 << 30  # of the disk; an entry that would leave less is not written

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class CacheSettings:
    """Where the entries are, and how many there may be."""

    folder: Path
    max_bytes: int
    max_age_s: float = 30 * 86400.0  # since an entry was written or used


def key(*made_from: object) -> str:
    """Of all that decides the outcome, JSON values; the program is added here."""
    text = json.dumps([program_digest(), *made_from], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def content_hash(path: Path) -> str:
    """SHA-256 of every byte, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class StageCache:
    """The entries in one folder. Whatever is wrong with it costs time and nothing else: no method raises for that."""

    def __init__(self, settings: CacheSettings, run: str = "unnamed") -> None:
        """run: who fills it now, for the reports of later runs: the preset."""
        self._settings, self.run = settings, run
        self._folder = settings.folder
        self._contents: dict[tuple[Any, ...], str] = {}
        self.used: Counter[str] = Counter()  # what was reused, for the reports: "poses", "features of frames", ...

    def content(self, path: Path) -> str:
        """SHA-256 of an input, which is read once. Raises OSError when it cannot be."""
        info = path.stat()
        version = path, info.st_ino, info.st_size, info.st_mtime_ns
        if version not in self._contents:
            self._contents[version] = content_hash(path)
        return self._contents[version]

    def get(self, name: str, files: Sequence[str], target: Path) -> bool:
        """Writes the files of an entry below `target`, all or none. `files`: their names, in the order of `put`."""
        entry = self._folder / name
        parts = [target / f".{Path(file).name}.cached" for file in files]
        try:
            handle = os.open(entry, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            target.mkdir(parents=True, exist_ok=True)
            with os.fdopen(handle, "rb") as source:
                _unpack(source, name, files, parts)
            for file, part in zip(files, parts, strict=True):
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                part.replace(target / file)
            os.utime(entry)
        except READ_ERRORS as exc:
            log.warning("the cached %s is not used: %s", name, exc)
            self.remove(name)
            return False
        finally:
            for part in parts:
                part.unlink(missing_ok=True)
        return True

    def put(self, name: str, files: Mapping[str, Path | bytes]) -> None:
        """Keeps the files under the name, and removes what is too old or too much."""
        size_bytes = sum(map(_size_bytes, files.values()))
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            free = free_bytes(self._folder)
            if size_bytes > self._settings.max_bytes or free < size_bytes + SPARE_BYTES:
                log.info("%s is not cached: it has %.0f MB, %.0f MB are allowed and %.0f MB are free", name,
                         size_bytes / 1e6, self._settings.max_bytes / 1e6, free / 1e6)  # fmt: skip
                return
            with replacing(self._folder / name) as out:
                _pack(out, name, files)
        except (OSError, ResourceError) as exc:
            log.warning("%s is not cached: %s", name, exc)
            return
        self.prune()

    def names(self, prefix: str) -> list[str]:
        """Of the entries whose names begin so, the one used last first."""
        found = [(modified_s, name) for name, _, modified_s in self._entries() if name.startswith(prefix)]
        return [name for _, name in sorted(found, reverse=True)]

    def remove(self, name: str) -> None:
        with contextlib.suppress(OSError):
            (self._folder / name).unlink()

    def prune(self) -> None:
        """Evicts entries that were not used for too long, then the least recently used ones beyond the size."""
        left_bytes, oldest_s = self._settings.max_bytes, time.time() - self._settings.max_age_s
        for name, size_bytes, modified_s in sorted(self._entries(), key=lambda entry: entry[2], reverse=True):
            left_bytes -= size_bytes
            if left_bytes < 0 or modified_s < oldest_s:
                self.remove(name)

    def _entries(self) -> list[tuple[str, int, float]]:
        return entries(self._folder)


def entries(folder: Path) -> list[tuple[str, int, float]]:
    """(name, bytes, time of the last use) of what is called like an entry and is a plain file."""
    found = []
    with contextlib.suppress(OSError), os.scandir(folder) as listed:
        for item in listed:
            if NAME.fullmatch(item.name):
                info = item.stat(follow_symlinks=False)
                if stat.S_ISREG(info.st_mode):
                    found.append((item.name, info.st_size, info.st_mtime))
    return found


def _pack(out: BinaryIO, name: str, files: Mapping[str, Path | bytes]) -> None:
    """The files as members of a zip file, uncompressed, and last of all the name and the SHA-256 of each."""
    digests = []
    with zipfile.ZipFile(out, "w") as archive:
        for file, each in files.items():
            member, digest = zipfile.ZipInfo(file), hashlib.sha256()
            member.file_size = _size_bytes(each)  # decides whether it needs the format for large files
            with archive.open(member, "w") as target:
                for block in _blocks(each):
                    digest.update(block)
                    target.write(block)
            digests.append(digest.hexdigest())
        archive.writestr(zipfile.ZipInfo(META), json.dumps({"format": FORMAT, "name": name, "sha256": digests}))


def _size_bytes(source: Path | bytes) -> int:
    return len(source) if isinstance(source, bytes) else source.stat().st_size


def _blocks(source: Path | bytes) -> Iterator[bytes]:
    if isinstance(source, bytes):
        yield source
        return
    with source.open("rb") as file:
        while block := file.read(CHUNK):
            yield block


def _unpack(source: BinaryIO, name: str, files: Sequence[str], parts: Sequence[Path]) -> None:
    """Writes each file to its part. Raises one of READ_ERRORS when it is not whole or not what the name says."""
    file_bytes = os.fstat(source.fileno()).st_size
    with zipfile.ZipFile(source) as archive:
        require_plain(archive, file_bytes)
        members = archive.infolist()
        if [member.filename for member in members] != [*files, META] or members[-1].file_size > MAX_META_BYTES:
            raise ValueError("it holds other files")
        if members[0].header_offset != 0 or not _ends_with_directory(source):
            raise ValueError("there is something before or after it")
        match json.loads(archive.read(META)):
            case {"format": int(version), "name": str(found), "sha256": list(digests)} if (
                version,
                found,
                len(digests),
            ) == (FORMAT, name, len(files)):
                pass
            case _:
                raise ValueError("it is of another kind")
        for member, part, expected in zip(members, parts, digests, strict=False):
            digest = hashlib.sha256()
            with archive.open(member) as content, part.open("wb") as target:
                while block := content.read(CHUNK):
                    digest.update(block)
                    target.write(block)
            if digest.hexdigest() != expected:
                raise ValueError(f"the hash of {member.filename} is another one")


def _ends_with_directory(source: BinaryIO) -> bool:
    """Whether nothing follows the end of the directory, which is all that zip files without a comment end with."""
    source.seek(-len(DIRECTORY_END) - 18, os.SEEK_END)
    return source.read(len(DIRECTORY_END)) == DIRECTORY_END
