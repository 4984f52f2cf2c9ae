"""From footage and plan to an Estimate: quantities first, seconds from what they took where they were measured.

Measured on two cores of an AMD EPYC without a GPU (docs/sizing.md, benchmarks/results/end_to_end.json). No preset has
run on a GPU: there the time of a training is anything between a part of its budget and all of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from scenejobs.estimate.footage import Footage
from scenejobs.estimate.learned import Ratios
from scenejobs.estimate.plans import Plan
from scenejobs.estimate.prices import Machine, Price

CORES = 2.0  # that the numbers below were measured on
DECODE_S_PER_GB = 400.0
FRAME_S, PAIR_S, OF_FEATURES = 0.5, 0.06, 3072  # CPU s: features of a frame; matches of a pair, by features squared
MAPPING_S = 0.3  # CPU s per frame
SPREAD_OVER_CORES = 0.6  # of the CPU seconds of the poses on two cores; half would be perfect
STEP_S, OF_SIDE = 0.06, 480  # of a training on two cores, by pixels
FINISH_S, OF_FRAMES = 12.0, 50  # scores, clean-up and files of 50 frames and 40,000 Gaussians
GPU_LEAST = 0.15  # of the budget, that a training on a GPU takes: a guess, until scenes have shown it
OVER_BUDGET = 1.1  # what a training may take with its start, which its budget does not count
SPREAD: Mapping[str, tuple[float, float]] = {
    "frames": (0.5, 3.0), "poses": (0.35, 2.2), "training": (0.7, 1.7), "finish": (0.5, 2.5)
}  # fmt: skip
"""Least and most of each stage, in times of what the formula says, before any scene was finished here."""
STAGES = tuple(SPREAD)
STAGE_OF: Mapping[str, str] = {
    "validation": "frames", "frame_extraction": "frames", "colmap_reconstruction": "poses", "training": "training",
    "clean_up": "finish", "ply_export": "finish", "splat_export": "finish", "small_exports": "finish",
    "made_again": "again",
}  # fmt: skip
"""The stages of a run, as its metrics name them, in those of an estimate; "again" is expected of no scene."""

FRAME_MB, OF_FRAME_SIDE = 0.75, 1000  # of the PNG files of one frame, by pixels
FEATURES_MB, OF_FEATURES_MB = 0.7, 2048  # of one frame in the database of features
GAUSSIAN_BYTES = 700  # of all results together
MEMORY_MB, PIXEL_BYTES, TRAINED_BYTES = 680.0, 12, 2900  # of the libraries; a training pixel; a Gaussian in training
DECODER_MB = 2000.0  # 8K HEVC in 10 bit, the largest film that is taken


@dataclass(frozen=True)
class Range:
    """What it takes when all goes well, at least and at most."""

    low: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.high + other.high)

    def times(self, factor: float) -> Range:
        return Range(self.low * factor, self.high * factor)

    @property
    def middle(self) -> float:
        """The geometric one: half as long is as wrong as twice as long."""
        return float((self.low * self.high) ** 0.5)


@dataclass(frozen=True)
class Estimate:
    """What a scene will take."""

    preset: str
    gpu: bool
    frames: Range
    stages_s: Mapping[str, Range]  # wall clock, by the stages of STAGES
    disk_mb: Range  # of the workspace, uploads included
    memory_mb: Range  # of the largest process
    by_headers: bool  # False: from sizes alone
    scenes: int  # finished ones that it has learned from
    prior_s: Mapping[str, float] = field(default_factory=dict)  # by stage: what the formula says, to learn from

    @property
    def total_s(self) -> Range:
        return sum(self.stages_s.values(), Range(0.0, 0.0))

    def usd(self, machine: Machine, prices: Mapping[str, Price]) -> Range | None:
        """None where a price that it needs is not known."""
        rate = machine.per_second(prices)
        return None if rate is None else self.total_s.times(rate)


def estimate(
    footage: Footage, plan: Plan, cores: float = CORES, learned: Mapping[str, Ratios] | None = None,
    rate_fps: float = 0.0,
) -> Estimate:  # fmt: skip
    """cores: of the machine. learned: by stage (learned.py). rate_fps: FRAME_RATE; 0: not set."""
    least, most = footage.chosen(plan.frames, rate_fps)
    few, many = (prior_s(footage, plan, count, cores) for count in (least, most))
    stages = {}
    for stage in STAGES:
        low, high = (GPU_LEAST, 1.0) if stage == "training" and plan.gpu else SPREAD[stage]
        if found := (learned or {}).get(stage):
            low, high = found.spread(low, high)
        stages[stage] = Range(few[stage] * low, many[stage] * high)
    stages["training"] = _at_most(stages["training"], OVER_BUDGET * plan.train_budget_s)
    return Estimate(
        plan.preset, plan.gpu, Range(least, most), stages, _disk(footage, plan, least, most),
        _memory(footage, plan, least, most), footage.by_headers,
        min((each.count for each in (learned or {}).values()), default=0), prior_s(footage, plan, most, cores),
    )  # fmt: skip


def _at_most(found: Range, limit: float) -> Range:
    return Range(min(found.low, limit), min(found.high, limit))


def prior_s(footage: Footage, plan: Plan, frames: float, cores: float) -> dict[str, float]:
    """Seconds of each stage with so many frames, from the formula alone."""
    speed = CORES / cores
    features = plan.features_for(round(frames)) / OF_FEATURES
    poses = frames * (FRAME_S * features + MAPPING_S) + PAIR_S * plan.pairs(round(frames)) * features**2
    steps = plan.steps * STEP_S * (plan.train_side / OF_SIDE) ** 2
    return {
        "frames": 3.0 + DECODE_S_PER_GB * footage.film_bytes / 1e9 * speed + 0.3 * footage.photos * speed,
        "poses": poses * SPREAD_OVER_CORES * speed,
        "training": plan.train_budget_s if plan.gpu else min(plan.train_budget_s, steps * speed),
        "finish": FINISH_S * (frames / OF_FRAMES + plan.gaussians / 40_000) / 2 * (1.0 if plan.gpu else speed),
    }


def _disk(footage: Footage, plan: Plan, least: int, most: int) -> Range:
    per_frame = FRAME_MB * (plan.frame_side / OF_FRAME_SIDE) ** 2 + FEATURES_MB * plan.features / OF_FEATURES_MB
    uploads, results = footage.size_bytes / 1e6, GAUSSIAN_BYTES * plan.gaussians / 1e6
    return Range(uploads + least * per_frame + 0.3 * results, 2 * uploads + 2 * most * per_frame + results)


def _memory(footage: Footage, plan: Plan, least: int, most: int) -> Range:
    """Training against decoding, whichever is larger."""
    pixels = plan.train_side**2 * 9 / 16
    low, high = (
        MEMORY_MB + (count * pixels * PIXEL_BYTES + plan.gaussians * TRAINED_BYTES) / 1e6 for count in (least, most)
    )
    sizes = [(file.width or 3840) * (file.height or 2160) for file in footage.files if not file.is_photo]
    decoder = max(sizes, default=0) / (7680 * 4320) * DECODER_MB
    return Range(0.8 * low, max(1.4 * high, 300 + decoder))
