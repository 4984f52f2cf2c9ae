"""The values that travel from stage to stage. Stages know paths, arrays and their settings; no blobs, no queues.

Folder of a job (`workspace/`), in the order the stages fill it:

    frames/<clip>/000012.png    chosen frames, upright, one folder (= one camera) per clip
    frames.json                 FrameSet; written last, so its presence means "finished"
    sparse/                     COLMAP model of the chosen reconstruction (cameras, images, points3D)
    sparse.json                 PoseReport; written last
    images/<clip>/000012.png    undistorted images at training resolution, named like the frames
    views.json                  the views with their K and pose; written last
    training/                   state of the training, for resuming
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from scenejobs.errors import Failure


@dataclass(frozen=True)
class Clip:
    """One input file of a scene: a video, a photo, or a file of camera poses."""

    name: str  # as the user calls it: "view1.mp4", "cam1/a.mp4"; for messages and reports, never for paths
    path: Path  # where its bytes are now
    descriptor: int | None = None  # open for reading, for a process that cannot reach the path


@dataclass(frozen=True)
class ClipInfo:
    """What the container and its pictures say about one clip: all pictures of one camera, with one size.

    Photos of one camera, lens and size are a clip as well: one picture per second, in the order they were taken.
    """

    name: str  # Clip.name; of photos "photos", "photos 2"; of a part of a clip "a.mp4 (640x480)"
    folder: str  # frames/<folder>: safe for paths, unique in the scene
    frame_count: int  # frames that decoded
    width: int  # pixels, upright (after rotation)
    height: int
    fps: float  # frames / duration, from timestamps
    duration_s: float
    codec: str
    rotation_deg: int  # that was applied to make it upright: 0, 90, 180, 270 (counter-clockwise)
    recorded_at: str | None = None  # ISO 8601, UTC; of a photo without a zone where its camera does not know it
    camera_model: str | None = None  # "Apple iPhone 15"
    gps: tuple[float, float] | None = None  # latitude, longitude in degrees
    warnings: tuple[str, ...] = ()  # "7 of 300 frames did not decode"
    source: str | None = None  # Clip.name, where `name` is that of a part: the picture size changes inside the clip
    focal_px: float | None = None  # of the upright picture at width x height, from metadata: a prior, not a measurement
    cuts_s: tuple[float, ...] = ()  # times at which another shot begins: the recording was edited


@dataclass(frozen=True)
class Frame:
    """One chosen frame or photo. `image` names it in every later stage and in cameras.json."""

    image: str  # "view1/000012.png": relative to frames/ and to images/
    video: str  # ClipInfo.name
    index: int  # of the decoded frame or photo in its clip, from 0
    timestamp_s: float  # presentation time in its clip
    sharpness: float  # variance of the Laplacian; comparable within one clip only
    photo: str | None = None  # Clip.name of the photo it is; None: a frame of a video
    recorded_at: str | None = None  # of the photo, see ClipInfo
    gps: tuple[float, float] | None = None  # of the photo
    turned_deg: int = 0  # of the photo, counter-clockwise, from how it is stored to upright: see EXIF orientation


@dataclass(frozen=True)
class RefusedClip:
    """A clip that could not be used while others could."""

    name: str
    failure: Failure


@dataclass(frozen=True)
class FrameSet:
    """Result of the frame stage. Frames are in capture order: clip after clip, time within a clip."""

    clips: tuple[ClipInfo, ...]
    frames: tuple[Frame, ...]
    refused: tuple[RefusedClip, ...] = ()
    warnings: tuple[str, ...] = ()  # about the scene as a whole
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Clip.name and SHA-256 of every file, where a cache of stages is kept: what is known of a frame is told by it."""


@dataclass(frozen=True)
class Health:
    """Numbers of a reconstruction that tell right from wrong; reprojection error does not. See runner/gates.py."""

    bridge: float  # weakest joint: points seen from both sides of the worst cut / points of the smaller side
    baseline_to_depth: float  # mean distance of the cameras from their centre / median depth of the points
    focal_ratio: float  # focal length / long side, the worst camera
    distortion_k1: float  # first radial coefficient, the worst camera
    points_per_image: float  # median over the registered images
    triangulation_angle_deg: float  # median over the points


@dataclass(frozen=True)
class PoseReport:
    """What the pose stage did, for metrics, manifest and report."""

    images_total: int
    images_registered: int
    points: int
    mean_track_length: float
    mean_reprojection_error_px: float
    health: Health
    rung: str  # which way won: "exhaustive + incremental"
    attempts: tuple[str, ...]  # one line per rung tried, with its outcome
    unregistered: tuple[str, ...]  # image names left out
    warnings: tuple[str, ...] = ()
    why: str = ""  # why that way won
    joined: tuple[str, ...] = ()  # clips, or shots of edited clips, that the scene was made of
    left_out: tuple[str, ...] = ()  # what was not placed: clip, time range, number of frames
    attempt_s: tuple[float, ...] = field(default=(), compare=False)  # seconds of each attempt
    supplied: Mapping[str, Any] | None = None  # what became of the user's own poses (runner/supplied_poses.py)

    @staticmethod
    def from_json(value: dict[str, Any]) -> PoseReport:
        """What `dataclasses.asdict` made of it, from a file."""
        lists = ("attempts", "unregistered", "warnings", "joined", "left_out", "attempt_s")
        tuples = {name: tuple(value[name]) for name in lists}
        return PoseReport(**{**value, **tuples, "health": Health(**value["health"])})


@dataclass(frozen=True)
class View:
    """One camera with its undistorted picture. OpenCV axes: x right, y down, z forward; pixel centres at .5."""

    image: str  # relative to images/
    video: str
    timestamp_s: float
    width: int
    height: int
    K: NDArray[np.float64]  # [3, 3] pinhole intrinsics in pixels of this picture
    world_to_camera: NDArray[np.float64]  # [4, 4]
    split: str  # "train" | "test"


@dataclass(frozen=True)
class TrainingScene:
    """What training gets: undistorted views, their pixels, and the sparse points, all in the sparse model's world."""

    views: tuple[View, ...]
    pixels: tuple[NDArray[np.uint8], ...]  # per view [height, width, 3] sRGB
    points: NDArray[np.float32]  # [N, 3]
    colors: NDArray[np.uint8]  # [N, 3] sRGB
    point_errors: NDArray[np.float32]  # [N] mean reprojection error in px
    track_lengths: NDArray[np.int32]  # [N] images that see the point
    sightings: NDArray[np.int32] = field(default_factory=lambda: np.zeros((0, 2), np.int32))
    """[M, 2] (view, point): which view saw which point, as far as the sparse model says."""

    def subset(self, split: str) -> list[int]:
        """Indices of the views of one split."""
        return [i for i, view in enumerate(self.views) if view.split == split]


SH_C0 = 0.28209479177387814  # Y_0^0 = 1 / (2 sqrt(pi)): colour = 0.5 + SH_C0 * sh0


@dataclass(frozen=True)
class Gaussians:
    """A trained scene, as stored: raw values before their activations. Same conventions as the INRIA PLY layout."""

    means: NDArray[np.float32]  # [N, 3] world
    quats: NDArray[np.float32]  # [N, 4] wxyz, not normalised
    log_scales: NDArray[np.float32]  # [N, 3] natural log of the standard deviation, world units
    opacity_logits: NDArray[np.float32]  # [N]
    sh0: NDArray[np.float32]  # [N, 3] DC coefficient per channel; colour = 0.5 + 0.28209479 * sh0
    sh_rest: NDArray[np.float32]  # [N, K, 3], K = (degree + 1)^2 - 1

    @property
    def count(self) -> int:
        return len(self.means)

    @property
    def sh_degree(self) -> int:
        return round((self.sh_rest.shape[1] + 1) ** 0.5) - 1


def evenly(indices: Sequence[int], most: int) -> list[int]:
    """At most `most` of them, evenly spread, the first and the last among them."""
    if len(indices) <= most:
        return list(indices)
    return [indices[place] for place in np.linspace(0, len(indices) - 1, most).round().astype(int)]
