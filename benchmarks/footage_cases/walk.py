"""The walk with and without what is drawn over it, against cameras found from its clean frames.

Nobody published cameras of the walk. walk_cameras.json has those that this program found from 62 of its clean frames
(preset smoke, --frames 120, 2026-11-28); between them, cameras are interpolated (with every second left out: 0.3 per
cent, 0.08 degrees off). Errors tell what other frames and what is drawn over them change, not how right cameras are.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation, Slerp

from benchmarks.footage_cases.case import Case, Run, camera_errors, result
from benchmarks.footage_cases.formats import WALK, pictures
from benchmarks.footage_cases.reports import files
from tests.stamps import boxed_date
from tests.videos import write_video

CAMERAS = Path(__file__).parent / "walk_cameras.json"
POSE_ERROR = 2.0  # per cent


def walk_truth(run: Run) -> Mapping[tuple[str, int], NDArray[np.float64]]:
    """World to camera [4, 4] of the clean frames, for any clip with the walk's frames in their order."""
    known = {int(index): np.reshape(pose, (3, 4)) for index, pose in json.loads(CAMERAS.read_text("utf-8")).items()}
    indices = sorted(known)
    rotations = Rotation.from_matrix([known[index][:, :3] for index in indices])
    centres = np.array([-known[index][:, :3].T @ known[index][:, 3] for index in indices])
    turn = Slerp(indices, rotations)
    found = {}
    for video, index in run.cameras():
        if indices[0] <= index <= indices[-1]:
            rotation = turn(index).as_matrix()
            centre = np.array([np.interp(index, indices, centres[:, axis]) for axis in range(3)])
            pose = np.eye(4)
            pose[:3, :3], pose[:3, 3] = rotation, -rotation @ centre
            found[video, index] = pose
    return found


def right_walk(run: Run) -> str:
    """A result with cameras where the clean frames have them; or one that says itself that it is doubtful."""
    if wrong := result(run):
        return "" if wrong == "doubtful" else wrong
    errors = camera_errors(run, walk_truth(run))
    if errors is None:
        return "too few cameras to compare"
    return f"cameras off by {errors[0]:.0f} %" if errors[0] > POSE_ERROR else ""


def _stamped(folder: Path) -> Sequence[Path]:
    frames = (boxed_date(picture, number) for number, picture in enumerate(pictures(WALK)))
    return [write_video(folder / "walk.mp4", frames, fps=30, crf=20)]


def _case(name: str, point: str, what: str, make: Callable[[Path], Sequence[Path]]) -> Case:
    return Case(name, point, what, make, right_walk, truth=walk_truth)


CASES = (
    _case("walk", "0 as filmed", "a clip of a forward walk", files("walk/walk.mp4")),
    _case("walk-stamp", "9 stamp", "the walk with a burned-in date, 5 % of the picture", _stamped),
)


def main() -> None:
    """Writes walk_cameras.json from the `cameras.json` of a run: `python -m benchmarks.footage_cases.walk FILE`."""
    import sys

    entries = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found = {
        str(int(Path(entry["image"]).stem)): [round(value, 5) for row in entry["world_to_camera"][:3] for value in row]
        for entry in entries
    }
    lines = ",\n".join(f" {json.dumps(index)}: {json.dumps(found[index])}" for index in sorted(found, key=int))
    CAMERAS.write_text("{\n" + lines + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
