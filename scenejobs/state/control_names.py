"""Names of ours that lie beside names of users, and why they never meet.

Below a scene's folder lie, in `output`, `processed` and `error`, files of ours (the result, `runs/`, the reason of a
dead letter, folders of generations), files of users, and, where SCENE_PREFIX_DEPTH is more than 1, the folders of
deeper scenes. Three rules keep these apart, in flat containers as in folders, where a file leaves no room for a folder:

- a folder that looks like a file or is called like one of ours names no scene within another (`scene_refusal`);
- an upload that is called like one of ours is archived in its generation's folder (`is_ours`);
- and so is one directly in the folder of a scene that others may lie in, unless it looks like a file (`is_file_like`).
"""

from __future__ import annotations

from pathlib import PurePosixPath

from scenejobs.names import PHOTO_EXTENSIONS, READY_MARKERS, VIDEO_EXTENSIONS

ERROR_DOCUMENT = "error.json"
RUN_LOG = "run.log"
RUNS = "runs"  # folder of the results of single runs
GENERATION = "generation~"  # begins the name of each folder of ours in `processed` and `error`

# What a job writes, what lies beside videos, and what people put there: no folder of a scene ends like this.
FILE_EXTENSIONS = frozenset({
    ".json", ".html", ".ply", ".splat", ".spz", ".log", ".txt", ".bin", ".ini", ".yaml", ".yml", ".csv", ".xml", ".md",
    ".zip", ".gz", ".tar", ".gif", ".bmp", ".webp", ".svg", ".pdf", ".srt", ".lrv", ".thm", ".aae", ".ds_store",
    *VIDEO_EXTENSIONS, *PHOTO_EXTENSIONS,
})  # fmt: skip
_OURS = frozenset({ERROR_DOCUMENT, RUN_LOG})
_MARKERS = frozenset(name.casefold() for name in READY_MARKERS)


def is_ours(segment: str) -> bool:
    """Whether an upload whose name begins like this within its scene could stand in the place of one of ours.

    Capitals do not matter, because there are disks to which they do not.
    """
    folded = segment.casefold()
    return folded in _OURS or folded.startswith(GENERATION)


def is_file_like(segment: str) -> bool:
    """Whether the name is one of a file, which no scene within another can have."""
    folded = segment.casefold()
    return PurePosixPath(f"x{folded}").suffix in FILE_EXTENSIONS or folded in _MARKERS


def scene_refusal(scene: str) -> str | None:
    """Why a folder within the folder of another scene cannot be a scene, or None when it can."""
    for segment in scene.split("/")[1:]:
        if is_ours(segment) or is_file_like(segment) or segment.casefold() == RUNS:
            return f"a scene within another cannot be called {segment!r}: files of that other scene are"
    return None


def stored_scene(name: str, depth: int) -> str:
    """The scene below whose folder a blob of `output`, `processed` or `error` lies."""
    folders = name.split("/")[:-1]
    for count in range(1, min(depth, len(folders))):
        if scene_refusal("/".join(folders[: count + 1])):
            return "/".join(folders[:count])
    return "/".join(folders[:depth])
