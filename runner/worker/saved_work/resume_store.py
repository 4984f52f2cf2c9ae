"""The resume store: what an attempt has achieved, in the state container, from where another machine resumes it.

    work/<scene>/<digest>/<sha256>      a part: one file of the workspace, named by its content
    work/<scene>/<digest>/saved.json    the pointer: which part is which file; written last, by compare-and-swap

<digest> stands for the uploads, the settings and the program: what is foreign is never even read. A part is used
only when size and hash are right, a file name only when it is one of ours. All of it is best effort: whatever is wrong
with it, the attempt starts without it. Each stage then checks its own fingerprint before it uses a file.

Not saved: frames (the same videos give the same ones, faster than a gigabyte travels) and COLMAP's database.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec.structs import replace

from runner.files.disk import free_bytes
from runner.scene.stages import RESUME_FILES
from scenejobs.errors import NotFound, StorageError
from scenejobs.names import refusal
from scenejobs.ports import BlobStore
from scenejobs.settings.pipeline import PipelineSettings
from scenejobs.state import codec
from scenejobs.state.blobs import InputBlob, digest
from scenejobs.state.layout import resume_folder

POINTER = "saved.json"
FORMAT = 1
FILES = frozenset(file for files in RESUME_FILES.values() for file in files)
MAX_POINTER_BYTES = 64 << 10  # ours has some kB
MAX_PART_BYTES = 8 << 30  # the state of 2 million Gaussians has 1.4 GB
CHUNK = 1 << 20
BUDGETS = ("train_budget_s", "scene_budget_s", "scene_budget_usd")  # settings that change how much is done, not what

log = logging.getLogger(__name__)


class Part(msgspec.Struct, frozen=True):
    """One file of the workspace."""

    file: str  # a member of FILES
    size_bytes: Annotated[int, msgspec.Meta(ge=0, le=MAX_PART_BYTES)]
    sha256: Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{64}\Z")]  # also the name of its blob


class ResumePoint(msgspec.Struct, frozen=True):
    """The pointer: the files an attempt can be resumed from. A change is a copy."""

    digest: str  # of uploads, settings and program
    run: str  # the attempt that saved it
    saved_at: str  # ISO 8601, UTC
    parts: tuple[Part, ...]

    def part(self, file: str) -> Part | None:
        return next((part for part in self.parts if part.file == file), None)

    def with_parts(self, parts: Iterable[Part], run: str, now: datetime) -> ResumePoint:
        """With these parts in place of the ones of the same files."""
        by_file = {part.file: part for part in (*self.parts, *parts)}
        return replace(self, run=run, saved_at=now.isoformat(), parts=tuple(by_file[name] for name in sorted(by_file)))

    def stages(self) -> list[str]:
        """Those whose files are all there, in their order, up to the first that is not."""
        complete = []
        for stage, files in RESUME_FILES.items():
            if any(self.part(file) is None for file in files):
                break
            complete.append(stage)
        return complete

    def to_json(self) -> bytes:
        return json.dumps({"format": FORMAT, **codec.to_json(self)}, indent=1).encode()

    @staticmethod
    def from_json(data: bytes, expected_digest: str) -> ResumePoint:
        """Raises ValueError for what is torn, foreign or hostile."""
        value = codec.loads(data)
        if not isinstance(value, dict) or value.get("format") != FORMAT or value.get("digest") != expected_digest:
            raise ValueError("it is of another kind or belongs to other work")
        saved = msgspec.convert(value, ResumePoint)
        files = [part.file for part in saved.parts]
        for file in files:
            if file not in FILES:
                raise ValueError(f"it names a file that is none of ours: {file[:80]!r}")
        if len(set(files)) != len(files):
            raise ValueError("it names a file twice")
        return saved


def run_of(pointer: bytes) -> str:
    """The attempt that wrote this pointer; "" when that is unknown."""
    try:
        return str(codec.loads(pointer)["run"])
    except (ValueError, KeyError, TypeError):
        return ""


@dataclass(frozen=True)
class ResumeLocation:
    """Where the resume point of one scene lies, for one set of uploads, settings and program."""

    store: BlobStore  # the state container
    scene: str
    digest: str

    @property
    def pointer(self) -> str:
        return resume_folder(self.scene, self.digest) + POINTER

    def blob(self, part: Part) -> str:
        return resume_folder(self.scene, self.digest) + part.sha256


def resume_location(
    store: BlobStore, scene: str, manifest: Iterable[InputBlob], settings: PipelineSettings, program: str
) -> ResumeLocation:
    """What the files of the result are, and how long training may take, changes nothing of what is saved."""
    used = {**asdict(settings), "export_formats": "all"} | dict.fromkeys(BUDGETS, 0.0)
    text = json.dumps([digest(manifest), used, program, FORMAT], sort_keys=True)
    return ResumeLocation(store, scene, hashlib.sha256(text.encode()).hexdigest()[:32])


@dataclass(frozen=True)
class Restored:
    """What was restored: nothing (`etag` is None), or a pointer with the parts that were right."""

    saved: ResumePoint
    etag: str | None = None


def restore(location: ResumeLocation, workspace: Path, scratch: Path, check: Callable[[], None]) -> Restored:
    """Puts the saved files into the fresh workspace, each stage complete or not at all, and removes what is foreign.

    `scratch`: a folder on the same disk that the job does not see. `check` raises when the work is to end.
    """
    nothing = ResumePoint(location.digest, "", "", ())
    try:
        names = [blob.name for blob in location.store.list(resume_folder(location.scene))]
        if location.pointer not in names:
            _remove(location.store, names, check)
            return Restored(nothing)
        try:
            saved, etag = _read_pointer(location)
        except ValueError as exc:
            log.warning("saved work of scene %s is not used: %s", location.scene, exc)
            _remove(location.store, names, check)
            return Restored(nothing)
        wanted = {location.pointer, *(location.blob(part) for part in saved.parts)}
        _remove(location.store, [name for name in names if name not in wanted], check)
    except StorageError as exc:
        log.warning("saved work of scene %s cannot be looked for: %s", location.scene, exc)
        return Restored(nothing)
    stages = []
    for stage in saved.stages():
        try:
            _fetch_stage(location, saved, stage, workspace, scratch, check)
        except (StorageError, ValueError) as exc:
            log.warning("saved work of scene %s is not used from %s on: %s", location.scene, stage, exc)
            break
        stages.append(stage)
    if stages:
        log.info("scene %s goes on from what run %s saved at %s: %s",
                 location.scene, saved.run, saved.saved_at, ", ".join(stages))  # fmt: skip
    usable = {file for stage in stages for file in RESUME_FILES[stage]}
    kept = replace(saved, parts=tuple(part for part in saved.parts if part.file in usable))
    return Restored(kept, etag)


def forget(store: BlobStore, scene: str, check: Callable[[], None]) -> None:
    """Removes all that is saved for the scene. The sweep removes the rest when this fails."""
    try:
        _remove(store, [blob.name for blob in store.list(resume_folder(scene))], check)
    except StorageError as exc:
        log.warning("saved work of scene %s cannot be removed: %s", scene, exc)


def _read_pointer(location: ResumeLocation) -> tuple[ResumePoint, str]:
    """Raises ValueError, StorageError."""
    size_bytes = location.store.head(location.pointer).size_bytes
    if size_bytes > MAX_POINTER_BYTES:
        raise ValueError(f"its pointer has {size_bytes:,} bytes")
    data, etag = location.store.read(location.pointer, limit_bytes=MAX_POINTER_BYTES)
    try:
        return ResumePoint.from_json(data, location.digest), etag
    except RecursionError as exc:
        raise ValueError("its pointer is nested too deeply") from exc


def _fetch_stage(
    location: ResumeLocation, saved: ResumePoint, stage: str, workspace: Path, scratch: Path, check: Callable[[], None]
) -> None:
    """Downloads the files of one stage beside the workspace, and moves them in when all are right; the marker last."""
    parts = [part for part in saved.parts if part.file in RESUME_FILES[stage]]
    needed = sum(part.size_bytes for part in parts)
    if needed > free_bytes(scratch) // 2:
        raise ValueError(f"{needed / 1e6:.0f} MB do not fit on the disk")
    for part in parts:
        check()
        _fetch(location, part, scratch / plain_name(part.file))
    for part in sorted(parts, key=lambda part: part.file == RESUME_FILES[stage][0]):
        target = workspace / part.file
        target.parent.mkdir(parents=True, exist_ok=True)
        (scratch / plain_name(part.file)).rename(target)


def plain_name(file: str) -> str:
    """A member of FILES as a name without folders."""
    return file.replace("/", "-")


def _fetch(location: ResumeLocation, part: Part, path: Path) -> None:
    """Raises ValueError when the blob is not what the pointer says, StorageError."""
    path.unlink(missing_ok=True)
    info = location.store.head(location.blob(part))
    if info.size_bytes != part.size_bytes:
        raise ValueError(f"{part.file} has {info.size_bytes:,} bytes instead of {part.size_bytes:,}")
    location.store.download(info.name, path, if_match=info.etag)
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != part.sha256:
            raise ValueError(f"{part.file} has another hash")


def _remove(store: BlobStore, names: Iterable[str], check: Callable[[], None]) -> None:
    """The pointer first, so that no pointer names a part that is missing."""
    for name in sorted(names, key=lambda name: not name.endswith(f"/{POINTER}")):
        check()
        if refusal(name) is None:  # else nobody can delete it, and nothing of ours is called so
            with contextlib.suppress(NotFound):
                store.delete(name)
