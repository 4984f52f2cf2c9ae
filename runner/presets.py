"""Settings of the stages, and the named presets on top of them. Plain values: nothing here reads the environment."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from scenejobs.errors import Code, ConfigurationError

LESS_SIDE = 0.7  # of a picture with half the pixels


@dataclass(frozen=True)
class Limits:
    """What a video or photo may be. Checked on what decodes, not on what headers claim."""

    max_file_bytes: int = 8 * 1024**3  # MAX_VIDEO_BYTES
    max_pixels: int = 7680 * 4320  # per frame: MAX_VIDEO_PIXELS
    max_duration_s: float = 3600.0  # MAX_VIDEO_DURATION
    max_decoded_frames: int = 20_000  # per clip: MAX_DECODED_FRAMES
    min_long_side: int = 640  # orientation-free: MIN_VIDEO_WIDTH
    min_short_side: int = 480  # MIN_VIDEO_HEIGHT
    min_frames: int = 10  # per clip: MIN_VIDEO_FRAMES
    min_duration_s: float = 1.0  # MIN_VIDEO_DURATION
    max_clips: int = 50  # MAX_VIDEOS_PER_SCENE
    min_scene_frames: int = 12  # chosen frames over all clips; fewer cannot give a scene
    max_photo_bytes: int = 512 * 1024**2  # MAX_PHOTO_BYTES
    max_photo_pixels: int = 120_000_000  # MAX_PHOTO_PIXELS; the largest of phones by default have 108 million
    max_photos: int = 1000  # MAX_PHOTOS_PER_SCENE
    min_scene_photos: int = 8  # of a scene without videos: each photo was meant, and few of them do


@dataclass(frozen=True)
class SandboxSettings:
    """The process that opens videos. See runner/sandbox.py."""

    mode: str = "auto"  # SANDBOX: "auto" | "require" | "off"
    memory_bytes: int = 4 * 1024**3  # DECODE_MEMORY_GB, address space; 8K HEVC in 10 bit takes half of it
    time_s: float = 1800.0  # DECODE_TIMEOUT_SECS, of one pass over one clip
    silence_s: float = 60.0  # without another picture: it hangs


@dataclass(frozen=True)
class FrameSettings:
    """Choice of frames."""

    budget: int = 100  # frames over all clips
    long_side: int = 1280  # pixels; larger frames are shrunk, smaller ones kept
    rate_fps: float | None = None  # FRAME_RATE: at most this many per second; None: 6, or all photos of a slide show
    limits: Limits = field(default_factory=Limits)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)


@dataclass(frozen=True)
class PoseSettings:
    """Structure-from-motion."""

    features: int = 4096  # SIFT features per image (soft limit)
    max_image_size: int = 1280  # pixels, long side, for feature extraction
    exhaustive_up_to: int = 150  # frames; above: sequential with loops
    camera_model: str = "SIMPLE_RADIAL"
    max_runtime_s: int = 900  # of one mapping
    budget_s: float = 1800.0  # POSES_BUDGET_SECS: no further way is tried that would pass it; the first always is
    min_registered_share: float = 0.5  # of the chosen frames
    min_points: int = 1000  # MIN_RECONSTRUCTION_POINTS
    threads: int = 0  # 0: all cores; 1: the same poses to the last bit every time
    seed: int = 0


@dataclass(frozen=True)
class TrainSettings:
    """Training of the Gaussians. Every schedule is a share of `iterations`, so short runs have short schedules."""

    iterations: int = 3000
    cap: int = 40_000  # most Gaussians
    strategy: str = "default"  # "default" (clone, split, prune) | "mcmc" (relocation under a hard cap)
    long_side: int = 480  # pixels of the training images
    sh_degree: int = 3
    budget_s: float = 600.0  # wall clock for training; the plan is shortened to fit into it
    ssim_weight: float = 0.2  # loss = (1 - w) L1 + w (1 - SSIM)
    exposure: str = "auto"  # a gain and a bias per training picture: "auto" (when exposure drifts) | "on" | "off"
    evaluations: int = 4  # how often the held-out views are measured during training
    seed: int = 0
    threads: int = 0  # 0: all cores


@dataclass(frozen=True)
class Preset:
    """One named way to run the whole job."""

    name: str
    description: str  # one line for --help and the docs
    frames: FrameSettings
    poses: PoseSettings
    train: TrainSettings


def _preset(
    name: str, description: str, *, frames: int, features: int, sfm_size: int, poses_s: float, train: TrainSettings
) -> Preset:
    return Preset(
        name,
        description,
        FrameSettings(budget=frames, long_side=max(sfm_size, min(1920, train.long_side))),
        PoseSettings(features=features, max_image_size=sfm_size, budget_s=poses_s),
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
            frames=72, features=3072, sfm_size=1280, poses_s=900,  # matching all pairs costs frames^2 x features^2
            train=TrainSettings(iterations=3_000, cap=40_000, long_side=480, budget_s=300),
        ),
        _preset(
            "laptop-high", "CPU, a quarter of an hour and more: sharper",
            frames=120, features=4096, sfm_size=1280, poses_s=1800,
            train=TrainSettings(iterations=12_000, cap=100_000, long_side=640, budget_s=1800),
        ),
        _preset(
            "draft", "GPU, a first look in minutes",
            frames=150, features=4096, sfm_size=1280, poses_s=1800,
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
        smaller = replace(poses, features=poses.features // 2)
        return replace(chosen, poses=smaller), f"{smaller.features} features per picture instead of {poses.features}"
    less = replace(train, cap=train.cap // 2, long_side=round(train.long_side * LESS_SIDE))
    change = (
        f"at most {less.cap:,} Gaussians and pictures of {less.long_side} px "
        f"instead of {train.cap:,} and {train.long_side} px"
    )
    return replace(chosen, train=less), change
