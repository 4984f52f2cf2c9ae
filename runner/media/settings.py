"""Settings of the frame stage, the limits of untrusted files, and which file names are videos and photos."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from scenejobs.names import is_photo, is_video
from scenejobs.settings.pipeline import MediaLimits

# Of the decoder of one video: each holds frames; 8K HEVC in 10 bit takes 2.0 GB of address space with 8, 3.2 with 16.
MAX_THREADS = 8


@dataclass(frozen=True)
class Kind:
    """What a scene may hold of one kind of file."""

    what: str
    setting: str  # that raises the number
    is_one: Callable[[str], bool]
    most: int
    most_bytes: int
    bytes_setting: str  # that raises these


def kinds(limits: Limits) -> tuple[Kind, Kind]:
    """Videos, photos."""
    return (
        Kind("videos", "MAX_VIDEOS_PER_SCENE", is_video, limits.max_clips, limits.max_file_bytes, "MAX_VIDEO_BYTES"),
        Kind("photos", "MAX_PHOTOS_PER_SCENE", is_photo, limits.max_photos, limits.max_photo_bytes, "MAX_PHOTO_BYTES"),
    )


REPR_ORDER = (
    "max_file_bytes", "max_pixels", "max_duration_s", "max_decoded_frames", "min_long_side", "min_short_side",
    "min_frames", "min_duration_s", "max_clips", "min_scene_frames", "max_photo_bytes", "max_photo_pixels",
    "max_photos", "min_scene_photos",
)  # fmt: skip


@dataclass(frozen=True)
class Limits(MediaLimits):
    """What a video or photo may be. Checked on what decodes, not on what headers claim.

    Sides are those of the frame whichever way it is turned; pixels are per frame, frames and seconds per clip.
    """

    min_scene_frames: int = 12  # chosen frames over all clips; fewer cannot give a scene
    min_scene_photos: int = 8  # of a scene without videos: each photo was meant, and few of them do

    def __repr__(self) -> str:
        """Fields in the order that fingerprints of saved work have: in another one a resumed attempt begins anew."""
        return f"Limits({', '.join(f'{name}={getattr(self, name)!r}' for name in REPR_ORDER)})"


@dataclass(frozen=True)
class SandboxSettings:
    """The process that opens videos. See runner/sandbox/run.py."""

    mode: str = "auto"  # SANDBOX: "auto" | "require" | "off"
    memory_bytes: int = 4 * 1024**3  # DECODE_MEMORY_GB, address space; 8K HEVC in 10 bit takes half of it
    time_s: float = 1800.0  # DECODE_TIMEOUT_SECS, of one pass over one clip
    silence_s: float = 60.0  # without another frame: it hangs


@dataclass(frozen=True)
class FrameSettings:
    """Choice of frames."""

    budget: int = 100  # frames over all clips
    long_side: int = 1280  # pixels; larger frames are shrunk, smaller ones kept
    rate_fps: float | None = None  # FRAME_RATE: at most this many per second; None: 6, or all photos of a slide show
    limits: Limits = field(default_factory=Limits)
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
