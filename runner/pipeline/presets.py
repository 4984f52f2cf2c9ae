"""Settings of the stages, and the named presets on top of them. Plain values: nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, replace

from runner.media.settings import FrameSettings
from runner.poses.settings import PoseSettings
from runner.training.settings import TrainSettings
from scenejobs.errors import Code, ConfigurationError

AUTO = ("laptop", "standard")  # what "auto" becomes: without a GPU that is usable, and with one
LESS_SIDE = 0.7  # of an image with half the pixels
MOST_SIDE = 1920  # px, of frames; larger pictures cost disk and give no sharper splats at these numbers of Gaussians


@dataclass(frozen=True)
class Preset:
    """One named way to run the whole job."""

    name: str
    description: str  # one line for --help and the docs
    frames: FrameSettings
    poses: PoseSettings
    train: TrainSettings


def frames_side(sfm_size: int, train_side: int) -> int:
    """Long side of the frames that are kept, px: enough for poses and, up to 1920, for training."""
    return max(sfm_size, min(MOST_SIDE, train_side))


def _preset(
    name: str, description: str, *, frames: int, features: int, features_of_few: int = 0, sfm_size: int,
    poses_s: float, train: TrainSettings,
) -> Preset:  # fmt: skip
    return Preset(
        name,
        description,
        FrameSettings(budget=frames, long_side=frames_side(sfm_size, train.long_side)),
        PoseSettings(features=features, features_of_few=features_of_few, max_image_size=sfm_size, budget_s=poses_s),
        train,
    )


PRESETS: dict[str, Preset] = {
    preset.name: preset
    for preset in (
        _preset(
            "smoke", "does it run at all: seconds on any machine, a blurred picture",
            frames=40, features=2048, sfm_size=1000, poses_s=300,
            train=TrainSettings(iterations=500, cap=8_000, long_side=240, sh_degree=1, budget_s=120, evaluations=1),
        ),
        _preset(
            "laptop", "CPU, a few minutes on two cores: a good small scene",
            # matching all pairs costs frames^2 x features^2
            frames=72, features=3072, features_of_few=6144, sfm_size=1280, poses_s=900,
            train=TrainSettings(iterations=3_000, cap=40_000, long_side=480, budget_s=300),
        ),
        _preset(
            "laptop-high", "CPU, a quarter of an hour and more: sharper",
            frames=120, features=4096, features_of_few=8192, sfm_size=1280, poses_s=1800,
            train=TrainSettings(iterations=12_000, cap=100_000, long_side=640, budget_s=1800),
        ),
        _preset(
            "draft", "GPU, a first look in minutes",
            frames=150, features=4096, features_of_few=8192, sfm_size=1280, poses_s=1800,
            train=TrainSettings(
                iterations=7_000, cap=500_000, strategy="mcmc", long_side=960, sh_degree=2, budget_s=900
            ),
        ),
        _preset(
            "standard", "GPU, the default in the cloud",
            frames=250, features=8192, sfm_size=1600, poses_s=3600,
            train=TrainSettings(iterations=15_000, cap=1_000_000, strategy="mcmc", long_side=1600, budget_s=3600),
        ),
        _preset(
            "high", "GPU, the best this project can do",
            frames=350, features=8192, sfm_size=1600, poses_s=3600,
            train=TrainSettings(iterations=30_000, cap=2_000_000, strategy="mcmc", long_side=1920, budget_s=7200),
        ),
    )
}  # fmt: skip


def preset(name: str) -> Preset:
    """Raises ConfigurationError for an unknown name, listing the known ones."""
    if name not in PRESETS:
        raise ConfigurationError(
            f"preset {name!r} is unknown", code=Code.INVALID_SETTING, advice=f"use one of {', '.join(PRESETS)}"
        )
    return PRESETS[name]


def with_threads(chosen: Preset, threads: int) -> Preset:
    """The same preset on at most `threads` cores (0: all)."""
    return replace(chosen, poses=replace(chosen.poses, threads=threads), train=replace(chosen.train, threads=threads))


def with_less_memory(chosen: Preset, stage: str) -> tuple[Preset, str]:
    """The same preset, smaller where the stage that ran out of memory needs most of it; and what changed, in words.

    Poses that were found are kept: only what fails in colmap_reconstruction changes how they are found.
    """
    poses, train = chosen.poses, chosen.train
    if stage == "colmap_reconstruction":
        smaller = replace(poses, features=poses.features // 2, features_of_few=poses.features_of_few // 2)
        return replace(chosen, poses=smaller), f"{smaller.features} features per image instead of {poses.features}"
    less = replace(train, cap=train.cap // 2, long_side=round(train.long_side * LESS_SIDE))
    change = (
        f"at most {less.cap:,} Gaussians and images of {less.long_side} px "
        f"instead of {train.cap:,} and {train.long_side} px"
    )
    return replace(chosen, train=less), change
