"""Chooses and refuses uploads of a scene by name, number and size: by everything that is known before a download."""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from runner.media.settings import Kind, Limits, kinds
from runner.media.too_many import too_many
from runner.scene.inputs.pose_files import is_read
from runner.scene.inputs.sidecars import MOST_BYTES
from scenejobs.errors import Code, InputError, UnusedFile
from scenejobs.names import (
    SCENE_FILE,
    is_media,
    is_pose_file,
    is_ready_marker,
    is_scene_file,
    is_sidecar,
    within_scene,
)
from scenejobs.state.blobs import InputBlob

# what cameras, phones and their programs write beside their recordings
SIDECARS = frozenset(
    {".aae", ".xmp", ".thm", ".lrf", ".lrv", ".gpx", ".json", ".xml", ".txt", ".csv", ".log", ".bdm", ".mpl",
     ".cpi", ".modd", ".moff", ".dat", ".ini", ".db", ".ctg", ".sav", ".wav", ".aac", ".m4a", ".mp3", ".nfo", ".pdf"}
)  # fmt: skip
TAKEN = "mp4, mov, mkv, mts or another video, or a set of jpg, heic, png, webp or other photos"


@dataclass(frozen=True)
class Usable:
    """Uploads by what can be known of them before a download."""

    files: list[InputBlob]  # videos, photos, files of camera poses, the scene's settings
    too_large: list[tuple[InputBlob, InputError]]  # alone or together, and why


def usable_files(scene: str, manifest: Sequence[InputBlob], limits: Limits, new: Container[InputBlob] = ()) -> Usable:
    """The videos and photos among the uploads, and the files of camera poses. One that is too large costs itself, and
    of too many some are left out, of those that are not `new` first.

    Raises InputError NO_VIDEO.
    """
    media = [blob for blob in manifest if is_media(blob.name)]
    if not media:
        raise InputError(
            f"scene {scene} holds no video and no photo, only {', '.join(blob.name for blob in manifest[:5])}",
            code=Code.NO_VIDEO, advice=f"upload at least one {TAKEN}", stage="validation",
        )  # fmt: skip
    videos, photos = kinds(limits)
    refused = {blob.name: _too_large(scene, kind, blob) for kind in (videos, photos) for blob in media
               if kind.is_one(blob.name) and blob.size_bytes > kind.most_bytes}  # fmt: skip
    names = {within_scene(blob.name, scene): blob for blob in media if blob.name not in refused}
    more = too_many(
        [name for name in names if videos.is_one(name)], [name for name in names if photos.is_one(name)],
        limits, new={name for name, blob in names.items() if blob in new},
    )  # fmt: skip
    refused |= {names[name].name: error for name, error in more.items()}
    return Usable(
        [blob for blob in media if blob.name not in refused]
        + [blob for blob in manifest if is_read(within_scene(blob.name, scene)) or is_scene_file(blob.name, scene)]
        + [blob for blob in manifest if is_sidecar(blob.name) and blob.size_bytes <= MOST_BYTES],
        [(blob, refused[blob.name]) for blob in media if blob.name in refused],
    )


def never_used(scene: str, uploads: Sequence[InputBlob]) -> tuple[UnusedFile, ...]:
    """The uploads that nothing is ever made of, by their names. Markers are no files of a scene."""
    others = [blob for blob in uploads if not (is_media(blob.name) or is_ready_marker(blob.name))]
    names = {within_scene(blob.name, scene): blob for blob in others}
    read = {name for name, blob in names.items() if is_sidecar(name) and blob.size_bytes <= MOST_BYTES}
    return tuple(
        UnusedFile(name, _why_never(name))
        for name in names
        if not (is_read(name) or name in read or name == SCENE_FILE)
    )


def _why_never(name: str) -> str:
    if is_pose_file(name):
        return "no camera poses are read from there"
    if is_sidecar(name):
        return f"it is larger than any list of places ({_in_units(MOST_BYTES)})"
    kind = PurePosixPath(name).suffix.lower()
    if kind in (".yaml", ".yml"):
        return f"settings are read from {SCENE_FILE} at the top of the scene"
    if kind in SIDECARS:
        return f"{kind} files belong to photos or videos and hold none"
    return f"{f'{kind} files are' if kind else 'a file without a suffix is'} not read: {TAKEN} are"


def _too_large(scene: str, kind: Kind, blob: InputBlob) -> InputError:
    name = within_scene(blob.name, scene)
    return InputError(
        f"{name} has {_in_units(blob.size_bytes)}; {_in_units(kind.most_bytes)} are allowed ({kind.bytes_setting})",
        advice=f"upload a shorter or smaller file, or raise {kind.bytes_setting}",
        code=Code.TOO_LARGE, stage="validation", files=(name,),
    )  # fmt: skip


def _in_units(size_bytes: int) -> str:
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if size_bytes >= unit:
            return f"{size_bytes / unit:.1f} {name}"
    return f"{size_bytes:,} bytes"
