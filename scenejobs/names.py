"""Which blob belongs to which scene, and which names are refused.

A scene is the blob's folder in the input container, cut to `depth` segments. Matching is by whole segments: scene
`lobby` never takes `lobby2/a.mp4`. A file at the root is a scene of its own, named by its stem.

Names are user input. The storage SDK resolves `..` on the client and stores backslashes as slashes, so a hostile name
can address a foreign blob. `refusal` is asked before any call with a name that came from outside, listings included;
`upload_refusal` before an upload is taken.
"""

from __future__ import annotations

import hashlib
import os
import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath, PurePosixPath
from urllib.parse import unquote

VIDEO_EXTENSIONS = frozenset({
    ".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".qt", ".3gp", ".3g2",
    ".mts", ".m2ts", ".m2t", ".ts", ".mpg", ".mpeg", ".m2v", ".vob", ".mod", ".tod",  # camcorders, DVD, TV
    ".insv", ".360", ".lrv", ".lrf",  # 360-degree cameras, whose raw recordings are refused by name; previews
    ".wmv", ".asf", ".flv", ".f4v", ".ogv", ".ogg", ".ogm", ".divx", ".dv", ".h264", ".h265", ".hevc",
})  # fmt: skip
RAW_EXTENSIONS = frozenset({  # of cameras: pictures that are developed first. Known so that they are refused by name
    ".dng", ".cr2", ".cr3", ".crw", ".nef", ".nrw", ".arw", ".srf", ".sr2", ".raf", ".rw2", ".rwl", ".orf", ".pef",
    ".srw", ".3fr", ".iiq", ".x3f", ".dcr", ".kdc", ".gpr",
})  # fmt: skip
PHOTO_EXTENSIONS = RAW_EXTENSIONS | {
    ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".heic", ".heif", ".hif", ".tif", ".tiff", ".webp", ".avif", ".insp",
}  # fmt: skip
POSE_FILES = frozenset({
    "transforms.json", "cameras.json", "project.ini", "points3D.ply",  # the last two: what COLMAP leaves beside
    *(f"{stem}.{kind}" for stem in ("cameras", "images", "points3D", "rigs", "frames") for kind in ("bin", "txt")),
})  # fmt: skip
POSE_FOLDERS = ("sparse/0", "sparse", "colmap/sparse/0", "")  # of a scene, in which they are looked for, in this order
PREVIEW_FOLDER = "preview"  # of a job's workspace: its first look, the file that tells of it last
PREVIEW_FILES = ("preview.spz", "poster.jpg", "viewer.html", "preview.json")
SIDECAR_EXTENSION = ".srt"  # of a drone: where it was while it filmed (runner/media/sidecars.py)
SCENE_FILE = "scene.yaml"  # settings of a scene, at its top (runner/pipeline/scene_settings/scene_file.py)
READY_MARKERS = frozenset({"_READY", ".complete"})  # a blob of this name in a scene ends the waiting at once

MAX_NAME_CHARS = 1024  # of Azure Blob Storage; Azurite takes more
MAX_SEGMENTS = 254
MAX_UPLOAD_CHARS = 800  # of an upload's name: the names of its copies and of its scene's results are longer
MAX_UPLOAD_SEGMENTS = 240
RESERVED = ".scenejobs"  # where folders stand for containers, the folder of that name holds what is no blob
MAX_STEM_BYTES = 120
# Suffixes that tools give to unfinished files: browsers, WinSCP, curl, Syncthing, rsync --partial-dir.
UNFINISHED = frozenset({".part", ".partial", ".crdownload", ".filepart", ".download", ".tmp"})
_RSYNC = re.compile(r"\.(?P<name>.+)\.[A-Za-z0-9]{6}")  # the name rsync writes to before it renames
_SIMPLE_KEY = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")


def refusal(name: str) -> str | None:
    """Why a blob name must not be used, or None when it may."""
    if not name:
        return "the name is empty"
    if len(name) > MAX_NAME_CHARS:
        return f"the name has {len(name)} characters, more than {MAX_NAME_CHARS}"
    if "\\" in name:
        return "the name holds a backslash"
    if any(unicodedata.category(char) in ("Cc", "Cs") or ord(char) & 0xFFFE == 0xFFFE for char in name):
        return "the name holds a control character"
    segments = name.split("/")
    if len(segments) > MAX_SEGMENTS:
        return f"the name has {len(segments)} segments, more than {MAX_SEGMENTS}"
    if "" in segments:
        return "the name holds an empty segment"
    if RESERVED in (stem.casefold() for stem in (segments[0], *_stems(segments[0]))):
        return f"the name {RESERVED} is reserved"
    if _holds_dots(name):
        return "the name holds a dot segment"
    if any(_holds_dots(stem) for stem in _stems(segments[0])):
        return "the name gives a scene that is a dot segment"
    return None


def upload_refusal(name: str) -> str | None:
    """The same for an upload: every name that is made from it must be usable as well."""
    reason = refusal(name)
    most_chars = MAX_UPLOAD_CHARS if "/" in name else MAX_UPLOAD_CHARS // 2  # at the root it names its scene as well
    if reason is None and len(name) > most_chars:
        return f"the name has {len(name)} characters; {most_chars} leave room for those made from it"
    if reason is None and name.count("/") >= MAX_UPLOAD_SEGMENTS:
        return f"the name has {name.count('/') + 1} segments; {MAX_UPLOAD_SEGMENTS} leave room for those made from it"
    return reason


def _stems(segment: str) -> Iterator[str]:
    """Without its last extension, without the last two, and so on.

    A file at the root gives a scene without its extension, and whoever looks for the files of that scene takes the
    scene for a file. So that a name that is taken gives a scene that is taken, none of them may be dots.
    """
    while (stem := PurePosixPath(segment).stem) != segment:
        yield stem
        segment = stem


def _holds_dots(name: str) -> bool:
    """The name as another program could read it: percent-decoded (twice, as proxies do), folded, nothing invisible.

    A segment of dots and spaces alone counts, however many: some systems drop what a name ends with.
    """
    plain = unicodedata.normalize("NFKC", unquote(unquote(name))).replace("\\", "/")
    segments = "".join(char for char in plain if unicodedata.category(char) != "Cf").split("/")
    return any("." in segment and not segment.replace(".", "").strip() for segment in segments)


def scene_of(name: str, depth: int = 1) -> str:
    """The scene of a blob whose name is not refused."""
    *folders, file = name.split("/")
    return "/".join(folders[:depth]) if folders else PurePosixPath(file).stem


def as_text(name: str) -> str:
    """A file's name on disk as text that every document can hold.

    Old cards and archives have names in other encodings than UTF-8, whose bytes Python keeps as lone surrogates: they
    become `\\xe9`.
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def is_video(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in VIDEO_EXTENSIONS


def is_photo(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in PHOTO_EXTENSIONS


def is_raw_photo(name: str) -> bool:
    """Whether it is named like a raw file of a camera, which is a photo that cannot be used."""
    return PurePosixPath(name).suffix.lower() in RAW_EXTENSIONS


def is_media(name: str) -> bool:
    """Whether the file is a video or a photo, by its name."""
    return is_video(name) or is_photo(name)


def is_pose_file(name: str) -> bool:
    """Whether it holds camera poses for the images of its scene (runner/poses/supplied/read.py)."""
    return PurePosixPath(name).name in POSE_FILES


def is_sidecar(name: str) -> bool:
    """Whether it tells, by its name, where the camera of the film of that name was: DJI_0001.SRT of DJI_0001.MP4."""
    return PurePosixPath(name).suffix.lower() == SIDECAR_EXTENSION


def without_kind(name: str) -> tuple[str, str]:
    """What a film and its sidecar have in common: folder and stem, in whatever letters."""
    path = PurePosixPath(name)
    return str(path.parent), path.stem.casefold()


def is_scene_file(name: str, scene: str) -> bool:
    """Whether it holds the settings of this scene. Elsewhere in it a file of that name is nothing."""
    return within_scene(name, scene) == SCENE_FILE


def is_ready_marker(name: str) -> bool:
    return PurePosixPath(name).name in READY_MARKERS


def is_unfinished(name: str) -> bool:
    """A name that tools give to a video or photo until it is whole, and rename then."""
    file = PurePosixPath(name)
    hidden = _RSYNC.fullmatch(file.name)
    return (file.suffix.lower() in UNFINISHED and is_media(file.stem)) or (
        hidden is not None and is_media(hidden["name"])
    )


def is_used(name: str) -> bool:
    """Whether a run would read the file, once it is whole and has its last name. Markers only say when to look."""
    return is_media(name) or is_unfinished(name) or (is_companion(name) and not is_ready_marker(name))


def is_companion(name: str) -> bool:
    """Belongs to videos or photos and is nothing without them: alone it starts no job and keeps no scene waiting."""
    return is_ready_marker(name) or is_pose_file(name) or is_sidecar(name) or PurePosixPath(name).name == SCENE_FILE


def within_scene(name: str, scene: str) -> str:
    """The name below its scene: `lobby/cam1/a.mp4` -> `cam1/a.mp4`; a root file keeps its name."""
    return name.removeprefix(f"{scene}/")


def scene_key(scene: str) -> str:
    """Name for the scene in the state container: readable where possible, unique always (`~` + digest where not)."""
    if _SIMPLE_KEY.fullmatch(scene):
        return scene
    slug = re.sub(r"[^a-z0-9]+", "-", scene.lower()).strip("-")[:40]
    return f"{slug}~{hashlib.sha256(scene.encode()).hexdigest()[:16]}"


def is_simple_key(key: str) -> bool:
    """Whether a key is the name of its scene itself."""
    return _SIMPLE_KEY.fullmatch(key) is not None


def output_stem(scene: str) -> str:
    """File name, without extension, of the scene's outputs: its last segment, where that is fit for a file anywhere."""
    stem = scene.rsplit("/", 1)[-1]
    # 255 bytes are the limit of most disks, and a name that begins like an option or hides is a trap for who downloads
    return scene_key(stem) if len(stem.encode()) > MAX_STEM_BYTES or stem[0] in "-." else stem


def shortest_tails(paths: Sequence[PurePath]) -> list[str]:
    """The end of each absolute path, in as many parts as it takes to be no other's: "card1/DCIM/a.mp4".

    A film and its sidecar stay in one folder.
    """
    parts = [path.parts[1:] for path in paths]
    lengths = [1] * len(paths)
    while True:
        tails = ["/".join(own[-length:]) for own, length in zip(parts, lengths, strict=True)]
        shared = {tail for tail, count in Counter(tails).items() if count > 1}
        longer = [i for i, tail in enumerate(tails) if tail in shared and lengths[i] < len(parts[i])]
        if not longer:
            break
        for i in longer:
            lengths[i] += 1
    pairs = [without_kind(str(path)) if is_video(path.name) or is_sidecar(path.name) else None for path in paths]
    most: dict[tuple[str, str] | None, int] = {}
    for pair, length in zip(pairs, lengths, strict=True):
        most[pair] = max(length, most.get(pair, 0))
    together = [most[pair] if pair else length for pair, length in zip(pairs, lengths, strict=True)]
    return ["/".join(own[-length:]) for own, length in zip(parts, together, strict=True)]
