"""What more frames cost: `python -m benchmarks.pose_cost.more_frames --before COMMIT`.

The same walk along a wall, of more and more generated frames (320 x 240, 500 features), by the pose stage of a commit
before and by today's, one after the other. CPU seconds are of the COLMAP processes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.pose_cost.parts import ROOT, cpu_by_part, earlier

COUNTS = (50, 100, 200, 400)
HEAD = """# Camera poses: what more frames cost

`python -m benchmarks.pose_cost.more_frames --before {before}`, {cores} cores, load average at the end {load:.1f}.
The same walk along a wall, of more and more generated frames (320 x 240, 500 features). CPU seconds are of the COLMAP
processes; position errors are relative to the mean distance of the true cameras from their centre.

| frames | version | placed | position % median, worst | pairs | features s | matching s | mapping s | the latter two, \
ms per frame |
| ---: | --- | ---: | --- | ---: | ---: | ---: | ---: | ---: |"""


def one(count: int) -> dict[str, Any]:
    """In a process of its own."""
    import numpy as np
    import pycolmap

    from runner.context import StageContext
    from runner.poses.find import find_poses
    from runner.poses.settings import PoseSettings
    from runner.scene.progress import SILENT
    from tests.hard_inputs import along
    from tests.synthetic import pose_errors, render, write_frames

    poses = along(-3.0, 3.0, count)
    settings = PoseSettings(features=500, max_image_size=320, min_points=200, budget_s=1e9, threads=1)
    with tempfile.TemporaryDirectory() as folder:
        frames = write_frames(Path(folder), {"a": [render(*pose) for pose in poses]})
        with cpu_by_part() as parts:
            report = find_poses(frames, StageContext(Path(folder), SILENT), settings)
        place = {frame.image: number for number, frame in enumerate(frames.frames)}
        images = [image for image in pycolmap.Reconstruction(f"{folder}/sparse").images.values() if image.has_pose]
    true = [poses[place[image.name]] for image in images]
    errors, _ = pose_errors(
        np.array([image.projection_center() for image in images]),
        np.array([image.cam_from_world().rotation.matrix() for image in images]),
        np.array([position for position, _ in true]), np.array([rotation for _, rotation in true]),
    )  # fmt: skip
    return {"placed": report.images_registered, "pairs": parts.pairs, "position": [np.median(errors), errors.max()],
            **parts.seconds}  # fmt: skip


def row(count: int, version: str, found: dict[str, Any]) -> str:
    per_frame = 1000 * (found["matching"] + found["mapping"]) / count
    position = ", ".join(f"{100 * value:.2f}" for value in found["position"])
    seconds = " | ".join(f"{found[part]:.0f}" for part in ("features", "matching", "mapping"))
    return (
        f"| {count} | {version} | {found['placed']} | {position} | {found['pairs']:,} | {seconds} | {per_frame:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", metavar="COMMIT", required=True)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(one(args.one)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as temporary, earlier(args.before, Path(temporary)) as before:
        for count in args.counts:
            for version, folder in ((args.before, before), ("now", ROOT)):
                command = [
                    sys.executable,
                    "-m",
                    "benchmarks.pose_cost.more_frames",
                    "--before",
                    "",
                    "--one",
                    str(count),
                ]
                done = subprocess.run(
                    command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder)}, capture_output=True, text=True,
                    check=True,
                )  # fmt: skip
                rows.append(row(count, version, json.loads(done.stdout.strip().splitlines()[-1])))
                print(rows[-1], flush=True)
                head = HEAD.format(before=args.before, cores=os.cpu_count(), load=os.getloadavg()[0])
                if args.out:
                    args.out.write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
