"""`scenejobs upload SCENE VIDEO...`: local files to the input container."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenejobs.commands.storage import check_scene, open_from
from scenejobs.errors import Code, InputError
from scenejobs.logs.setup import printable
from scenejobs.names import SCENE_FILE, is_media, is_pose_file, scene_of, shortest_tails
from scenejobs.ports import Containers
from scenejobs.state.incoming.uploads import refusal_at


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("upload", help="upload videos and photos, and poses for them, as one scene")
    command.add_argument("scene")
    command.add_argument("videos", nargs="+", type=Path)
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Prints the name of each blob. Raises InputError, ConfigurationError, and the errors of storage."""
    storage, dispatch = open_from(env)
    containers = storage.containers
    for name in upload(containers, options.scene, options.videos, dispatch.prefix_depth):
        print(printable(f"uploaded {containers.input.name}/{name}"))
    return 0


def upload(containers: Containers, scene: str, videos: Sequence[Path], depth: int = 1) -> list[str]:
    """Uploads local videos and photos under `input/<scene>/`, one after the other, and returns the blob names.

    Files of camera poses go first: a scene is never sealed between its images and their poses. `depth`: levels of
    folders that name a scene. Raises InputError for a scene that would become part of another, for a file that is
    missing, or neither media nor poses by its name. Files of one name (two cards of a camera) keep as many of their
    folders as it takes to tell them apart; a file that is named twice is uploaded once.
    """
    check_scene(scene)
    if scene.count("/") >= depth:
        became = scene_of(f"{scene}/file", depth)
        raise InputError(
            f"with SCENE_PREFIX_DEPTH={depth} these files would become part of scene {became!r}: "
            f"no scene can be called {scene!r}",
            code=Code.NO_SCENE,
            advice=f"name the scene {scene.replace('/', '-')}, or set SCENE_PREFIX_DEPTH={scene.count('/') + 1} "
            "for the services too",
        )
    videos = list(dict.fromkeys(Path(os.path.abspath(video)) for video in videos))
    names = _names(scene, videos, depth)
    for video, name in zip(videos, names, strict=True):
        if not video.is_file():
            raise InputError(f"{video} is not a file", code=Code.NO_VIDEO, advice="check the path")
        if reason := refusal_at(name, depth):
            raise InputError(f"{name}: {reason}", code=Code.NO_SCENE, advice="use another name")
        if not (is_media(video.name) or is_pose_file(video.name) or video.name == SCENE_FILE):
            cause = f"{video.name} is no video, no photo and no file of camera poses by its name"
            advice = "mp4, mov, mkv, mts and other videos, jpg, heic, png, webp and other photos are taken"
            raise InputError(cause, advice=advice)
        if names.count(name) > 1:
            raise InputError(f"two files would be called {name}", advice="rename one: names are unique in a scene")
    for video, name in sorted(zip(videos, names, strict=True), key=lambda each: is_media(each[1])):
        containers.input.upload(video, name)
    return names


def _names(scene: str, videos: Sequence[Path], depth: int) -> list[str]:
    """The blob of each file. Where a folder more would make another scene, folders become a part of the name."""
    tails = shortest_tails(videos)
    if scene.count("/") + 1 < depth:
        tails = [tail.replace("/", "_") for tail in tails]
    return [f"{scene}/{tail}" for tail in tails]
