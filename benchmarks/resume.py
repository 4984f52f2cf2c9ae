"""Stopped or killed in the middle of training, finished on another machine: what it costs, and what it changes.

    python benchmarks/resume.py [--preset smoke] [--threads 1] [SET]

A set is a folder of videos below SCENE_FOOTAGE (default: the folder `shared/data` beside the repository), or `demo` for
the rendered footage. The real worker with real job processes on stores in memory; each attempt gets a new, empty disk.
Writes benchmarks/results/resume.md.
"""

from __future__ import annotations

import argparse
import contextlib
import functools
import json
import os
import re
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY))

from benchmarks.end_to_end import RESULTS, machine, videos_of  # noqa: E402
from runner.job.request import Job  # noqa: E402
from runner.job.supervise import JobLimits, Supervision, run_job  # noqa: E402
from runner.process.signals import StopFlag  # noqa: E402
from runner.scene.progress import Report  # noqa: E402
from runner.worker.context import WorkerContext  # noqa: E402
from runner.worker.loop import Worker  # noqa: E402
from scenejobs.adapters.memory import ManualClock, MemoryBlobStore, MemoryQueue  # noqa: E402
from scenejobs.errors import Interrupted  # noqa: E402
from scenejobs.ports import Containers, Queues  # noqa: E402
from scenejobs.settings.groups import RunnerSettings  # noqa: E402
from scenejobs.settings.pipeline import PipelineSettings  # noqa: E402
from scenejobs.state.messages import JobMessage  # noqa: E402

SCENE = "lobby"
STEP = re.compile(r"step (\d+)/(\d+)(?: \(resumed at step (\d+)\))?")
LONGER_THAN_A_LEASE_S = 400.0
CHECKPOINT_S = 2.0  # the runs are short: two minutes would be never


class MachineLost(BaseException):
    """No signal, no last word."""


@dataclass(frozen=True)
class Blow:
    """Where an attempt is ended: at this share of the training, by a stop or a kill."""

    share: float
    kind: str  # "stop" | "kill"

    def __str__(self) -> str:
        return f"{'SIGTERM' if self.kind == 'stop' else 'killed'} at {self.share:.0%}"


@dataclass(frozen=True)
class Outcome:
    """One scene, from its upload to its result."""

    blows: tuple[Blow, ...]
    metrics: dict[str, Any]
    ply: str  # SHA-256
    reached: tuple[int, ...]  # the last step that each ended attempt told of
    began: tuple[int, ...]  # the step at which each attempt after it began
    wall_s: float  # of all attempts
    saved_mb: float  # the most that lay in the state container

    @property
    def repeated(self) -> int:
        """Steps done twice; those between two reports are not counted."""
        return sum(max(0, reached - began) for reached, began in zip(self.reached, self.began, strict=True))


class Cloud:
    """Stores in memory with one queued scene."""

    def __init__(self, videos: list[Path], pipeline: PipelineSettings) -> None:
        self.clock, self.pipeline = ManualClock(), pipeline
        kinds = ("input", "output", "processed", "error", "state")
        self.stores = {kind: MemoryBlobStore(kind, self.clock) for kind in kinds}
        self.queues = Queues(*(MemoryQueue(name, self.clock) for name in ("debounce", "jobs", "poison")))
        for video in videos:
            self.stores["input"].write(f"{SCENE}/{video.name}", video.read_bytes())
        self.queues.jobs.send(JobMessage(SCENE, "", self.clock()).to_json())
        self.step, self.began, self.saved_bytes = 0, 0, 0

    def attempt(self, blow: Blow | None) -> None:
        """One runner on a machine of its own, until it ends or the blow falls."""
        stop = StopFlag()
        self.step = self.began = 0

        def watch(job: Job, supervision: Supervision) -> dict[str, Any]:
            def progress(report: Report) -> None:
                supervision.on_progress(report)
                found = STEP.search(report.detail)
                if report.stage == "training" and found:
                    self.step, self.began = int(found[1]), int(found[3] or 0)
                    if blow and blow.kind == "stop" and self.step >= blow.share * int(found[2]):
                        stop.set()

            def check() -> None:
                supervision.check_lease()
                work = (blob for name, blob in list(self.stores["state"].blobs.items()) if name.startswith("work/"))
                self.saved_bytes = max(self.saved_bytes, sum(len(blob.data) for blob in work))
                if blow and blow.kind == "kill" and self.step >= blow.share * self.steps:
                    raise MachineLost

            watching = replace(supervision, on_progress=progress, check_lease=check)
            return run_job(job, watching, JobLimits(), env=os.environ)

        with tempfile.TemporaryDirectory() as disk:
            settings = RunnerSettings(workspace=disk, idle_polls=1, idle_wait_s=0, min_free_gb=0.5,
                                      checkpoint_s=CHECKPOINT_S)  # fmt: skip
            stores, leases = Containers(**self.stores), self.stores["state"]
            context = WorkerContext(stores, leases, self.queues, settings, self.pipeline, watch, stop, self.clock)
            with contextlib.suppress(MachineLost, Interrupted):
                Worker(context).drain()
        self.clock.advance(LONGER_THAN_A_LEASE_S)

    @functools.cached_property
    def steps(self) -> int:
        from runner.pipeline.settings import resolve

        return resolve(self.pipeline, "").preset.train.iterations


def run(videos: list[Path], pipeline: PipelineSettings, *blows: Blow) -> Outcome:
    cloud = Cloud(videos, pipeline)
    reached, began, started_at = [], [], time.monotonic()
    for blow in (*blows, None):
        cloud.attempt(blow)
        reached.append(cloud.step)
        began.append(cloud.began)
    wall_s = time.monotonic() - started_at
    output = cloud.stores["output"].blobs
    if f"{SCENE}/manifest.json" not in output:
        sys.exit(f"no result after {', '.join(map(str, blows)) or 'a straight run'}")
    leftovers = [name for name in cloud.stores["state"].blobs if name.startswith("work/")]
    if leftovers:
        sys.exit(f"saved work was left behind: {leftovers}")
    files = {file["name"]: file for file in json.loads(output[f"{SCENE}/manifest.json"].data)["outputs"]}
    metrics = json.loads(output[f"{SCENE}/metrics.json"].data)
    ply = files[f"{SCENE}.ply"]["sha256"]
    return Outcome(blows, metrics, ply, tuple(reached[:-1]), tuple(began[1:]), wall_s, cloud.saved_bytes / 1e6)


def row(outcome: Outcome, straight: Outcome) -> str:
    seconds = outcome.metrics["stage_seconds"]
    psnr = outcome.metrics["psnr_heldout"]
    cells = [
        ", then ".join(map(str, outcome.blows)) or "straight",
        ", ".join(map(str, outcome.began)),
        str(outcome.repeated),
        f"{psnr:.4f}",
        f"{psnr - straight.metrics['psnr_heldout']:+.4f}",
        "yes" if outcome.ply == straight.ply else "no",
        f"{outcome.wall_s:.0f}",
        f"{outcome.wall_s - straight.wall_s:+.0f}",
        f"{seconds['frame_extraction']:.1f}",
        f"{seconds['colmap_reconstruction']:.1f}",
        f"{outcome.saved_mb:.1f}",
    ]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("set", nargs="?", default="fox")
    parser.add_argument("--preset", default="smoke")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    pipeline = PipelineSettings(preset=options.preset, backend="cpu", threads=options.threads)
    plans = [
        (), (Blow(0.2, "stop"),), (Blow(0.5, "kill"),), (Blow(0.8, "stop"),), (Blow(0.3, "stop"), Blow(0.7, "kill")),
    ]  # fmt: skip
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as temporary:
        videos = videos_of(options.set, Path(temporary))
        for plan in plans:
            outcomes.append(run(videos, pipeline, *plan))
            print(row(outcomes[-1], outcomes[0]), flush=True)
    columns = [
        "attempts ended", "resumed at step", "steps done twice", "held-out PSNR dB", "difference dB", "same PLY bytes",
        "wall s", "lost s", "frames s", "poses and views s", "saved MB",
    ]  # fmt: skip
    command = f"python benchmarks/resume.py --preset {options.preset} --threads {options.threads} {options.set}"
    lines = [
        "# Going on on another machine",
        "",
        f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {machine()}; load average at the end {os.getloadavg()[0]:.1f}.",
        f"`CHECKPOINT_INTERVAL_SECS={CHECKPOINT_S:g}`. Each attempt has a new, empty disk. Lost: the wall time of all",
        "attempts beyond that of the straight run, with whatever else the machine did meanwhile; resuming itself costs",
        "the frames, poses and views of the last attempt, in seconds, and the steps done twice.",
        "",
        f"| {' | '.join(columns)} |",
        f"|{' --- |' * len(columns)}",
        *(row(outcome, outcomes[0]) for outcome in outcomes),
        "",
    ]  # fmt: skip
    RESULTS.mkdir(parents=True, exist_ok=True)
    (RESULTS / "resume.md").write_text("\n".join(lines))


if __name__ == "__main__":
    main()
