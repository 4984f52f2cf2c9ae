"""What one storage account, one queue and one region carry per day: the table of docs/scale.md.

    python -m benchmarks.capacity [--gpus 100] [--minutes 15] [--clips 10] [--gigabytes 2]

Counts are of this program, over the in-memory storage (tests/unit/function_app/test_cost_of_history.py holds those that
grow); limits are the service's published targets for a standard account, and parameters, since they differ by region.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace

DAY_S = 86_400


@dataclass(frozen=True)
class Limits:
    """Of the service."""

    account_requests_per_s: int = 20_000  # to blobs; 40,000 in some regions
    queue_messages_per_s: int = 2_000  # one queue
    account_bytes: float = 5 * 2**50
    sweep_s: float = 240.0  # ours: function_app/sweep.py
    call_s: float = 0.015  # a small request within the region
    page_s: float = 0.1  # 5,000 blobs of a listing
    at_once: int = 8  # requests of a sweep (scenejobs/parallel.py)


@dataclass(frozen=True)
class Scene:
    """One scene as people make them."""

    clips: int = 10
    minutes: float = 15.0  # of an execution
    gigabytes: float = 2.0  # uploads, archive and results, as long as they are kept

    @property
    def blob_requests(self) -> float:
        """Events, checks, the run, and its heartbeats: 4 of the lease, 30 of the progress and one of usage a minute."""
        return 100 + 6 * self.clips + 35 * self.minutes

    @property
    def check_messages(self) -> float:
        """Sent, received, removed: one for each upload, a few for the scene."""
        return 3 * (self.clips + 2)


def table(gpus: int, scene: Scene, limits: Limits) -> list[tuple[str, str, float]]:
    """(what carries, by which count, scenes per day), the narrowest first. Standing amounts are of scenes in all."""
    heal_s = 5 * limits.call_s / limits.at_once
    rows = [
        (f"{gpus} GPUs of a region", f"{scene.minutes:g} minutes a scene", gpus * 24 * 60 / scene.minutes),
        (
            "one storage account, requests",
            f"{scene.blob_requests:,.0f} a scene, {limits.account_requests_per_s:,} a second",
            limits.account_requests_per_s * DAY_S / scene.blob_requests,
        ),
        (
            "one queue of checks, messages",
            f"{scene.check_messages:,.0f} a scene, {limits.queue_messages_per_s:,} a second",
            limits.queue_messages_per_s * DAY_S / scene.check_messages,
        ),
        (
            "sweeps alone, if every event were lost",
            f"5 calls a scene, {limits.at_once} at once, {limits.sweep_s:.0f} s of every 300 s",
            DAY_S / 300 * limits.sweep_s / heal_s,
        ),
    ]
    return sorted(rows, key=lambda row: row[2])


def standing(scene: Scene, limits: Limits) -> list[tuple[str, str, float]]:
    """(what carries, by which count, scenes in all)."""
    rows = [
        (
            "one storage account, bytes",
            f"{scene.gigabytes:g} GB a scene",
            limits.account_bytes / (scene.gigabytes * 1e9),
        ),
        (
            "the daily look at every record",
            f"5,000 a page, {limits.page_s:g} s a page, {limits.sweep_s:.0f} s",
            limits.sweep_s / limits.page_s * 5000,
        ),
    ]
    return sorted(rows, key=lambda row: row[2])


def text(gpus: int, scene: Scene, limits: Limits) -> str:
    lines = ["| what carries | by | scenes per day |", "| --- | --- | --- |"]
    lines += [f"| {what} | {by} | {_round(value)} |" for what, by, value in table(gpus, scene, limits)]
    lines += ["", "| what holds | by | scenes in all |", "| --- | --- | --- |"]
    lines += [f"| {what} | {by} | {_round(value)} |" for what, by, value in standing(scene, limits)]
    return "\n".join(lines)


def _round(value: float) -> str:
    digits = max(0, len(str(int(value))) - 2)
    return f"{round(int(value), -digits):,}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gpus", type=int, default=100)
    parser.add_argument("--minutes", type=float, default=Scene.minutes)
    parser.add_argument("--clips", type=int, default=Scene.clips)
    parser.add_argument("--gigabytes", type=float, default=Scene.gigabytes)
    parser.add_argument("--account-requests", type=int, default=Limits.account_requests_per_s, help="a second")
    options = parser.parse_args(arguments)
    scene = Scene(options.clips, options.minutes, options.gigabytes)
    print(text(options.gpus, scene, replace(Limits(), account_requests_per_s=options.account_requests)))


if __name__ == "__main__":
    main()
