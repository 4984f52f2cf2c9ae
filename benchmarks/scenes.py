"""Scenes for the training benchmarks: frames, poses and views once, then one file per scene.

    SCENE_FOOTAGE=... python -m benchmarks.scenes OUT_DIR [NAME ...] [--preset laptop] [--sides 240 960]

fox, walk, ...    the videos or photos of that folder of SCENE_FOOTAGE, as the preset sees them
demo              the rendered footage of `make demo`
courtyard         the generated scene of tests/true_scene.py, with its true cameras
courtyard-drift   the same with the exposure drifting within each clip and jumping between clips

With --sides the pictures of a set are written at these long sides as well, with the same poses: OUT_DIR/fox_960.npz.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.poses import files_of
from runner.pipeline.presets import preset
from runner.scene.frames import Clip
from runner.scene.views import TrainingScene, View
from tests.true_scene import drifting, true_scene

NAMES = ("fox", "walk", "courtyard", "courtyard-drift")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", type=Path)
    parser.add_argument("names", nargs="*", default=NAMES, metavar="NAME")
    parser.add_argument("--preset", default="laptop", help="whose frames, poses and picture size (default laptop)")
    parser.add_argument("--sides", nargs="+", type=int, default=[], metavar="PX", help="further picture sizes")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    side = preset(args.preset).train.long_side
    args.out_dir.mkdir(parents=True, exist_ok=True)
    for name in args.names:
        path = args.out_dir / f"{name}.npz"
        if path.exists():
            continue
        if name.startswith("courtyard"):
            made = args.out_dir / "courtyard.npz"
            scene = load_scene(made) if made.exists() else true_scene(size=(side, 2 * round(side * 17 / 60)))
            scene = drifting(scene) if name == "courtyard-drift" else scene
        else:
            with tempfile.TemporaryDirectory() as folder:
                files = files_of(name, args.out_dir)
                *others, scene = from_clips(files, Path(folder), args.preset, (*args.sides, side))
            for other, long_side in zip(others, args.sides, strict=True):
                save_scene(other, args.out_dir / f"{name}_{long_side}.npz")
        save_scene(scene, path)
        print(f"{path}: {len(scene.views)} views, {len(scene.points):,} points", flush=True)


def from_clips(files: list[Path], workspace: Path, preset_name: str, sides: tuple[int, ...]) -> list[TrainingScene]:
    """The stages before training, with the settings of a preset; a scene for each of the long sides."""
    from runner.context import StageContext
    from runner.dataset.build import build_views
    from runner.media.extract import extract_frames
    from runner.poses.find import find_poses
    from runner.scene.progress import SILENT

    chosen = preset(preset_name)
    frames = extract_frames([Clip(path.name, path) for path in files], StageContext(workspace, SILENT), chosen.frames)
    find_poses(frames, StageContext(workspace, SILENT), chosen.poses)
    return [build_views(frames, StageContext(workspace, SILENT), side) for side in sides]


def save_scene(scene: TrainingScene, path: Path) -> None:
    """Write a scene as one .npz file."""
    views = [
        {
            "image": view.image, "video": view.video, "timestamp_s": view.timestamp_s, "width": view.width,
            "height": view.height, "K": view.K.tolist(), "world_to_camera": view.world_to_camera.tolist(),
            "split": view.split,
        }
        for view in scene.views
    ]  # fmt: skip
    pixels: dict[str, Any] = {f"pixels_{i}": array for i, array in enumerate(scene.pixels)}
    np.savez_compressed(
        path,
        views=json.dumps(views),
        points=scene.points,
        colors=scene.colors,
        point_errors=scene.point_errors,
        track_lengths=scene.track_lengths,
        sightings=scene.sightings,
        seen_at=scene.seen_at,
        **pixels,
    )


def load_scene(path: Path) -> TrainingScene:
    """Read what `save_scene` wrote, or the finished views of a job's workspace."""
    if path.is_dir():
        from runner.dataset.build import load_views

        return load_views(path)
    with np.load(path) as data:
        views = tuple(
            View(**{**view, "K": np.array(view["K"]), "world_to_camera": np.array(view["world_to_camera"])})
            for view in json.loads(str(data["views"]))
        )
        arrays = ("points", "colors", "point_errors", "track_lengths", "sightings", "seen_at")
        return TrainingScene(
            views,
            tuple(data[f"pixels_{i}"] for i in range(len(views))),
            **{key: data[key] for key in arrays if key in data},  # older files do not say where points were seen
        )


if __name__ == "__main__":
    main()
