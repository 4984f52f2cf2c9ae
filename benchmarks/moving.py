"""What masks of what moves are worth in training: `python -m benchmarks.moving [KIND ...] [--steps N] [--side PX]`.

Trains the courtyard with its true cameras while something moves in it (tests/moving_scenes.py), with and without the
looks of runner/training/moving_masks.py, and compares what is drawn with the place as it is: dB of the held-out views
against their pictures without what moves; dB of the training views where something moved before the place (ghosts).
A path of a saved scene (benchmarks/scenes.py) instead of a kind: dB against its own held-out pictures.
"""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*")
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--cap", type=int, default=15_000)
    parser.add_argument("--save", type=Path, help="folder for pictures: filmed, without masks, with masks")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from tests.moving_scenes import MOVERS

    print("| input | moves | held-out dB | with masks | behind what moved dB | with masks | masked | right | found |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for kind in args.kinds or MOVERS:
        print(row(kind, args), flush=True)


def row(kind: str, args: argparse.Namespace) -> str:
    from benchmarks.scenes import load_scene
    from runner.quality.evaluate import render_view
    from runner.raster import parameters, rasterizer
    from runner.training import moving_masks
    from tests.moving_scenes import MOVERS, filmed, training_scene

    drawer = rasterizer("cpu", 1)
    if kind in MOVERS:
        seen = filmed(kind, (args.side, args.side * 3 // 4))
        scene, clean, moving = training_scene(seen), seen.clean, seen.moving
    else:
        scene = load_scene(Path(kind))
        clean, moving = scene.pixels, tuple(np.zeros(image.shape[:2], bool) for image in scene.pixels)
    still = kind not in ("water", "screen")  # what stands where people walked is known; there is nothing below water
    results = []
    for looks in ((), moving_masks.LOOKS):
        with patch.object(moving_masks, "LOOKS", looks), TemporaryDirectory() as folder:
            trained, masks, seconds = training(scene, Path(folder), args, drawer)
        params = parameters.parameters(trained, drawer.device)
        drawn = [render_view(params, view, drawer).numpy() for view in scene.views]
        heldout = [
            psnr(drawn[index], clean[index], np.ones_like(moving[index]) if still else ~moving[index])
            for index in scene.subset("test")
        ]
        behind = [
            psnr(drawn[index], clean[index], moving[index])
            for index in scene.subset("train")
            if moving[index].any() and still
        ]
        results.append((float(np.mean(heldout)), float(np.mean(behind)) if behind else None, masks, drawn, seconds))
    plain, masked = results
    told = [masked[2].get(index, np.ones_like(moving[index])) for index in scene.subset("train")]
    true = [moving[index] for index in scene.subset("train")]
    told_moving = sum(int((~used).sum()) for used in told)
    both = sum(int((~used & region).sum()) for used, region in zip(told, true, strict=True))
    all_true = sum(int(region.sum()) for region in true)
    if args.save:
        save(args.save / f"{Path(kind).stem}.png", scene, plain[3], masked[3], masked[2])
    name = Path(kind).stem
    cells = [
        name, f"{100 * np.mean([region.mean() for region in moving]):.0f} %", f"{plain[0]:.2f}", f"{masked[0]:.2f}",
        "" if plain[1] is None else f"{plain[1]:.2f}", "" if masked[1] is None else f"{masked[1]:.2f}",
        f"{100 * told_moving / sum(used.size for used in told):.1f} %",
        f"{100 * both / told_moving:.0f} %" if told_moving else "",
        f"{100 * both / all_true:.0f} %" if all_true else "",
        f"{plain[4]:.0f}/{masked[4]:.0f} CPU s",
    ]  # fmt: skip
    return f"| {' | '.join(cells)} |"


def training(scene, folder, args, drawer):
    """Gaussians, the masks of the last look by view, CPU seconds."""
    from runner.context import StageContext
    from runner.scene.progress import SILENT
    from runner.training import moving_masks
    from runner.training.loop import train
    from runner.training.settings import TrainSettings

    last = {}

    def noted(run, state):
        kept(run, state)
        last.clear()
        last.update({i: moving_masks.used_pixels(r.numpy(), run.scene.views[i]) for i, r in state.moving.items()})

    kept = moving_masks.leave_out
    settings = TrainSettings(
        iterations=args.steps, cap=args.cap, long_side=args.side, evaluations=1, budget_s=1e6, threads=1
    )
    begun = time.process_time()
    with patch.object(moving_masks, "leave_out", noted):
        trained = train(scene, StageContext(folder, SILENT), settings, drawer, save_s=None)
    return trained.gaussians, last, time.process_time() - begun


def psnr(drawn, clean, where) -> float:
    """dB over the pixels of [H, W]."""
    error = float(np.square(drawn - clean / 255.0)[where].mean())
    return -10 * float(np.log10(max(error, 1e-10)))


def save(path: Path, scene, plain, masked, masks) -> None:
    """Three training views and a held-out one, one row each: filmed, without, with, what is left out."""
    from PIL import Image

    train, test = scene.subset("train"), scene.subset("test")
    rows = []
    for index in (*(train[len(train) * k // 4] for k in (1, 2, 3)), test[0]):
        used = masks.get(index)
        image = scene.pixels[index]
        left = image if used is None else np.where(used[..., None], image, 0)
        rows.append(
            np.concatenate([image, *((255 * d).astype(np.uint8) for d in (plain[index], masked[index])), left], 1)
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [row for row in rows if row.shape[1] == rows[0].shape[1]]  # photos turned otherwise
    Image.fromarray(np.concatenate(rows)).save(path)


if __name__ == "__main__":
    main()
