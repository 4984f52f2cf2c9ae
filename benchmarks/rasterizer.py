"""How fast is one training step on a CPU, and how exact are its gradients?

    python benchmarks/rasterizer.py            # about four minutes on two cores; writes results/rasterizer.md

Compares the compiled kernels with a fair plain-torch implementation of the same step (tiles in groups of similar
length, mkldnn convolutions for SSIM), in one process and interleaved, on a synthetic garden that needs no files. CPU
time (user + system of all threads) is compared because it hardly depends on what else the machine does.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: spinning threads would count as work

import argparse
import datetime
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from runner.raster import Rasterizer, rasterizer
from runner.raster.kernels.projection import project
from runner.raster.kernels.tiles import bin_tiles, front_to_back
from runner.training.loss import Target, photometric_loss, torch_loss

RESULT = Path(__file__).parent / "results" / "rasterizer.md"
SIZES = ((400, 300, 20_000), (270, 480, 20_000))
VIEWS = 3
SSIM_WEIGHT = 0.2
SPREAD = 0.85  # standard deviation of a Gaussian in units of the spacing of its surface
MIN_SPEEDUP = 25.0
MAX_RSS_MB = 1200


@dataclass(frozen=True)
class Camera:
    world_to_camera: Tensor  # [4, 4]
    K: Tensor  # [3, 3]
    width: int
    height: int


def garden(count: int, seed: int = 0) -> dict[str, Tensor]:
    """Gaussians on a sphere, on the ground around it and on a far backdrop, as raw parameters.

    Sizes follow the spacing of the points, as after initialisation from a sparse model.
    """
    rng = np.random.default_rng(seed)
    ball, ground = int(0.3 * count), int(0.45 * count)
    backdrop = count - ball - ground
    sphere = rng.normal(size=(ball, 3))
    sphere /= np.linalg.norm(sphere, axis=1, keepdims=True)
    radius, angle = 4 * np.sqrt(rng.uniform(size=ground)), rng.uniform(0, 2 * np.pi, size=ground)
    disc = np.stack([radius * np.cos(angle), np.ones(ground), radius * np.sin(angle)], 1)
    angle = rng.uniform(0, 2 * np.pi, size=backdrop)
    wall = np.stack([8 * np.cos(angle), rng.uniform(-4, 1, size=backdrop), 8 * np.sin(angle)], 1)
    means = np.concatenate([sphere, disc, wall])
    areas = np.repeat([4 * np.pi / ball, 16 * np.pi / ground, 80 * np.pi / backdrop], [ball, ground, backdrop])
    spacing = np.sqrt(areas)  # between neighbours: y points down, one unit is the sphere's radius
    colors = 0.5 + 0.4 * np.sin(means * (3.0, 4.0, 5.0) + 2.0 * means[:, ::-1])
    values = {
        "means": means,
        "quats": rng.normal(size=(count, 4)),
        "scales": np.log(SPREAD * spacing[:, None] * rng.lognormal(0.0, 0.3, size=(count, 3))),
        "opacities": rng.normal(0.0, 1.5, size=count),
        "sh0": ((colors - 0.5) / 0.28209479)[:, None, :],
        "shN": rng.normal(0.0, 0.03, size=(count, 15, 3)),
    }
    return {key: torch.tensor(value, dtype=torch.float32) for key, value in values.items()}


def cameras(width: int, height: int) -> list[Camera]:
    """Around the sphere, looking at it; 60 degrees across the long side."""
    focal = max(width, height) / 2 / np.tan(np.radians(30))
    K = torch.tensor([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]], dtype=torch.float32)
    result = []
    for angle in np.linspace(0, 2 * np.pi, VIEWS, endpoint=False):
        eye = np.array([4.5 * np.cos(angle), -1.2, 4.5 * np.sin(angle)])
        forward = np.array([0.0, 0.2, 0.0]) - eye
        forward /= np.linalg.norm(forward)
        right = np.cross((0.0, 1.0, 0.0), forward)
        right /= np.linalg.norm(right)
        rotation = np.stack([right, np.cross(forward, right), forward])
        view = np.eye(4)
        view[:3, :3], view[:3, 3] = rotation, -rotation @ eye
        result.append(Camera(torch.tensor(view, dtype=torch.float32), K, width, height))
    return result


def intersections(params: dict[str, Tensor], camera: Camera) -> tuple[int, int]:
    """Gaussians seen, and (tile, Gaussian) pairs to blend."""
    view = camera.world_to_camera.double().numpy()
    K = camera.K.double().numpy()
    arrays = [params[key].numpy() for key in ("means", "quats", "scales", "opacities", "sh0", "shN")]
    intrinsics = np.array([K[0, 0], K[1, 1], K[0, 2], K[1, 2]])
    centre = -view[:3, :3].T @ view[:3, 3]
    splats, depths = project(*arrays, view, centre, intrinsics, camera.width, camera.height, 3, False)
    order = front_to_back(splats, depths)
    return len(order), len(bin_tiles(order, splats, camera.width, camera.height)[1])


class Step:
    """A full training step: render, loss, backward, Adam."""

    def __init__(self, draw: Rasterizer, loss: Callable[..., Tensor], start: dict[str, Tensor], views: list[Camera]):
        self.draw, self.loss, self.views = draw, loss, views
        self.params = {key: value.clone().requires_grad_() for key, value in start.items()}
        groups = [{"params": [value]} for value in self.params.values()]
        self.adam = torch.optim.Adam(groups, lr=1e-5, eps=1e-15)  # small, so that the picture stays comparable
        self.background = torch.zeros(3)

    def __call__(self, number: int, targets: list[Target]) -> None:
        camera = self.views[number % VIEWS]
        picture = self.draw.render(
            self.params, camera.world_to_camera, camera.K, camera.width, camera.height,
            sh_degree=3, background=self.background,
        )  # fmt: skip
        self.loss(picture.image, targets[number % VIEWS], SSIM_WEIGHT).backward()
        self.adam.step()
        self.adam.zero_grad()


def timed(step: Step, targets: list[Target], repeats: int) -> float:
    """CPU ms per step."""
    begin = time.process_time()
    for number in range(repeats):
        step(number, targets)
    return (time.process_time() - begin) / repeats * 1e3


def compare(width: int, height: int, count: int, rounds: int) -> dict[str, float]:
    """One row of the table."""
    views, start = cameras(width, height), garden(count)
    compiled, plain = rasterizer("cpu"), rasterizer("torch")
    shifted = {**start, "sh0": start["sh0"] * 0.8, "scales": start["scales"] - 0.3}
    with torch.no_grad():
        pictures = [
            compiled.render(
                shifted, c.world_to_camera, c.K, width, height, sh_degree=3, background=torch.zeros(3)
            ).image
            for c in views
        ]
    targets = [Target(picture) for picture in pictures]
    steps = {
        "compiled": (Step(compiled, photometric_loss, start, views), 12),
        "torch": (Step(plain, torch_loss, start, views), VIEWS),
    }
    times: dict[str, list[float]] = {name: [] for name in steps}
    for step, _ in steps.values():
        timed(step, targets, VIEWS)  # compiles, fills caches
    for _ in range(rounds):
        for name, (step, repeats) in steps.items():
            times[name].append(timed(step, targets, repeats))
    seen, pairs = (
        round(statistics.mean(values)) for values in zip(*(intersections(start, c) for c in views), strict=True)
    )
    row: dict[str, float] = {"width": width, "height": height, "count": count, "seen": seen, "pairs": pairs}
    for name, values in times.items():
        row[f"{name}_min"], row[f"{name}_median"] = min(values), statistics.median(values)
    row["speedup"] = row["torch_min"] / row["compiled_min"]
    return row


def gradient_errors() -> dict[str, float]:
    """Relative L2 error of the compiled float32 gradients against plain torch in float64, per tensor."""
    camera, start = cameras(200, 152)[0], garden(4000, seed=1)
    generator = torch.Generator().manual_seed(0)
    weights = torch.randn(camera.height, camera.width, 3, generator=generator, dtype=torch.float64)
    gradients = {}
    for name, kind in (("cpu", torch.float32), ("torch", torch.float64)):
        params = {key: value.to(kind, copy=True).requires_grad_() for key, value in start.items()}
        picture = rasterizer(name).render(
            params, camera.world_to_camera.to(kind), camera.K.to(kind), camera.width, camera.height,
            sh_degree=3, background=torch.full((3,), 0.3), antialiased=True,
        )  # fmt: skip
        (picture.image * weights.to(kind)).sum().backward()
        gradients[name] = {key: value.grad.double() for key, value in params.items()}
    return {
        key: float((gradients["cpu"][key] - truth).norm() / truth.norm()) for key, truth in gradients["torch"].items()
    }


def peak_memory(backend: str) -> float:
    """Peak resident MB of a process that does some steps with one backend at 400x300 / 20k."""
    command = [sys.executable, __file__, "--only", backend]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def steps_alone(backend: str) -> None:
    """The child of `peak_memory`: prints peak MB."""
    width, height, count = SIZES[0]
    views, start = cameras(width, height), garden(count)
    step = Step(rasterizer(backend), photometric_loss if backend == "cpu" else torch_loss, start, views)
    targets = [Target(torch.full((height, width, 3), 0.5)) for _ in views]
    timed(step, targets, 2 * VIEWS)
    print(own_peak_mb())


def own_peak_mb() -> float:
    """Peak resident MB of this program alone.

    Not `ru_maxrss` where there is a choice: Linux hands it on through exec, so a child starts with its parent's peak.
    """
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def machine() -> str:
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    names = [line.split(":", 1)[1].strip() for line in flags.splitlines() if line.startswith("model name")]
    vector = "AVX-512" if "avx512f" in flags else "AVX2" if "avx2" in flags else "no AVX2"
    return f"{os.cpu_count()} vCPU {names[0] if names else platform.machine()}, {vector}, shared with other work"


def report(rows: list[dict[str, float]], errors: dict[str, float], memory: dict[str, float], rounds: int) -> str:
    lines = [
        "# CPU rasteriser: one training step",
        "",
        f"`python benchmarks/rasterizer.py`, {datetime.date.today()}; {machine()};",
        f"Python {platform.python_version()}, torch {torch.__version__}, {torch.get_num_threads()} threads; "
        f"load average {os.getloadavg()[0]:.0f} at the end.",
        "",
        "CPU milliseconds per full step (render, L1 + SSIM, backward, Adam), minimum and median of "
        f"{rounds} interleaved rounds. Synthetic garden, SH degree 3.",
        "",
        "| image | Gaussians (seen) | tile pairs | compiled min / median | plain torch min / median | speed-up |",
        "|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['width']}x{row['height']} | {row['count']:,} ({row['seen']:,}) | {row['pairs']:,} "
        f"| {row['compiled_min']:.1f} / {row['compiled_median']:.1f} ms "
        f"| {row['torch_min']:.0f} / {row['torch_median']:.0f} ms | {row['speedup']:.0f}x |"
        for row in rows
    ]
    lines += [
        "",
        "Peak resident memory of a process that trains at 400x300 / 20k, interpreter and libraries included:",
        "",
    ]
    lines += [f"- {name}: {value:.0f} MB" for name, value in memory.items()]
    lines += [
        "",
        "Gradient error against float64 (plain torch, antialiased, 200x152, 4,000 Gaussians), relative L2:",
        "",
        "| " + " | ".join(errors) + " |",
        "|" + "---|" * len(errors),
        "| " + " | ".join(f"{value:.1e}" for value in errors.values()) + " |",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="interleaved measurements per size (default 5)")
    parser.add_argument("--only", choices=("cpu", "torch"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        steps_alone(arguments.only)
        return 0
    rows = [compare(*size, arguments.rounds) for size in SIZES]
    errors = gradient_errors()
    memory = {"compiled": peak_memory("cpu"), "plain torch": peak_memory("torch")}
    text = report(rows, errors, memory, arguments.rounds)
    print(text)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text)
    missed = [row["speedup"] for row in rows if row["speedup"] < MIN_SPEEDUP]
    if missed or memory["compiled"] > MAX_RSS_MB:
        print(f"below the promise: at least {MIN_SPEEDUP:.0f}x and at most {MAX_RSS_MB} MB", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
