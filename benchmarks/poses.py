"""Camera poses of this project, of plain pycolmap, and with the settings of the service this one replaces.

    python -m benchmarks.poses [--preset laptop] [--out FILE] [SET ...]

A set is a folder of videos below SCENE_FOOTAGE (default: the folder `shared/data` beside the repository), or `demo` for
the rendered footage. Errors are against the set's reference poses or true cameras, where it has them. Every way runs in
a process of its own, one after the other, on the same files.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
FOOTAGE = Path(os.environ.get("SCENE_FOOTAGE", ROOT.parent / "shared" / "data"))
OLD_FPS, OLD_FEATURES = 2.0, 2048
LIMIT_S = 3600

HEADER = """# Camera poses

`python -m benchmarks.poses --preset {preset}`, {cores} cores, load average at the end {load:.1f}. *uniform + defaults*:
as many frames as ours, evenly in time, pycolmap's own defaults (exhaustive, incremental). *old settings*: 2 frames per
second, sequential matching, a camera per frame, 2,048 features. Position errors after similarity alignment, relative to
the mean distance of the reference cameras from their centre; rotations between pairs. Seconds include choosing frames.

| set | way | registered | position % median, worst | rotation deg | focal / long side | won by | wall s | CPU s |
| --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def clips_of(name: str, folder: Path) -> list[Path]:
    """The videos of a set. Ends the program when there are none."""
    if name == "demo":
        from local.footage import make_demo_footage

        kept = folder / "demo"
        return sorted(kept.glob("*.mp4")) or make_demo_footage(kept)
    found = sorted((FOOTAGE / name).glob("*.mp4"))
    if not found:
        sys.exit(f"no videos in {name}: set SCENE_FOOTAGE to the folder that holds it")
    return found


def truth_of(name: str, clips: list[Path]) -> dict[tuple[str, int], Any]:
    """World to camera [3, 4] by clip and frame, of the cameras that are known."""
    import numpy as np

    if name == "demo":
        document = json.loads((clips[0].parent / "truth.json").read_text())
        return {(clip["video"], frame["index"]): np.array(frame["world_to_camera"])[:3]
                for clip in document["clips"] for frame in clip["frames"]}  # fmt: skip
    reference = clips[0].parent / "reference" / "poses.json"
    if not reference.is_file():
        return {}
    known = {}
    for image, pose in json.loads(reference.read_text())["frames"].items():
        clip, _, index = image.partition("/")
        turned = np.linalg.inv(np.vstack([np.array(pose)[:3], [0, 0, 0, 1.0]]))[:3]
        known[(f"{clip}.mp4", int(index))] = turned
    return known


def ours(clips: list[Path], work: Path, preset_name: str, _count: int) -> dict[str, Any]:
    from runner.frames import extract_frames
    from runner.poses import find_poses
    from runner.presets import preset
    from runner.progress import SILENT
    from runner.scene import Clip

    chosen = preset(preset_name)
    frames = extract_frames([Clip(path.name, path) for path in clips], work, chosen.frames, SILENT)
    report = find_poses(frames, work, chosen.poses, SILENT)
    where = {frame.image: (frame.video, frame.index) for frame in frames.frames}
    return {"model": str(work / "sparse"), "where": where, "rung": report.rung}


def plain(clips: list[Path], work: Path, _preset: str, count: int) -> dict[str, Any]:
    import pycolmap

    where = _uniform(clips, work / "frames", lambda frames, _seconds: max(2, round(count * frames)))
    database = work / "database.db"
    pycolmap.extract_features(database, work / "frames")
    pycolmap.match_exhaustive(database)
    return _mapped(database, work, where)


def old(clips: list[Path], work: Path, _preset: str, _count: int) -> dict[str, Any]:
    import pycolmap

    where = _uniform(clips, work / "frames", lambda _frames, seconds: max(2, round(seconds * OLD_FPS)))
    database = work / "database.db"
    options = pycolmap.FeatureExtractionOptions()
    options.sift.max_num_features = OLD_FEATURES
    pycolmap.extract_features(
        database, work / "frames", camera_mode=pycolmap.CameraMode.PER_IMAGE, extraction_options=options
    )
    pycolmap.match_sequential(database)
    return _mapped(database, work, where)


WAYS: dict[str, Callable[[list[Path], Path, str, int], dict[str, Any]]] = {
    "ours": ours, "uniform + defaults": plain, "old settings": old
}  # fmt: skip


def _uniform(clips: list[Path], folder: Path, wanted: Callable[[float, float], int]) -> dict[str, tuple[str, int]]:
    """Evenly spaced frames. wanted(share of all seconds, seconds of the clip) -> number of frames."""
    import av
    import numpy as np

    def length(path: Path) -> tuple[int, float]:
        with av.open(str(path)) as container:
            count = sum(1 for _ in container.decode(video=0))
            return count, count / float(container.streams.video[0].average_rate)

    lengths = [length(path) for path in clips]
    total = sum(seconds for _, seconds in lengths)
    where = {}
    for path, (count, seconds) in zip(clips, lengths, strict=True):
        take = set(np.linspace(0, count - 1, min(count, wanted(seconds / total, seconds))).round().astype(int).tolist())
        (folder / path.stem).mkdir(parents=True)
        with av.open(str(path)) as container:
            for index, frame in enumerate(container.decode(video=0)):
                if index in take:
                    name = f"{path.stem}/{index:06d}.png"
                    frame.to_image().rotate(frame.rotation, expand=True).save(folder / name)
                    where[name] = (path.name, index)
    return where


def _mapped(database: Path, work: Path, where: dict[str, tuple[str, int]]) -> dict[str, Any]:
    import pycolmap

    (work / "sparse").mkdir()
    models = pycolmap.incremental_mapping(database, work / "frames", work / "sparse")
    if not models:
        return {"model": None, "where": where, "rung": ""}
    largest = max(models, key=lambda number: models[number].num_reg_images())
    return {"model": str(work / "sparse" / str(largest)), "where": where, "rung": f"largest of {len(models)}"}


def measure(found: dict[str, Any], truth: dict[tuple[str, int], Any]) -> dict[str, Any]:
    """What a way found against what is known."""
    import numpy as np
    import pycolmap

    from tests.synthetic import pose_errors

    where, total = found["where"], len(found["where"])
    if found["model"] is None:
        return {"placed": 0, "total": total, "rung": ""}
    model = pycolmap.Reconstruction(found["model"])
    images = [image for image in model.images.values() if image.has_pose]
    focals = [camera.mean_focal_length() / max(camera.width, camera.height) for camera in model.cameras.values()]
    result: dict[str, Any] = {"placed": len(images), "total": total, "rung": found["rung"],
                              "focal": [min(focals), max(focals)]}  # fmt: skip
    known = [image for image in images if tuple(where[image.name]) in truth]
    if len(known) >= 3:
        true = np.array([truth[tuple(where[image.name])] for image in known])
        positions, angles = pose_errors(
            np.array([image.projection_center() for image in known]),
            np.array([image.cam_from_world().rotation.matrix() for image in known]),
            -np.einsum("nji,nj->ni", true[:, :, :3], true[:, :, 3]), true[:, :, :3],
        )  # fmt: skip
        result |= {"position": [float(np.median(positions)), float(positions.max())],
                   "angle": [float(np.median(angles)), float(angles.max())]}  # fmt: skip
    return result


def one(name: str, way: str, preset_name: str, count: int, footage: Path) -> None:
    """In a process of its own: pycolmap may end it."""
    clips = clips_of(name, footage)
    before, begun = _cpu_s(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = WAYS[way](clips, Path(folder), preset_name, count)
        except Exception as exc:  # noqa: BLE001 - whatever a way dies of is its result
            print(json.dumps({"died": f"{type(exc).__name__}: {exc}"[:200], "wall": time.monotonic() - begun}))
            return
        wall, cpu = time.monotonic() - begun, _cpu_s() - before
        print(json.dumps({**measure(found, truth_of(name, clips)), "wall": wall, "cpu": cpu}))


def _cpu_s() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def row(name: str, way: str, got: dict[str, Any]) -> str:
    if "died" in got:
        return f"| {name} | {way} | {got['died']} |  |  |  |  | {got['wall']:.0f} |  |"

    def pair(key: str, factor: float) -> str:
        return " / ".join(f"{factor * value:.2f}" for value in got[key]) if key in got else ""

    focal = " to ".join(sorted({f"{value:.2f}" for value in got.get("focal", [])}))
    position, angle = pair("position", 100), pair("angle", 1)
    return (
        f"| {name} | {way} | {got['placed']} of {got['total']} | {position} | {angle} | {focal} "
        f"| {got['rung']} | {got['wall']:.0f} | {got['cpu']:.0f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=["fox", "walk", "demo"])
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--footage", type=Path, help="where the rendered footage is kept between runs")
    args = parser.parse_args()
    if args.one:
        one(args.sets[0], args.one, args.preset, args.count, args.footage)
        return
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    rows = []
    with tempfile.TemporaryDirectory() as temporary:
        footage = args.footage or Path(temporary)
        for name in args.sets:
            clips_of(name, footage)  # rendered once, outside of what is timed
            count = 0
            for way in WAYS:
                command = [sys.executable, "-m", "benchmarks.poses", name, "--one", way, "--preset", args.preset,
                           "--count", str(count), "--footage", str(footage)]  # fmt: skip
                done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LIMIT_S, check=False)
                lines = done.stdout.strip().splitlines()
                died = {"died": f"exit {done.returncode}", "wall": 0.0}
                got = json.loads(lines[-1]) if done.returncode == 0 and lines else died
                count = got.get("total", count) if way == "ours" else count
                rows.append(row(name, way, got))
                print(rows[-1], flush=True)
    text = HEADER.format(preset=args.preset, cores=os.cpu_count(), load=os.getloadavg()[0])
    text = "\n".join([text, *rows]) + "\n"
    print(text)
    if args.out:
        args.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
