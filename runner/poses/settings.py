"""Settings of the pose stage, and what its parts cost in seconds."""

from __future__ import annotations

from dataclasses import dataclass

FRAME_S = 0.5
PAIR_S = 0.06
PAIR_FEATURES = 3072
FEW = 20  # frames whose pairs are so few that twice the features cost no more than a minute; fewer have fewer points


STAGE = "colmap_reconstruction"


@dataclass(frozen=True)
class PoseSettings:
    """Structure-from-motion."""

    features: int = 4096  # SIFT features per image (soft limit)
    features_of_few: int = 0  # the same where there are FEW frames at most; 0: no other number
    max_image_size: int = 1280  # pixels, long side, for feature extraction
    exhaustive_up_to: int = 30  # frames; above: pairs of those that look alike come first
    exhaustive_allowed_up_to: int = 150  # frames of which all pairs are compared where a scene.yaml asks for it, or
    # brings its own poses
    matcher: str = "auto"  # COLMAP_MATCHER, of the first rung: "auto" (by number) | "exhaustive" | "sequential"
    mapper: str = "auto"  # COLMAP_MAPPER, of the first rung: "auto" (incremental) | "incremental" | "global"
    camera_model: str = "SIMPLE_RADIAL"  # COLMAP_CAMERA_MODEL
    max_runtime_s: int = 900  # of one mapping
    budget_s: float = 1800.0  # POSES_BUDGET_SECS: no further rung is tried that would pass it; the first always is
    min_registered_share: float = 0.5  # of the chosen frames
    min_points: int = 1000  # MIN_RECONSTRUCTION_POINTS, of FEW frames and more
    threads: int = 0  # 0: all cores; 1: the same poses to the last bit every time
    seed: int = 0

    def all_pairs(self, frame_count: int) -> bool:
        """Whether the first rung compares each frame with each."""
        if self.matcher == "auto":
            return frame_count <= self.exhaustive_up_to
        return self.matcher == "exhaustive"

    def features_for(self, frame_count: int) -> int:
        """Per image, at the first look. Few pictures have few points between them, and points are what training begins
        with."""
        return self.features_of_few if self.features_of_few and frame_count <= FEW else self.features

    def points_for(self, image_count: int) -> int:
        """Fewest points of a model of so many images: below FEW in proportion, as each adds points of its own.

        Not of guided matches: these are looked for along the lines of the geometry that they would confirm.
        """
        return -(-self.min_points * min(image_count, FEW) // FEW)  # rounded up
