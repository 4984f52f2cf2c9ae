"""Training on a GPU, measured: our presets against gsplat's own defaults, and gsplat's pictures against our kernels'.

    python -m benchmarks.gpu SCENES_DIR [--toy] [--out FILE]

SCENES_DIR has a folder per preset with files of `python -m benchmarks.scenes --preset`; benchmarks/gpu.sh makes them.
gsplat's defaults are its DefaultStrategy with the numbers of its example trainer, 7,000 and 30,000 steps, on the views
of the preset `standard`. Without a GPU only --toy runs: the same code on the CPU kernels, a hundredth of the steps; its
numbers mean nothing.

Exit code 1 when the rasterisers differ by more than 1e-3 in more than a hundredth of the pixels of the held-out views.
Not in any pixel: where two Gaussians have one depth in float32, either may be drawn first, and where a contribution is
1/255 to the last bit, either may skip it. tests/gpu holds every pixel of a scene without such cases to 1e-3.
"""

from __future__ import annotations

import argparse
import datetime
import gc
import os
import platform
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.baselines import PAPER, first_steps
from benchmarks.scenes import load_scene

RESULT = Path(__file__).parent / "results" / "gpu.md"
PRESETS = ("draft", "standard", "high")
DEFAULTS_ON = "standard"  # the preset whose views gsplat's defaults are trained on
DEFAULT_STEPS = (7_000, 30_000)
NO_CAP = 10**7
AGREE = 1e-3  # colour, 0..1
MAY_DIFFER = 0.01  # of the pixels
TOY_PART, TOY_CAP = 100, 3_000


@dataclass(frozen=True)
class Row:
    """One training."""

    scene: str
    run: str
    pictures: str  # "43 of 1280 x 720"
    steps: int
    gaussians: int
    wall_s: float
    peak_gib: float | None  # of the device's memory, as torch allocated it; None on the CPU
    psnr: float
    psnr_corrected: float
    ssim: float
    differing: float  # share of the held-out pixels in which the rasterisers differ by more than AGREE

    def __str__(self) -> str:
        memory = "" if self.peak_gib is None else f"{self.peak_gib:.2f}"
        return (
            f"| {self.scene} | {self.run} | {self.pictures} | {self.steps:,} | {self.gaussians:,} | {self.wall_s:.0f} "
            f"| {memory} | {self.psnr:.2f} | {self.psnr_corrected:.2f} | {self.ssim:.3f} | {100 * self.differing:.2f} |"
        )


HEADER = (
    "| scene | run | pictures | steps | Gaussians | wall s | peak GiB | held-out dB | exposure-corrected dB | SSIM "
    "| CPU and GPU differ by > 1e-3, % of pixels |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
)


def plans(folder: Path, toy: bool) -> list[tuple[str, Path, Any, Any]]:
    """What is trained: name of the run, scene, settings and recipe."""
    from runner.pipeline.presets import preset
    from runner.training.schedule import recipe_for

    found = []
    for name in PRESETS:
        settings = replace(preset(name).train, budget_s=1e9)
        found += [(name, path, settings, recipe_for(settings.strategy)) for path in scenes(folder, name)]
    settings = replace(preset(DEFAULTS_ON).train, budget_s=1e9, strategy="default", cap=NO_CAP, exposure="off")
    for steps in DEFAULT_STEPS:
        begun = replace(settings, iterations=steps)
        name = f"gsplat's defaults, {steps:,} steps"
        found += [(name, path, begun, first_steps(PAPER, steps)) for path in scenes(folder, DEFAULTS_ON)]
    if toy:
        found = [(name, path, shrunk(settings), recipe) for name, path, settings, recipe in found]
    return sorted(found, key=lambda each: each[1].stem)


def scenes(folder: Path, preset_name: str) -> list[Path]:
    """Raises SystemExit when there are none."""
    paths = sorted((folder / preset_name).glob("*.npz"))
    if not paths:
        raise SystemExit(f"{folder / preset_name} holds no scene; make them with python -m benchmarks.scenes")
    return paths


def shrunk(settings: Any) -> Any:
    """The same training, small enough to show that the code runs."""
    return replace(settings, iterations=settings.iterations // TOY_PART, cap=min(settings.cap, TOY_CAP))


def measure(name: str, path: Path, settings: Any, recipe: Any, backend: Any, other: Any) -> Row:
    """One training on `backend`, scored, and drawn by `other` as well."""
    import torch

    from runner.context import StageContext
    from runner.quality.evaluate import evaluate
    from runner.scene.progress import SILENT
    from runner.training.loop import train

    scene = load_scene(path)
    cuda = backend.device.type == "cuda"
    gc.collect()
    if cuda:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    begun_s = time.monotonic()
    trained = train(
        scene, StageContext(Path(), SILENT), replace(settings, evaluations=1), backend, recipe=recipe, save_s=None
    )
    wall_s = time.monotonic() - begun_s  # the last look at the held-out views has waited for the device
    peak_gib = torch.cuda.max_memory_allocated() / 2**30 if cuda else None
    score = evaluate(trained.gaussians, scene, backend).test
    view = scene.views[0]
    return Row(
        scene=path.stem,
        run=name,
        pictures=f"{len(scene.subset('train'))} of {view.width} x {view.height}",
        steps=trained.steps,
        gaussians=trained.gaussians.count,
        wall_s=wall_s,
        peak_gib=peak_gib,
        psnr=score.psnr or 0.0,
        psnr_corrected=score.psnr_corrected or 0.0,
        ssim=score.ssim or 0.0,
        differing=differing(trained.gaussians, scene, backend, other),
    )


def differing(gaussians: Any, scene: Any, one: Any, other: Any) -> float:
    """The share of the pixels of the held-out views that two rasterisers draw differently."""
    from runner.quality.evaluate import render_view
    from runner.raster import parameters

    params = [parameters.parameters(gaussians, backend.device) for backend in (one, other)]
    shares = []
    for index in scene.subset("test"):
        drawn = [
            render_view(values, scene.views[index], backend).cpu()
            for values, backend in zip(params, (one, other), strict=True)
        ]
        shares.append(float(((drawn[0] - drawn[1]).abs().amax(dim=-1) > AGREE).float().mean()))
    return sum(shares) / max(1, len(shares))


def heading(toy: bool) -> str:
    import gsplat
    import torch

    device = "no GPU: toy size on the CPU, the numbers mean nothing" if toy else torch.cuda.get_device_name()
    return (
        "# Training on a GPU\n\n"
        f"`benchmarks/gpu.sh`, {datetime.date.today()}; {device}; torch {torch.__version__}, gsplat "
        f"{gsplat.__version__}, Python {platform.python_version()}. Seed 0, one run per row.\n"
        "Exposure-corrected: a gain and a bias per channel fitted to each held-out picture itself.\n"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("scenes", type=Path)
    parser.add_argument("--toy", action="store_true", help="on the CPU, tiny: shows that the code runs")
    parser.add_argument("--out", type=Path, help=f"where the table goes (default {RESULT.name}; with --toy nowhere)")
    args = parser.parse_args()
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from runner.raster import rasterizer

    names = ("cpu", "torch") if args.toy else ("gsplat", "cpu")
    backend, other = (rasterizer(name) for name in names)  # raises NO_GPU with its advice
    print(heading(args.toy) + "\n" + HEADER, flush=True)
    rows = []
    for plan in plans(args.scenes, args.toy):
        rows.append(measure(*plan, backend, other))
        print(rows[-1], flush=True)
    out = args.out or (None if args.toy else RESULT)
    if out:
        lines = "\n".join(str(row) for row in rows)
        out.write_text(f"{heading(args.toy)}\n{HEADER}\n{lines}\n", encoding="utf-8")
    worst = max(row.differing for row in rows)
    if worst > MAY_DIFFER:
        print(f"the rasterisers {names} differ in {100 * worst:.1f} % of the pixels", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
