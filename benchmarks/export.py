"""Time of our exporters against gsplat's, in one run on one machine: `python -m benchmarks.export`.

CPU seconds of the process, medians, SH degree 3. Ours include the SHA-256, the flush to the disk and the check of every
value that the pipeline needs; gsplat's do not.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # before torch: its idle threads would count as CPU time

import gsplat
import numpy as np
import torch

from runner.export.ply import write_ply
from runner.export.splat import write_splat
from runner.scene.gaussians import Gaussians


def random_scene(count: int) -> Gaussians:
    rng = np.random.default_rng(0)

    def normal(*shape: int) -> np.ndarray:
        return rng.normal(0, 1, shape).astype(np.float32)

    return Gaussians(
        normal(count, 3), normal(count, 4), normal(count, 3) - 4, normal(count), normal(count, 3), normal(count, 15, 3)
    )


def gsplat_export(scene: Gaussians, path: Path, kind: str) -> None:
    gsplat.export_splats(
        means=torch.from_numpy(scene.means), scales=torch.from_numpy(scene.log_scales),
        quats=torch.from_numpy(scene.quats), opacities=torch.from_numpy(scene.opacity_logits),
        sh0=torch.from_numpy(scene.sh0)[:, None], shN=torch.from_numpy(scene.sh_rest), format=kind, save_to=str(path),
    )  # fmt: skip


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[20_000, 100_000, 1_000_000], help="Gaussians")
    parser.add_argument("--repetitions", type=int, default=7)
    chosen = parser.parse_args()

    print("| Gaussians | format | size, MB | ours, CPU s | gsplat, CPU s | gsplat / ours |")
    print("| ---: | --- | ---: | ---: | ---: | ---: |")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "scene"
        for count in chosen.sizes:
            scene = random_scene(count)
            for kind, write in (("ply", write_ply), ("splat", write_splat)):
                ours, theirs = [], []
                for _ in range(chosen.repetitions + 1):  # alternating, so that a busy neighbour hits both
                    theirs.append(cpu_seconds(lambda s=scene, k=kind: gsplat_export(s, path, k)))
                    ours.append(cpu_seconds(lambda s=scene, w=write: w(s, path)))
                a, b = statistics.median(ours[1:]), statistics.median(theirs[1:])  # the first one warms up
                size = path.stat().st_size / 1e6
                print(f"| {count:,} | {kind} | {size:.1f} | {a:.3f} | {b:.3f} | {b / a:.2f} |", flush=True)


if __name__ == "__main__":
    main()
