"""Hard scenes of many frames, by pairs that look alike and by all: `python -m benchmarks.pose_cost.hard_pairs`.

What repeats or belongs to two places must not be joined because few pairs were compared, nor refused because of it.
Pictures are those of tests/hard_inputs.py, 48 of them (480 x 360, 1,000 features).
"""

from __future__ import annotations

import argparse
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pycolmap

from benchmarks.pose_cost.parts import cpu_by_part
from runner.context import StageContext
from runner.poses.find import find_poses
from runner.scene.progress import SILENT
from scenejobs.errors import SceneJobError
from tests.hard_inputs import POSES, Film, film
from tests.synthetic import pose_errors, write_frames

CHOSEN, ALL = 30, 10**6  # frames up to which all pairs are compared
HEAD = """# Hard scenes of many frames: chosen pairs and all pairs

`python -m benchmarks.pose_cost.hard_pairs`, {cores} cores, load average at the end {load:.1f}. 48 pictures each of
`tests/hard_inputs.py` (480 x 360, 1,000 features). Errors are the worst of all placed cameras.

| scene | pairs | becomes | placed | position % | rotation deg | compared | CPU s | won by |
| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"""


def mirrored(one: Film) -> Film:
    """What no camera sees: none of its frames is of the scene."""
    return Film(tuple(picture[:, ::-1] for picture in one.pictures), (None,) * len(one.pictures))


SCENES = {
    "a room": lambda: {"a": film(count=48)},
    "walls of one small tile": lambda: {"a": film(count=48, tile=40)},
    "two rooms of equal length": lambda: {"a": film(count=24), "b": film(count=24, seed=5, foreign=True)},
    "a clip and its mirror image": lambda: {"a": film(count=24), "b": mirrored(film(count=24))},
    "two clips that share little": lambda: {"a": film("along", -3.2, -0.4, 27), "b": film("along", 0.7, 3.0, 21)},
}


def measured(films: dict[str, Film], exhaustive_up_to: int) -> str:
    """The cells of a row from the third on."""
    settings = replace(POSES, features=1000, exhaustive_up_to=exhaustive_up_to)
    with tempfile.TemporaryDirectory() as folder, cpu_by_part() as parts:
        frames = write_frames(Path(folder), {name: list(one.pictures) for name, one in films.items()})
        try:
            report = find_poses(frames, StageContext(Path(folder), SILENT), settings)
        except SceneJobError as exc:
            return f"{exc.code} |  |  |  | {parts.pairs:,} | {sum(parts.seconds.values()):.0f} |  |"
        true = [films[frame.video.removesuffix(".mp4")].poses[frame.index] for frame in frames.frames]
        pose_of = {frame.image: pose for frame, pose in zip(frames.frames, true, strict=True)}
        images = [image for image in pycolmap.Reconstruction(f"{folder}/sparse").images.values() if image.has_pose]
        own = [(image, pose) for image in images if (pose := pose_of[image.name]) is not None]
        positions, angles = pose_errors(
            np.array([image.projection_center() for image, _ in own]),
            np.array([image.cam_from_world().rotation.matrix() for image, _ in own]),
            np.array([position for _, (position, _) in own]), np.array([rotation for _, (_, rotation) in own]),
        )  # fmt: skip
    cells = [
        "passed" if len(own) == len(images) else "**frames of another place**", f"{len(images)} of {len(true)}",
        f"{100 * positions.max():.2f}", f"{angles.max():.2f}", f"{parts.pairs:,}",
        f"{sum(parts.seconds.values()):.0f}", report.rung,
    ]  # fmt: skip
    return f"{' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", nargs="*", default=list(SCENES))
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    args = parser.parse_args()
    rows: list[str] = []
    for name in args.scenes:
        for way, up_to in (("chosen", CHOSEN), ("all", ALL)):
            rows.append(f"| {name} | {way} | {measured(SCENES[name](), up_to)}")
            print(rows[-1], flush=True)
            if args.out:
                head = HEAD.format(cores=os.cpu_count(), load=os.getloadavg()[0])
                args.out.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
