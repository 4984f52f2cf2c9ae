"""What the ladder speaks of: a rung (one method), the parts that it finds, and the attempt that it becomes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from runner.poses.colmap.requests import Model, SuppliedFit
from runner.poses.gates import Verdict

# All pairs; those that look most alike, and more of these; neighbours in time, and a few that look alike, for loops.
Matching = Literal["exhaustive", "preselected", "preselected widely", "sequential"]
Rivals = tuple[frozenset[str], frozenset[str]]  # the shots of two places of the same weight


@dataclass(frozen=True)
class Rung:
    """One method: how to match, and how to map."""

    matching: Matching
    mapper: Literal["incremental", "global", "supplied"]
    features: int  # per image
    max_image_size: int  # px
    guided: bool = False  # match a second time along the epipolar lines found
    sensitive: bool = False  # take features of half the usual contrast
    fixed_lens: bool = False  # believe the focal length of the metadata, or of a usual phone
    supplied: str = ""  # where the user's own poses come from: "transforms.json"

    def __str__(self) -> str:
        if self.supplied:
            return f"supplied: {self.supplied}"
        guided = " guided" if self.guided else ""
        lens = " with a fixed lens" if self.fixed_lens else ""
        weak = " and weaker ones" if self.sensitive else ""
        return f"{self.matching}{guided} + {self.mapper}{lens}, {self.features} features{weak}"

    @property
    def database(self) -> str:
        """Rungs with the same name share features and matches."""
        return f"{self.features}_{self.max_image_size}" + ("_weak" if self.sensitive else "")


@dataclass(frozen=True)
class Part:
    """One model of an attempt, after a weak covisibility link was cut."""

    model: Model
    verdict: Verdict
    shots: tuple[str, ...]  # clips, or shots of edited clips, that it joins
    seconds: float  # of footage
    cut: bool = False  # what lies beyond a weak link was left out


@dataclass(frozen=True)
class Attempt:
    """One rung tried, with its best model."""

    rung: Rung
    model: Model | None
    verdict: Verdict
    others: tuple[Model, ...] = ()  # further, smaller models: parts that did not connect
    partial: bool = False  # a whole shot, or what lies beyond a weak link, is not in the model
    linked: bool = True  # some frames outside the model do match frames in it
    shots: int = 1  # in the model
    share: float = 1.0  # of the frames of those shots that are registered
    rivals: tuple[Rivals, ...] = ()  # two places of the same weight that it found
    disputed: bool = False  # a second run from another start did not confirm it
    features: float = 0.0  # median per frame
    pairs: int = 0  # compared so far with these features
    reused: bool = False  # some of these pairs were compared in an earlier run: their time says nothing
    fit: SuppliedFit | None = None  # of the cameras that the user supplies, where the rung is theirs
    cut: str = ""  # what was ended before it was done, for want of time: "the mapping"; the result is that of a part
    extract_s: float = 0.0
    match_s: float = 0.0
    map_s: float = 0.0  # of one mapping
    confirm_s: float = 0.0  # of further mappings from other seeds

    @property
    def seconds(self) -> float:
        """Of all its parts."""
        return self.extract_s + self.match_s + self.map_s + self.confirm_s

    def __str__(self) -> str:
        outcome = "passed" if self.verdict.passed else "; ".join(self.verdict.reasons)
        if self.model is None:
            return f"{self.rung}: no model: {outcome}"
        parts = f" and {len(self.others)} separate parts" if self.others else ""
        return f"{self.rung}: {len(self.model.names)} frames, {self.model.points:,} points{parts}: {outcome}"
