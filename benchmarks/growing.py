"""A scene that grows: what going on from the Gaussians of the generation before costs and gives, against from points.

    python -m benchmarks.growing SCENE --new 1 [--kept FOLDER] [--set iterations=3000] [--way NAME=VALUE,...]

SCENE is a file of `python -m benchmarks.scenes`. Its parts are its clips, or the halves of its only clip; part --new
(counted from 0) comes late. Poses and points are those of all pictures. Each part has held-out blocks of its own:
*old* and *new* are their means. Rows: the generation before (the old parts alone, from points), all parts from points,
and each --way to go on. CPU seconds are of the training, with what a way does before its first step; poses are not
counted. With --kept the generation before and the whole are trained once, and read from there afterwards.

A way is a list of these, each with a default:
    steps=0.53    of those of the whole
    kept=0.55     of the cap: Gaussians of the generation before that add most to the old training views
    late=0.8      share of the plan after which it is about all views alike, see the next three
    often=4       how often a new view is shown, for once an old one ...
    last=2        ... and from `late` on
    size=2        old views are shown at full size divided by this at most; from `late` on as the new ones
    opacity=0.1   that all begin with; 0: the earlier ones keep theirs
    error=0       a place begins anew where the earlier Gaussians are off by more in the new views, 0..1;
                  0: where no earlier view saw the sparse point
    begin=0       share of the schedules that is left out
    rates=1       of the learning rates
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.scenes import load_scene
from benchmarks.training import changed
from runner.context import StageContext
from runner.dataset.holdout import assign_split
from runner.pipeline.presets import preset
from runner.quality.evaluate import score_split
from runner.raster import parameters, rasterizer
from runner.scene.gaussians import SH_C0, Gaussians
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene
from runner.training import optimiser
from runner.training.densify import DefaultDensifier
from runner.training.initialise import initial_gaussians
from runner.training.loop import take_steps, train
from runner.training.schedule import Plan, downscale, recipe_of
from runner.training.settings import TrainSettings
from runner.training.start import Run, prepare
from runner.training.state import TrainingState
from runner.training.targets import TrainingImage, TrainingImages

UNSAVED = StageContext(Path(), SILENT)
AROUND = 2  # pixels about a point that its error is the mean of


@dataclass(frozen=True)
class Way:
    """How to go on, see the head of this file."""

    steps: float = 0.53
    kept: float = 0.55
    late: float = 0.8
    often: float = 4.0
    last: float = 2.0
    size: int = 2
    opacity: float = 0.1
    error: float = 0.0
    begin: float = 0.0
    rates: float = 1.0

    def __str__(self) -> str:
        return ", ".join(f"{field.name} {getattr(self, field.name):g}" for field in fields(self))


class ImagesBySize(TrainingImages):
    """Images of several sizes in turns: each size keeps its own ready."""

    def __init__(self, scene: TrainingScene, device: torch.device) -> None:
        self._of_size = {divisor: TrainingImages(scene, device) for divisor in (1, 2, 4)}

    def leave_out(self, moving: Mapping[int, NDArray[np.bool_]]) -> None:
        for images in self._of_size.values():
            images.leave_out(moving)

    def get(self, index: int, divisor: int) -> TrainingImage:
        return self._of_size[divisor].get(index, divisor)


@dataclass(frozen=True)
class Extension(Run):
    """A training whose old views are shown less often than the new ones, and smaller."""

    way: Way
    order: tuple[int, ...]  # the view of each step
    old: frozenset[int]  # views

    def shown(self, step: int, share: float) -> tuple[int, int]:
        view = self.order[step]
        divisor = downscale(share, self.recipe)
        return view, max(divisor, self.way.size) if view in self.old and share < self.way.late else divisor


def order_of(old: list[int], new: list[int], plan: Plan, way: Way, seed: int) -> tuple[int, ...]:
    """The view of each step: old and new ones evenly mixed, each in rounds that go once through all of them."""
    rng = np.random.default_rng(seed)
    left: tuple[list[int], list[int]] = [], []
    order, owed = [], 0.0
    for step in range(plan.steps):
        times = way.last if plan.share(step) >= way.late else way.often
        owed += len(old) / (len(old) + times * len(new))
        late = owed < 1
        owed -= not late
        if not left[late]:
            left[late].extend(rng.permutation(new if late else old).tolist())
        order.append(left[late].pop())
    return tuple(order)


def parted(scene: TrainingScene) -> tuple[TrainingScene, NDArray[np.intp]]:
    """The scene with held-out blocks in each part; the part of each view."""
    clips = sorted({view.video for view in scene.views})
    times = np.array([view.timestamp_s for view in scene.views])
    part = np.array([clips.index(view.video) for view in scene.views])
    if len(clips) == 1:
        part = (times > np.median(times)).astype(np.intp)
    split = np.empty(len(part), object)
    for one in np.unique(part):
        of_it = np.flatnonzero(part == one)
        split[of_it] = assign_split([("", float(times[index])) for index in of_it])
    views = tuple(replace(view, split=str(its)) for view, its in zip(scene.views, split, strict=True))
    return replace(scene, views=views), part


def with_views(scene: TrainingScene, chosen: NDArray[np.bool_]) -> TrainingScene:
    """What is known where only these views are: they, and the points that two of them see."""
    kept = np.flatnonzero(chosen)
    number = np.cumsum(chosen) - 1
    seen = chosen[scene.sightings[:, 0]]
    tracks = np.bincount(scene.sightings[seen, 1], minlength=len(scene.points))
    known = tracks >= 2
    rows = seen & known[scene.sightings[:, 1]]
    sightings = np.stack([number[scene.sightings[rows, 0]], (np.cumsum(known) - 1)[scene.sightings[rows, 1]]], axis=1)
    return replace(
        scene,
        views=tuple(scene.views[index] for index in kept),
        pixels=tuple(scene.pixels[index] for index in kept),
        points=scene.points[known],
        colors=scene.colors[known],
        point_errors=scene.point_errors[known],
        track_lengths=tracks[known].astype(np.int32),
        sightings=sightings.astype(np.int32),
        seen_at=scene.seen_at[rows] if len(scene.seen_at) else scene.seen_at,
    )


def contributions(run: Run, gaussians: Gaussians, views: list[int]) -> NDArray[np.float32]:
    """[N] sum over the pixels of these views, at half the size, of the weights that blending gives each Gaussian.

    It is the gradient of the sum of all pixels by the colour.
    """
    params = {name: value.detach() for name, value in parameters.parameters(gaussians, run.rasterizer.device).items()}
    params["sh0"] = torch.zeros_like(params["sh0"], requires_grad=True)
    for view in views:
        image = run.images.get(view, 2)
        drawn = run.rasterizer.render(
            params, image.world_to_camera.float(), image.K, image.width, image.height,
            sh_degree=0, background=run.background, absgrad=False,
        )  # fmt: skip
        drawn.image.sum().backward()
    added: NDArray[np.float32] = params["sh0"].grad[:, 0, 0].numpy() / SH_C0  # type: ignore[index]
    return added


@torch.no_grad()
def errors_at_points(run: Run, gaussians: Gaussians, new: list[int]) -> NDArray[np.float64]:
    """[P] mean over the new training views that see a sparse point of how far off the Gaussians are there; else 0."""
    params = parameters.parameters(gaussians, run.rasterizer.device)
    scene = run.scene
    total, views = np.zeros(len(scene.points)), np.zeros(len(scene.points))
    for view in new:
        image = run.images.get(view, 1)
        drawn = run.rasterizer.render(
            params, image.world_to_camera.float(), image.K, image.width, image.height,
            sh_degree=run.settings.sh_degree, background=run.background, absgrad=False,
        )  # fmt: skip
        off = (drawn.image - torch.as_tensor(scene.pixels[view]).float() / 255).abs().mean(dim=-1)[None, None]
        off = torch.nn.functional.avg_pool2d(off, 2 * AROUND + 1, 1, AROUND, count_include_pad=False)[0, 0].numpy()
        of_view = scene.sightings[:, 0] == view
        points = scene.sightings[of_view, 1]
        u, v = scene.seen_at[of_view].T
        K = scene.views[view].K
        column = np.clip(K[0, 0] * u + K[0, 2], 0, image.width - 1).astype(int)
        row = np.clip(K[1, 1] * v + K[1, 2], 0, image.height - 1).astype(int)
        np.add.at(total, points, off[row, column])
        np.add.at(views, points, 1)
    return total / np.maximum(views, 1)


def extended(
    scene: TrainingScene, late: NDArray[np.bool_], before: Gaussians, settings: TrainSettings, way: Way, backend: Any
) -> tuple[Gaussians, float, str]:
    """The scene of all views, gone on from the Gaussians before; CPU seconds; what it began with."""
    begun_s = time.process_time()
    settings = replace(settings, iterations=round(settings.iterations * way.steps))
    run = prepare(scene, UNSAVED, settings, backend, recipe_of(settings), None, time.process_time)
    old = [index for index in run.train_views if not late[index]]
    new = [index for index in run.train_views if late[index]]
    most = round(way.kept * settings.cap)
    added = contributions(run, before, old)
    earlier = before.subset(np.sort(np.argsort(-added)[:most]))
    if way.error:
        anew = errors_at_points(run, earlier, new) > way.error
    else:
        anew = np.ones(len(scene.points), bool)
        anew[scene.sightings[~late[scene.sightings[:, 0]], 1]] = False
    recipe = run.recipe
    places = replace(
        scene, points=scene.points[anew], colors=scene.colors[anew], point_errors=scene.point_errors[anew],
        track_lengths=scene.track_lengths[anew],
    )  # fmt: skip
    begun = initial_gaussians(
        places, cap=settings.cap - earlier.count, sh_degree=settings.sh_degree, opacity=recipe.initial_opacity,
        scale=recipe.initial_scale, seed=settings.seed,
    )  # fmt: skip
    if way.opacity:
        logit = np.float32(np.log(way.opacity / (1 - way.opacity)))
        earlier = replace(earlier, opacity_logits=np.full(earlier.count, logit))
    together = Gaussians(
        **{name: np.concatenate([value, getattr(begun, name)]) for name, value in vars(earlier).items()}
    )
    params = parameters.parameters(together, backend.device)
    optimizers = optimiser.optimizers(params)
    plan = Plan(settings.iterations / (1 - way.begin), 0, way.begin)
    densifier = DefaultDensifier(params, optimizers, plan, recipe, settings.cap, run.extent)
    inputs = {each.name: getattr(run, each.name) for each in fields(run)}
    inputs["images"] = ImagesBySize(scene, backend.device)
    order = order_of(old, new, plan, way, settings.seed)
    extension = Extension(**inputs, way=way, order=order, old=frozenset(old))
    state = TrainingState(params, optimizers, densifier, plan, rate_factor=way.rates)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        state.seconds = time.process_time() - begun_s
        take_steps(extension, state)
    shown = sum(view in extension.old for view in order)
    what = (
        f"{earlier.count:,} earlier and {begun.count:,} new, {shown} steps for old views, {state.step - shown} for new"
    )
    return parameters.to_gaussians(state.settled), state.seconds, what


def row(name: str, gaussians: Gaussians, seconds: float, scene: TrainingScene, late: NDArray[np.bool_]) -> str:
    params, backend = parameters.parameters(gaussians, torch.device("cpu")), rasterizer("cpu")
    views = {view.image: bool(its) for view, its in zip(scene.views, late, strict=True)}
    score = score_split(params, scene, backend, "test").views
    cells = [name, f"{gaussians.count:,}", f"{seconds:.0f}"]
    for part in ((False,), (True,), (False, True)):
        of_it = [view for view in score if views[view.image] in part]
        cells += [f"{np.mean([view.psnr for view in of_it]):.2f}, {np.mean([view.ssim for view in of_it]):.3f}"]
    return f"| {' | '.join(cells)} |"


def from_points(
    name: str, scene: TrainingScene, settings: TrainSettings, backend: Any, kept: Path | None
) -> tuple[Gaussians, float]:
    """Trained as ever, or what was kept of it."""
    path = kept / f"{name}.npz" if kept else None
    if path and path.exists():
        with np.load(path) as data:
            return Gaussians(**{key: data[key] for key in data if key != "seconds"}), float(data["seconds"])
    train(scene, UNSAVED, replace(settings, iterations=12), backend, save_s=None)  # compiles
    trained = train(scene, UNSAVED, settings, backend, save_s=None, clock=time.process_time)
    if path:
        path.parent.mkdir(parents=True, exist_ok=True)
        np.savez(path, seconds=trained.wall_s, **vars(trained.gaussians))
    return trained.gaussians, trained.wall_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scene", type=Path)
    parser.add_argument("--new", type=int, required=True, help="the part that comes late, from 0")
    parser.add_argument("--preset", default="laptop")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="change a training setting")
    parser.add_argument("--way", action="append", default=[], metavar="NAME=VALUE,...", help="a way to go on")
    parser.add_argument("--kept", type=Path, help="folder for what was trained from points")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    usual = replace(preset(args.preset).train, budget_s=1e9, exposure="off", evaluations=1)
    settings = changed(usual, args.set)
    scene, part = parted(load_scene(args.scene))
    late = part == args.new
    backend = rasterizer("cpu")
    label = f"{args.scene.stem}-{settings.iterations}-{settings.cap}-{settings.seed}"
    counts = [sum(view.split == split and its == x for view, its in zip(scene.views, late, strict=True))
              for x in (False, True) for split in ("train", "test")]  # fmt: skip
    print(f"old: {counts[0]} training, {counts[1]} held out; new: {counts[2]}, {counts[3]}", flush=True)
    print("| way | Gaussians | CPU s | old dB, SSIM | new | both |\n| --- | --- | --- | --- | --- | --- |", flush=True)
    before, before_s = from_points(f"{label}-before-{args.new}", with_views(scene, ~late), settings, backend, args.kept)
    print(row("the generation before", before, before_s, scene, late), flush=True)
    whole, whole_s = from_points(f"{label}-whole", scene, settings, backend, args.kept)
    print(row("from points", whole, whole_s, scene, late), flush=True)
    for text in args.way:
        way = changed(Way(), [change for change in text.split(",") if change])
        gaussians, seconds, what = extended(scene, late, before, settings, way, backend)
        print(row(f"{way} ({what}; {seconds / whole_s:.2f} of the CPU s)", gaussians, seconds, scene, late), flush=True)


if __name__ == "__main__":
    main()
