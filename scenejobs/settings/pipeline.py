"""Settings of what is read and how a scene is made of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from scenejobs.settings.knobs import Knobs
from scenejobs.settings.older import TRAINERS
from scenejobs.settings.reader import setting as _setting


@dataclass(frozen=True)
class MediaLimits:
    """What a video or photo may be, and how many a scene may hold. Part of PipelineSettings."""

    min_long_side: int = _setting("MIN_VIDEO_WIDTH", "shortest allowed long side of a picture, pixels", 640, minimum=1)
    min_short_side: int = _setting(
        "MIN_VIDEO_HEIGHT", "shortest allowed short side of a picture, pixels", 480, minimum=1
    )
    min_frames: int = _setting("MIN_VIDEO_FRAMES", "fewest frames of a video", 10, minimum=1)
    min_duration_s: float = _setting("MIN_VIDEO_DURATION", "shortest video, seconds", 1.0, minimum=0)
    max_file_bytes: int = _setting(
        "MAX_VIDEO_BYTES", "largest video, bytes; looked at before it is downloaded", 8 * 1024**3, minimum=1
    )
    max_pixels: int = _setting("MAX_VIDEO_PIXELS", "largest picture of a video, width x height", 7680 * 4320, minimum=1)
    max_duration_s: float = _setting("MAX_VIDEO_DURATION", "longest video, seconds", 86_400.0, minimum=1)
    max_decoded_frames: int = _setting(
        "MAX_DECODED_FRAMES", "most frames of a video that are decoded; of a longer one some, spread over it", 20_000,
        minimum=1,
    )  # fmt: skip
    max_clips: int = _setting(
        "MAX_VIDEOS_PER_SCENE",
        "most videos of a scene that are used; of more some, spread over their names",
        50,
        minimum=1,
    )
    max_photo_bytes: int = _setting(
        "MAX_PHOTO_BYTES", "largest photo, bytes; looked at before it is downloaded", 512 * 1024**2, minimum=1
    )
    # the largest that phones take by default have 108 million
    max_photo_pixels: int = _setting("MAX_PHOTO_PIXELS", "largest photo, width x height", 120_000_000, minimum=1)
    max_photos: int = _setting(
        "MAX_PHOTOS_PER_SCENE",
        "most photos of a scene that are used; of more some, spread over their names",
        1000,
        minimum=1,
    )


@dataclass(frozen=True)
class PipelineSettings(Knobs, MediaLimits):
    """What overrides the preset."""

    preset: str = _setting(
        "PRESET", "smoke, laptop, laptop-high, draft, standard or high; auto: by the machine", "auto"
    )
    backend: Literal["auto", "gsplat", "cpu", "mock"] = _setting(
        "BACKEND",
        "trainer: auto takes gsplat on a GPU, else cpu; mock marks every output as mock",
        "auto",
        gone=TRAINERS,
    )
    force_cpu: bool = _setting("FORCE_CPU_BACKEND", "never use a GPU", False)
    frame_count: int = _setting("FRAME_COUNT", "frames over all clips; 0: the preset's", 0, minimum=0)
    frame_rate: float = _setting(
        "FRAME_RATE", "at most this many frames per second of a clip; 0: 6, or 24 of a shorter clip", 0.0, minimum=0
    )
    features: int = _setting("COLMAP_MAX_NUM_FEATURES", "SIFT features per image; 0: the preset's", 0, minimum=0)
    poses_budget_s: float = _setting(
        "POSES_BUDGET_SECS",
        "no third or further way to find the poses is tried that would pass it; an attempt after one that ended for "
        "want of it has twice as much; 0: the preset's",
        0.0,
        minimum=0,
    )
    min_points: int = _setting(
        "MIN_RECONSTRUCTION_POINTS",
        "fewest 3D points of a usable reconstruction of 20 images and more; of fewer images in proportion",
        1000,
        minimum=0,
    )
    sandbox: Literal["auto", "require", "off"] = _setting(
        "SANDBOX",
        "auto closes the decoder of videos in as far as the system can; require refuses to work where that is not "
        "enough; off leaves only limits",
        "auto",
    )
    decode_memory_gb: float = _setting(
        "DECODE_MEMORY_GB", "address space of the process that opens a video, GiB", 4.0, minimum=0.5
    )
    decode_timeout_s: float = _setting(
        "DECODE_TIMEOUT_SECS", "longest pass over one video; there are two", 1800.0, minimum=1
    )
    lpips_weights: str = _setting(
        "LPIPS_WEIGHTS", "folder with alexnet-owt-7be5be79.pth and alex.pth: LPIPS is measured too; none: it is not", ""
    )
    viewer: Literal["own", "supersplat"] = _setting(
        "VIEWER", "who draws viewer.html: own, or PlayCanvas' viewer from SUPERSPLAT_VIEWER", "own"
    )
    supersplat_viewer: str = _setting(
        "SUPERSPLAT_VIEWER", "folder that npm put @playcanvas/supersplat-viewer into, for VIEWER=supersplat", ""
    )
    geo: Literal["hidden", "publish"] = _setting(
        "GEO",
        "publish: files and reports tell where on Earth photos and clips say that they were taken; hidden: no "
        "coordinate is in any output, and those of photos find the scale alone",
        "hidden",
    )
    filming_page: str = _setting(
        "FILMING_PAGE", "address of the page about filming that reports link to (https://...); none: they name it", ""
    )
    threads: int = _setting("THREADS", "cores used; 0: all", 0, minimum=0)
    seed: int = _setting("SEED", "seed of everything random", 0, minimum=0)
