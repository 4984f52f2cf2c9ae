"""`python -m scenejobs upload SCENE VIDEO...`: local files to the input container."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from scenejobs.commands.storage import open_from
from scenejobs.errors import Code, InputError
from scenejobs.logs.setup import printable
from scenejobs.names import is_media, is_pose_file, refusal, upload_refusal
from scenejobs.ports import Containers


def add_to(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("upload", help="upload videos and photos, and poses for them, as one scene")
    command.add_argument("scene")
    command.add_argument("videos", nargs="+", type=Path)
    command.set_defaults(run=run)


def run(options: argparse.Namespace, env: Mapping[str, str]) -> int:
    """Prints the name of each blob. Raises InputError, ConfigurationError, and the errors of storage."""
    containers = open_from(env)[0].containers
    for name in upload(containers, options.scene, options.videos):
        print(printable(f"uploaded {containers.input.name}/{name}"))
    return 0


def upload(containers: Containers, scene: str, videos: Sequence[Path]) -> list[str]:
    """Uploads local videos and photos under `input/<scene>/`, one after the other, and returns the blob names.

    Files of camera poses go first: a scene is never sealed between its images and their poses.
    Raises InputError for a file that is missing, neither media nor poses by its name, or whose name comes twice.
    """
    reason = refusal(scene)
    if reason:
        raise InputError(f"no scene can be called {scene!r}: {reason}", code=Code.NO_SCENE, advice="use a plain name")
    names = [f"{scene}/{video.name}" for video in videos]
    for video in videos:
        if not video.is_file():
            raise InputError(f"{video} is not a file", code=Code.NO_VIDEO, advice="check the path")
        if upload_refusal(f"{scene}/{video.name}"):
            raise InputError(f"{video.name!r}: {upload_refusal(f'{scene}/{video.name}')}", advice="rename the file")
        if not (is_media(video.name) or is_pose_file(video.name)):
            cause = f"{video.name} is no video, no photo and no file of camera poses by its name"
            raise InputError(cause, advice="mp4, mov, avi, mkv, webm, jpg, heic, png and tif are taken")
        if names.count(f"{scene}/{video.name}") > 1:
            raise InputError(f"two files are called {video.name}", advice="rename one: names are unique in a scene")
    for video, name in sorted(zip(videos, names, strict=True), key=lambda each: not is_pose_file(each[1])):
        containers.input.upload(video, name)
    return names
