"""Which files may be sent into which scene, asked before the first byte: by `scenejobs upload` and by the HTTP API."""

from __future__ import annotations

from scenejobs.errors import Code, InputError
from scenejobs.names import SCENE_FILE, is_media, is_pose_file, is_sidecar, refusal, scene_of, upload_refusal
from scenejobs.state.incoming.uploads import refusal_at

KINDS = "mp4, mov, mkv, mts and other videos, jpg, heic, png, webp and other photos are taken"


def check_scene(scene: str) -> None:
    """Raises InputError for a name that no scene can have, nor any file in it."""
    reason = refusal(scene) or upload_refusal(f"{scene}/a")
    if reason:
        raise InputError(f"no scene can be called {scene!r}: {reason}", code=Code.NO_SCENE, advice="use a plain name")


def check_depth(scene: str, depth: int) -> None:
    """Raises InputError for a scene whose files would become part of another. depth: folders that name a scene."""
    check_scene(scene)
    if scene.count("/") < depth:
        return
    became = scene_of(f"{scene}/file", depth)
    raise InputError(
        f"with SCENE_PREFIX_DEPTH={depth} these files would become part of scene {became!r}: "
        f"no scene can be called {scene!r}",
        code=Code.NO_SCENE,
        advice=f"name the scene {scene.replace('/', '-')}, or set SCENE_PREFIX_DEPTH={scene.count('/') + 1} "
        "for the services too",
    )


def check_file(name: str, depth: int) -> None:
    """Raises InputError for a blob that would be used for nothing, by its name. name: with its scene."""
    file = name.rpartition("/")[2]
    if reason := refusal_at(name, depth):
        raise InputError(f"{name}: {reason}", code=Code.NO_SCENE, advice="use another name")
    if not (is_media(file) or is_pose_file(file) or is_sidecar(file) or file == SCENE_FILE):
        raise InputError(f"{file} is no video, no photo and no file of camera poses by its name", advice=KINDS)
