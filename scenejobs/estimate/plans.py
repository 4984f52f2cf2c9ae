"""What each preset does, as far as it costs. `runner/pipeline/presets.py` is the truth; a test holds the two together.

They stand here too, because whoever asks from a desk, or from the function app, has no runner.
"""

from __future__ import annotations

from dataclasses import dataclass

AUTO = ("laptop", "standard")  # what "auto" becomes: without a GPU, and with one
FEW = 20  # frames that get more features each
PAIRS_UP_TO = 30  # frames of which each is compared with each
NEIGHBOURS = 20  # pairs per frame of more, about: 13 were measured of 50 and 72


def pairs_of(frames: int, *, everything: bool) -> float:
    """Pairs of frames, all of them or about those that look alike."""
    most = frames * (frames - 1) / 2
    return most if everything else min(most, frames * NEIGHBOURS)


@dataclass(frozen=True)
class Plan:
    """One preset, with what overrides it."""

    preset: str
    gpu: bool  # trains on one
    frames: int  # most, over all clips
    features: int  # per frame
    frame_side: int  # pixels, long side of the frames that are kept
    steps: int
    gaussians: int  # most
    train_side: int  # pixels, long side of the training images
    train_budget_s: float
    features_of_few: int = 0  # per frame, where there are FEW at most; 0: no other number

    def features_for(self, frames: int) -> int:
        """Per frame."""
        return self.features_of_few if self.features_of_few and frames <= FEW else self.features

    def pairs(self, frames: int) -> float:
        """Pairs of frames that the first way to the poses compares."""
        return pairs_of(frames, everything=frames <= PAIRS_UP_TO)


PLANS: dict[str, Plan] = {
    plan.preset: plan
    for plan in (
        Plan("smoke", False, 40, 2048, 1000, 500, 8_000, 240, 120),
        Plan("laptop", False, 72, 3072, 1280, 3_000, 40_000, 480, 300, 6144),
        Plan("laptop-high", False, 120, 4096, 1280, 12_000, 100_000, 640, 1800, 8192),
        Plan("draft", True, 150, 4096, 1280, 7_000, 500_000, 960, 900, 8192),
        Plan("standard", True, 250, 8192, 1600, 15_000, 1_000_000, 1600, 3600),
        Plan("high", True, 350, 8192, 1920, 30_000, 2_000_000, 1920, 7200),
    )
}
