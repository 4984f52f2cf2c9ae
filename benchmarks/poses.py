"""Camera poses and pictures of this project, of plain pycolmap, and with the settings of the service this one replaces.

    python -m benchmarks.poses [--preset laptop] [--train STEPS] [--before COMMIT] [SET ...]

A set is a folder of videos or photos below SCENE_FOOTAGE (default: the folder `shared/data` beside the repository), or
`demo` for the rendered footage. The sets of Strecha et al. (CVPR 2008; openMVG/SfM_quality_evaluation on GitHub) are
read as they are published, with the cameras that were surveyed there. Errors are against the set's reference poses or
true cameras, where it has them. Every way runs in a process of its own, one after the other, on the same files. With
--train our trainer goes on with the poses of each way, with so many steps of the preset's; the scored pictures are the
same for all ways. With --before the pose stage of that commit is a way too, on our frames and with our trainer.
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
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, replace
from itertools import groupby
from pathlib import Path
from typing import Any

from benchmarks.pose_cost.parts import cpu_by_part, earlier
from benchmarks.pose_ways import BEFORE, OURS, WAYS, Block, Found, Key, key
from runner.scene.frames import FrameSet
from runner.scene.views import TrainingScene
from scenejobs.names import is_media

ROOT = Path(__file__).resolve().parents[1]
FOOTAGE = Path(os.environ.get("SCENE_FOOTAGE", ROOT.parent / "shared" / "data"))
ALL_WAYS = (OURS, BEFORE, *(way for way in WAYS if way != OURS))
SETS = ("fox", "walk", "sceaux_photos", "banana_photos", "demo")
LIMIT_S = 3600
TRAINED_CAP = 20_000  # Gaussians of --train: short plans cannot train more

HEADER = """# Camera poses, and what they are worth

`python -m benchmarks.poses --preset {preset}{options}`, {cores} cores, load average at the end {load:.1f}.
*uniform + defaults*: as many frames as ours, evenly in time, or all photos, pycolmap's own defaults (exhaustive,
incremental). *old settings*: 2 frames per second or all photos, sequential matching, a camera per frame, 2,048
features. Position errors after similarity alignment, relative to the mean distance of the reference cameras from their
centre; rotations between pairs. `px` is the mean reprojection error: it does not tell right from wrong.

{before}Held-out pictures are the same for all ways: blocks of our frames, given to the others as well, and never
trained on; `scored` is how many of them a way placed. Each way's poses are trained with the same settings{trained}.
Seconds are wall time; CPU s are of everything, all threads; peak is of the largest process.

| set | way | registered | px | position % median, worst | rotation deg | focal / long side | won by | pairs \
| features, matching, mapping CPU s | held-out dB | SSIM | scored | frames s | poses s | training s | CPU s | peak MiB |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def files_of(name: str, folder: Path) -> list[Path]:
    """The videos and photos of a set. Ends the program when there are none."""
    if name == "demo":
        from local.footage.film import make_demo_footage

        kept = folder / "demo"
        return sorted(kept.glob("*.mp4")) or make_demo_footage(kept)
    found = sorted(path for at in ("*", "images/*") for path in (FOOTAGE / name).glob(at) if is_media(path.name))
    if not found:
        sys.exit(f"no videos or photos in {name}: set SCENE_FOOTAGE to the folder that holds it")
    return found


def truth_of(name: str, files: Sequence[Path]) -> dict[Key, Any]:
    """World to camera [3, 4] of the pictures whose cameras are known."""
    import numpy as np

    if name == "demo":
        document = json.loads((files[0].parent / "truth.json").read_text())
        return {(clip["video"], frame["index"]): np.array(frame["world_to_camera"])[:3]
                for clip in document["clips"] for frame in clip["frames"]}  # fmt: skip
    surveyed = {(file.name, 0): file.parents[1] / "gt_dense_cameras" / f"{file.name}.camera" for file in files}
    if known := {key: _surveyed(path) for key, path in surveyed.items() if path.is_file()}:
        return known
    reference = files[0].parent / "reference" / "poses.json"
    if not reference.is_file():
        return {}
    known = {}
    for image, pose in json.loads(reference.read_text())["frames"].items():
        clip, _, index = image.partition("/")
        turned = np.linalg.inv(np.vstack([np.array(pose)[:3], [0, 0, 0, 1.0]]))[:3]
        known[(f"{clip}.mp4", int(index))] = turned
    return known


def _surveyed(path: Path) -> Any:
    """World to camera [3, 4] of a file of Strecha et al. (CVPR 2008): intrinsics, distortion, axes, place, size."""
    import numpy as np

    numbers = [float(word) for word in path.read_text(encoding="ascii").split()]
    axes, centre = np.array(numbers[12:21]).reshape(3, 3), np.array(numbers[21:24])  # of the camera, in the world
    return np.column_stack([axes.T, -axes.T @ centre])


def measure(found: Found, work: Path, truth: dict[Key, Any]) -> dict[str, Any]:
    """What a way found against what is known."""
    import numpy as np
    import pycolmap

    from tests.synthetic import pose_errors

    result: dict[str, Any] = {"placed": 0, "total": len(found.frames.frames), "rung": found.rung,
                              "frames_s": found.frames_s, "poses_s": found.poses_s}  # fmt: skip
    if not found.placed:
        return result
    model = pycolmap.Reconstruction(work / "sparse")
    images = [image for image in model.images.values() if image.has_pose]
    used = {image.camera_id for image in images}
    focals = [model.cameras[i].mean_focal_length() / max(model.cameras[i].width, model.cameras[i].height) for i in used]
    result |= {"placed": len(images), "focal": [min(focals), max(focals)],
               "px": model.compute_mean_reprojection_error()}  # fmt: skip
    where = {frame.image: key(frame) for frame in found.frames.frames}
    known = [image for image in images if where[image.name] in truth]
    if len(known) >= 3:
        true = np.array([truth[where[image.name]] for image in known])
        positions, angles = pose_errors(
            np.array([image.projection_center() for image in known]),
            np.array([image.cam_from_world().rotation.matrix() for image in known]),
            -np.einsum("nji,nj->ni", true[:, :, :3], true[:, :, 3]), true[:, :, :3],
        )  # fmt: skip
        result |= {"position": [float(np.median(positions)), float(positions.max())],
                   "angle": [float(np.median(angles)), float(angles.max())]}  # fmt: skip
    return result


def held_out(scene: TrainingScene, frames: FrameSet) -> list[Block]:
    """The blocks that our own pipeline holds out, with the frames around them as bounds."""
    place = {frame.image: number for number, frame in enumerate(frames.frames)}
    tests = sorted(place[scene.views[i].image] for i in scene.subset("test"))
    blocks = []
    for _, members in groupby(enumerate(tests), lambda entry: (entry[1] - entry[0], frames.frames[entry[1]].video)):
        numbers = [number for _, number in members]
        first, last = frames.frames[numbers[0]], frames.frames[numbers[-1]]
        if first.photo:
            blocks += [Block(str(frames.frames[number].photo), -1, 1, (0,)) for number in numbers]
            continue
        same = [frame.index for frame in frames.frames if frame.video == first.video]
        after = max((index for index in same if index < first.index), default=-1)
        before = min((index for index in same if index > last.index), default=last.index + 1)
        blocks.append(Block(first.video, after, before, tuple(frames.frames[number].index for number in numbers)))
    return blocks


def split(scene: TrainingScene, frames: FrameSet, held: Sequence[Block]) -> TrainingScene:
    """The scene with every view in the part that the blocks give it."""
    names = {frame.image: key(frame) for frame in frames.frames}

    def role(image: str) -> str:
        return next((found for block in held if (found := block.role(names[image]))), "train")

    return replace(scene, views=tuple(replace(view, split=role(view.image)) for view in scene.views))


def trained(scene: TrainingScene, preset_name: str, steps: int) -> dict[str, Any]:
    """Scores of the held-out views after training on the others."""
    from runner.context import StageContext
    from runner.pipeline.presets import preset
    from runner.quality.evaluate import score_split
    from runner.raster import rasterizer
    from runner.raster.parameters import parameters
    from runner.scene.progress import SILENT
    from runner.training.loop import train

    settings = replace(preset(preset_name).train, iterations=steps, cap=TRAINED_CAP, budget_s=1e9, evaluations=1)
    backend = rasterizer("auto")
    unsaved = StageContext(Path(), SILENT)
    train(scene, unsaved, replace(settings, iterations=12), backend, save_s=None)  # compiles
    result = train(scene, unsaved, settings, backend, save_s=None)
    score = score_split(parameters(result.gaussians, backend.device), scene, backend, "test")
    return {"psnr": score.psnr, "ssim": score.ssim, "scored": len(score.views), "training_s": result.wall_s}


def one(name: str, args: argparse.Namespace) -> dict[str, Any]:
    """In a process of its own: pycolmap may end it."""
    from runner.context import StageContext
    from runner.dataset.build import build_views
    from runner.pipeline.presets import preset
    from runner.scene.progress import SILENT

    files, begun = files_of(name, args.footage), time.monotonic()
    held = [Block(**{**block, "indices": tuple(block["indices"])}) for block in json.loads(args.held)]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        try:
            with cpu_by_part() as parts:
                found = WAYS[args.one](files, work, args.preset, args.count, held)
        except Exception as exc:  # noqa: BLE001 - whatever a way dies of is its result
            return {"died": f"{type(exc).__name__}: {exc}"[:200], "wall": time.monotonic() - begun}
        result = measure(found, work, truth_of(name, files))
        if parts.pairs:
            result |= {"parts": list(parts.seconds.values()), "pairs": parts.pairs}
        if args.train and found.placed:
            (work / "sparse.json").touch()  # of ours it is there; views are made anew when it changes
            scene = build_views(found.frames, StageContext(work, SILENT), preset(args.preset).train.long_side)
            held = held or (held_out(scene, found.frames) if args.one == OURS else [])
            scene = split(scene, found.frames, held)
            result |= {"held": [asdict(block) for block in held], **trained(scene, args.preset, args.train)}
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        cpu_s = sum(each.ru_utime + each.ru_stime for each in used)
        return {**result, "cpu": cpu_s, "peak_mib": max(each.ru_maxrss for each in used) / 1024}


def row(name: str, way: str, got: dict[str, Any], of: int) -> str:
    """of: how many pictures are held out."""
    if "died" in got:
        return f"| {name} | {way} | {got['died']} |" + "  |" * 15

    def values(form: str, entry: str, factor: float = 1.0) -> str:
        found = got.get(entry)
        found = [] if found is None else found if isinstance(found, list) else [found]
        return " / ".join(form.format(factor * value) for value in found)

    focal = " to ".join(sorted({f"{value:.2f}" for value in got.get("focal", [])}))
    scored = f"{got['scored']} of {of}" if "scored" in got else ""
    cells = [
        name, way, f"{got['placed']} of {got['total']}", values("{:.2f}", "px"), values("{:.2f}", "position", 100),
        values("{:.2f}", "angle"), focal, got["rung"], values("{:.0f}", "pairs"), values("{:.0f}", "parts"),
        values("{:.2f}", "psnr"), values("{:.3f}", "ssim"), scored,
        *(values("{:.0f}", entry) for entry in ("frames_s", "poses_s", "training_s", "cpu", "peak_mib")),
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def all_ways(name: str, args: argparse.Namespace, footage: Path, before: Path | None) -> list[str]:
    """The rows of a set. before: a folder with the pose stage of the commit before."""
    files_of(name, footage)  # rendered once, outside of what is timed
    count, held, rows = 0, [], []
    for way in args.ways.split(","):
        folder = before if way == BEFORE else ROOT
        if folder is None:
            continue
        command = [sys.executable, "-m", "benchmarks.poses", name, "--one", OURS if way == BEFORE else way,
                   "--preset", args.preset, "--count", str(count), "--held", json.dumps(held),
                   "--train", str(args.train), "--footage", str(footage)]  # fmt: skip
        done = subprocess.run(
            command, cwd=folder, env={**os.environ, "PYTHONPATH": str(folder), "SCENE_FOOTAGE": str(FOOTAGE)},
            capture_output=True, text=True, timeout=LIMIT_S, check=False,
        )  # fmt: skip
        lines = done.stdout.strip().splitlines()
        if done.returncode:
            print(done.stderr[-2000:], file=sys.stderr, flush=True)
        got = json.loads(lines[-1]) if done.returncode == 0 and lines else {"died": f"exit {done.returncode}"}
        if way == OURS:
            count, held = got.get("total", count), got.get("held", held)
        rows.append(row(name, way, got, sum(len(block["indices"]) for block in held)))
        print(rows[-1], flush=True)
    return rows


def document(args: argparse.Namespace, rows: Sequence[str]) -> str:
    train = f" --train {args.train}" if args.train else ""
    steps = f": {args.train:,} steps, {TRAINED_CAP:,} Gaussians" if args.train else ""
    load = os.getloadavg()[0]
    before = f"*{BEFORE}*: the pose stage of commit {args.before} on our frames.\n\n" if args.before else ""
    before += "Features, matching and mapping are CPU seconds of the COLMAP processes.\n"
    options = train + (f" --before {args.before}" if args.before else "")
    head = HEADER.format(
        preset=args.preset, options=options, trained=steps, cores=os.cpu_count(), load=load, before=before
    )
    return "\n".join([head, *rows]) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*", default=SETS)
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--train", type=int, default=0, metavar="STEPS", help="also train on the poses of each way")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--footage", type=Path, help="where the rendered footage is kept between runs")
    parser.add_argument("--before", metavar="COMMIT", default="", help="also with the pose stage of this commit")
    parser.add_argument("--ways", default=",".join(ALL_WAYS), help=f"of {', '.join(ALL_WAYS)}")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--count", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--held", default="[]", help=argparse.SUPPRESS)
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads cost 13-18x on a busy machine
    if args.one:
        print(json.dumps(one(args.sets[0], args)))
        return
    rows: list[str] = []
    with ExitStack() as stack:
        temporary = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        before = stack.enter_context(earlier(args.before, temporary)) if args.before else None
        for name in args.sets:
            rows += all_ways(name, args, args.footage or temporary, before)
            if args.out:  # after each set: the whole takes half an hour
                args.out.write_text(document(args, rows), encoding="utf-8")
    print(document(args, rows))


if __name__ == "__main__":
    main()
