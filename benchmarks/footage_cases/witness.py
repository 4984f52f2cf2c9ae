"""The table of the witnesses: `python -m benchmarks.footage_cases.witness WORK [--program FOLDER] [--only NAME ...]`.

Each set of footage becomes views with cameras once (preset smoke, kept in WORK); then its cameras are made wrong in
several ways, each is trained anew, and the witnesses of runner/quality/witness.py are asked. Prints a row for each, and
at the end what the limits would be with each set left out, and whether they are right about it.
--program: a checkout without masks and crops (commit f85ac23), by which the sets of NO_MASKS are made: their stamps and
bars ruin what is made of them, and the witness has to see it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from benchmarks.footage_cases.case import NotHere, footage
from local.footage.film import make_demo_footage
from runner.context import StageContext
from runner.dataset.build import load_views
from runner.pipeline.presets import PRESETS
from runner.postprocess.floaters import clean
from runner.quality.evaluate import evaluate
from runner.quality.witness import doubts, examine
from runner.raster import rasterizer as make_rasterizer
from runner.scene.geometry import camera_positions
from runner.scene.progress import SILENT
from runner.scene.views import TrainingScene
from runner.training.loop import train
from tests.hard_inputs import changed, film, noisy
from tests.videos import write_video

ROOT = Path(__file__).resolve().parents[2]
SMALL_ROOM = {"MIN_VIDEO_WIDTH": "320", "MIN_VIDEO_HEIGHT": "240", "MIN_RECONSTRUCTION_POINTS": "300"}
Array = NDArray[np.float64]


def room(name: str) -> Callable[[Path], Sequence[Path]]:
    """A clip of tests/hard_inputs.py."""
    films = {
        "room": film,
        "exposure": lambda: changed(film(), lambda i, p: p * (0.5 if i // 10 % 2 else 1.0)),
        "compressed": lambda: film(crf=47),
        "noise": lambda: changed(film(), lambda i, p: noisy(i, p, 12.0)),
    }

    def make(folder: Path) -> Sequence[Path]:
        made = films[name]()
        return [write_video(folder / f"{name}.mp4", made.pictures, fps=15, crf=made.crf)]

    return make


SETS: dict[str, Callable[[Path], Sequence[Path]]] = {
    "fox": lambda _: [footage(f"fox/view{number}.mp4") for number in (1, 2, 3)],
    "walk": lambda _: [footage("walk/walk.mp4")],
    "sceaux": lambda _: sorted(footage("sceaux_photos").glob("*.jpg")),
    "banana": lambda _: sorted(footage("banana_photos").glob("*.jpg")),
    "demo": lambda folder: make_demo_footage(folder),
    **{name: room(name) for name in ("room", "exposure", "compressed", "noise")},
}
NO_MASKS: dict[str, Callable[[Path], Sequence[Path]]] = {
    "stamp": lambda _: [footage(f"reports/03_burned_in_stamp_view{number}.mp4") for number in (1, 2, 3)],
    "bars": lambda _: [footage(f"reports/05_pillarbox_view{number}.mp4") for number in (1, 2, 3)],
}
ROOMS = frozenset({"room", "exposure", "compressed", "noise"})


@dataclass(frozen=True)
class Row:
    """One scene: a set of footage, and what was done to its cameras."""

    name: str
    cameras: str
    wrong: bool  # whether it must be doubted
    psnr_train: float
    psnr_heldout: float | None
    unexplained: float | None
    share: float | None
    by_chance: float | None
    gain_train: float | None
    gain_heldout: float | None
    doubted: bool
    witness_s: float  # CPU seconds

    def line(self) -> str:
        def number(value: float | None, digits: int) -> str:
            return "" if value is None else f"{value:.{digits}f}"

        verdict = "doubted" if self.doubted else "passes"
        verdict = verdict if self.doubted == self.wrong else f"**{verdict}**"
        cells = [
            self.name, self.cameras, number(self.psnr_train, 1), number(self.psnr_heldout, 1),
            number(self.unexplained, 2), number(self.share, 2), number(self.by_chance, 2), number(self.gain_train, 1),
            number(self.gain_heldout, 1), verdict, number(self.witness_s, 1),
        ]  # fmt: skip
        return f"| {' | '.join(cells)} |"


HEADER = """| set | cameras | train dB | held-out dB | unexplained | agreement | by chance | gain train | gain held-out | verdict | CPU s |
| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | --- | ---: |"""  # noqa: E501


def _scattered(by: float) -> Callable[[Array, Array, float], tuple[Array, Array]]:
    """Every camera moved by so much of the path's size in some direction, and turned by half a degree per cent."""

    def change(centres: Array, rotations: Array, size: float) -> tuple[Array, Array]:
        rng = np.random.default_rng(0)
        steps, axes = rng.normal(size=(2, *centres.shape))
        steps, axes = (each / np.linalg.norm(each, axis=1)[:, None] for each in (steps, axes))
        return centres + size * by * steps, Rotation.from_rotvec(np.radians(50 * by) * axes).as_matrix() @ rotations

    return change


def _some(share: float) -> Callable[[Array, Array, float], tuple[Array, Array]]:
    """A share of the cameras is far off, the others are right."""

    def change(centres: Array, rotations: Array, size: float) -> tuple[Array, Array]:
        bad = np.random.default_rng(0).permutation(len(centres))[: round(share * len(centres))]
        moved, turned = _scattered(0.4)(centres, rotations, size)
        centres, rotations = centres.copy(), rotations.copy()
        centres[bad], rotations[bad] = moved[bad], turned[bad]
        return centres, rotations

    return change


def _mirrored(centres: Array, rotations: Array, _: float) -> tuple[Array, Array]:
    """The second half of the cameras, mirrored across the middle of the path."""
    middle, half = centres.mean(axis=0), np.arange(len(centres)) >= len(centres) // 2
    along = np.linalg.svd(centres - middle)[2][0]
    mirror, flip = np.eye(3) - 2 * np.outer(along, along), np.diag([-1.0, 1.0, 1.0])
    return (
        np.where(half[:, None], middle + (centres - middle) @ mirror, centres),
        np.where(half[:, None, None], flip @ rotations @ mirror, rotations),
    )


def _drifted(centres: Array, rotations: Array, size: float) -> tuple[Array, Array]:
    """A random walk that ends 30 % of the path's size and 15 degrees away."""
    rng = np.random.default_rng(0)
    axis, walk = rng.normal(size=3), np.cumsum(rng.normal(size=centres.shape), axis=0)
    turns = np.radians(15) * np.linspace(0, 1, len(centres))[:, None] * axis / np.linalg.norm(axis)
    moved = centres + 0.3 * size * walk / np.linalg.norm(walk[-1])
    return moved, Rotation.from_rotvec(turns).as_matrix() @ rotations


def _parted(centres: Array, rotations: Array, size: float) -> tuple[Array, Array]:
    """The second half as a whole 20 % of the path's size and 10 degrees away: two parts joined at the wrong place."""
    half = np.arange(len(centres)) >= len(centres) // 2
    turn = Rotation.from_rotvec([0.0, np.radians(10), 0.0]).as_matrix()
    return (
        np.where(half[:, None], centres + 0.2 * size * np.array([1.0, 0.3, 0.5]), centres),
        np.where(half[:, None, None], rotations @ turn, rotations),
    )


def _swapped(centres: Array, rotations: Array, _: float) -> tuple[Array, Array]:
    """Every picture has the camera of another one."""
    order = np.random.default_rng(0).permutation(len(centres))
    return centres[order], rotations[order]


CHANGES: dict[str, Callable[[Array, Array, float], tuple[Array, Array]]] = {
    "as found": lambda centres, rotations, _: (centres, rotations),
    "2 %, 1 deg": _scattered(0.02),
    "5 %, 2.5 deg": _scattered(0.05),
    "20 %, 10 deg": _scattered(0.2),
    "40 %, 20 deg": _scattered(0.4),
    "30 % of them 40 %": _some(0.3),
    "half mirrored": _mirrored,
    "drift 30 %, 15 deg": _drifted,
    "two parts": _parted,
    "swapped": _swapped,
}


def with_cameras(scene: TrainingScene, change: Callable[[Array, Array, float], tuple[Array, Array]]) -> TrainingScene:
    """The scene with other cameras; its pictures and sparse points stay."""
    centres = camera_positions(scene.views)
    rotations = np.array([view.world_to_camera[:3, :3] for view in scene.views])
    size = float(np.linalg.norm(centres - centres.mean(axis=0), axis=1).mean())
    views = []
    for view, centre, rotation in zip(scene.views, *change(centres, rotations, size), strict=True):
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = rotation, -rotation @ centre
        views.append(replace(view, world_to_camera=pose))
    return replace(scene, views=tuple(views))


def made(name: str, work: Path, program: Path) -> TrainingScene:
    """The views of a set, made by a checkout's own command where they are not in the folder yet. Raises NotHere."""
    out = work / name
    if not (out / "metrics.json").is_file():
        with tempfile.TemporaryDirectory() as temporary:
            files = (SETS | NO_MASKS)[name](Path(temporary))
            subprocess.run(
                [str(program / ".venv/bin/python"), "-m", "runner", "scene", *map(str, files), "--out", str(out),
                 "--name", "scene", "--preset", "smoke", "--keep-workspace", "--quiet"],
                cwd=program, check=True, env={**os.environ, **(SMALL_ROOM if name in ROOMS else {})},
            )  # fmt: skip
    return load_views(out / "workspace")


def measured(name: str, cameras: str, scene: TrainingScene, wrong: bool) -> Row:
    """Trains, cleans, scores and asks."""
    rasterizer = make_rasterizer("cpu", 1)
    settings = replace(PRESETS["smoke"].train, budget_s=600.0)
    trained = train(scene, StageContext(Path("unused"), SILENT), settings, rasterizer, save_s=None)
    gaussians, _ = clean(trained.gaussians, scene, rasterizer, SILENT)
    scores = evaluate(gaussians, scene, rasterizer)
    begun_s = time.process_time()
    witness = examine(scene, scores, SILENT, "clean_up")
    spent_s = time.process_time() - begun_s
    return Row(
        name, cameras, wrong, scores.train.psnr or 0.0, scores.test.psnr, witness.unexplained_share, witness.share,
        witness.by_chance, witness.train_gain_db, witness.heldout_gain_db, bool(doubts(witness)), spent_s,
    )  # fmt: skip


def left_out(rows: Sequence[Row]) -> str:
    """For each set: limits from all others, and what they are wrong about in it.

    A limit lies a third of the way from the worst right scene of the others to their median wrong one.
    """
    lines = [
        "",
        "| set left out | limit unexplained | limit gain train | wrong about it |",
        "| --- | ---: | ---: | --- |",
    ]
    for name in dict.fromkeys(row.name for row in rows):
        others, own = [row for row in rows if row.name != name], [row for row in rows if row.name == name]
        good, bad = ([row for row in others if row.wrong is wrong] for wrong in (False, True))
        if not good or not bad:
            continue
        worst = max(row.unexplained or 0.0 for row in good)
        unexplained = worst + (float(np.median([row.unexplained or 0.0 for row in bad])) - worst) / 3
        least = min(row.gain_train or 0.0 for row in good)
        gain = least - (least - float(np.min([row.gain_train or 0.0 for row in bad]))) / 3
        missed = [
            row.cameras for row in own
            if ((row.unexplained or 0.0) > unexplained or (row.gain_train or 0.0) < gain) is not row.wrong
        ]  # fmt: skip
        lines.append(f"| {name} | {unexplained:.2f} | {gain:.1f} | {', '.join(missed) or 'nothing'} |")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=Path, help="folder for workspaces and rows; what is there is not made again")
    parser.add_argument("--program", type=Path, help="checkout of a commit without masks and crops, with its own .venv")
    parser.add_argument("--only", nargs="+", default=[], metavar="SET")
    options = parser.parse_args()
    rows: list[Row] = []
    print(HEADER, flush=True)
    for name in (*SETS, *(NO_MASKS if options.program else ())):
        if options.only and name not in options.only:
            continue
        for cameras, change in CHANGES.items() if name in SETS else [("as found", CHANGES["as found"])]:
            kept = options.work / "rows" / f"{name}, {cameras.replace('%', 'pc')}.json"
            if kept.is_file():
                row = Row(**json.loads(kept.read_text(encoding="utf-8")))
            else:
                try:
                    scene = made(name, options.work, options.program if name in NO_MASKS else ROOT)
                except NotHere as exc:
                    print(f"{name}: {exc}", file=sys.stderr)
                    break
                wrong = name in NO_MASKS or cameras != "as found"
                row = measured(name, cameras, with_cameras(scene, change), wrong)
                kept.parent.mkdir(parents=True, exist_ok=True)
                kept.write_text(json.dumps(vars(row)), encoding="utf-8")
            rows.append(row)
            print(row.line(), flush=True)
    print(left_out(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
