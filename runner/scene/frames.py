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

from dataclasses import dataclass, field
from pathlib import Path

from scenejobs.errors import Failure, UnusedFile

Crop = tuple[int, int, int, int]  # px taken away from an upright frame: left, top, right, bottom
NO_CROP: Crop = (0, 0, 0, 0)


@dataclass(frozen=True)
class Sidecar:
    """A text file beside a film, in which a drone says where it was."""

    name: str  # as the user calls it
    path: Path


@dataclass(frozen=True)
class Clip:
    """One input file of a scene: a video, a photo, or a file of camera poses."""

    name: str  # as the user calls it: "view1.mp4", "cam1/a.mp4"; for messages and reports, never for paths
    path: Path  # where its bytes are now
    descriptor: int | None = None  # open for reading, for a process that cannot reach the path
    encoding: str = ""  # the Content-Encoding that its uploader gave it; nothing is unpacked, and it may be false
    sidecar: Sidecar | None = None  # of a film


Fix = tuple[float, float, float]  # seconds in the clip, latitude and longitude in degrees
MOST_FIXES = 4000  # of one clip
ALTITUDES_M = (-500.0, 10_000.0)  # where people take photos


@dataclass(frozen=True)
class ClipInfo:
    """What the container and its frames say about one clip: all frames of one camera, with one size.

    Photos of one camera, lens and size are a clip as well: one per second, in the order they were taken.
    """

    name: str  # Clip.name; of photos "photos", "photos 2"; of a part of a clip "a.mp4 (640x480)"
    folder: str  # frames/<folder>: safe for paths, unique in the scene
    frame_count: int  # frames that decoded
    width: int  # pixels, upright (after rotation), without black bars
    height: int
    fps: float  # frames / duration, from timestamps
    duration_s: float
    codec: str
    rotation_deg: int  # that was applied to make it upright: 0, 90, 180, 270 (counter-clockwise)
    recorded_at: str | None = None  # ISO 8601, UTC; of a photo without a zone where its camera does not know it
    camera_model: str | None = None  # "Apple iPhone 15"
    gps: tuple[float, float] | None = None  # latitude, longitude in degrees
    warnings: tuple[str, ...] = ()  # "7 of 300 frames did not decode"
    source: str | None = None  # Clip.name, where `name` is that of a part: the frame size changes inside the clip
    focal_px: float | None = None  # of the upright frame at width x height, from metadata: a prior, not a measurement
    cuts_s: tuple[float, ...] = ()  # times at which another shot begins: the recording was edited
    masked_share: float = 0.0  # of the picture that an overlay hides and a mask ignores: runner/scene/masks.py
    projection: str = ""  # of the file: "" what any lens sees, "fisheye" a disc, "equirectangular" 360 degrees
    crop: Crop = NO_CROP  # black bars, which are cut off before anything else
    track: tuple[Fix, ...] = ()  # where the camera was, from telemetry in the file; in the order of time
    steadied: bool = False  # a program shifted and bent its pictures: black edges that move beside them
    view: int | None = None  # of a view cut out of 360-degree frames: quarter turns to the right; None: it is none
    turns: bool = False  # the camera stands still, and the scene is what turns before it: masks of its frames


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
    gps: tuple[float, float] | None = None  # of the photo; of a frame of a film from its telemetry
    altitude_m: float | None = None  # of the photo, as its camera wrote it
    turned_deg: int = 0  # of the photo, counter-clockwise, from how it is stored to upright: see EXIF orientation


@dataclass(frozen=True)
class RefusedClip:
    """A clip that could not be used while others could."""

    name: str
    failure: Failure


@dataclass(frozen=True)
class SharedStretch:
    """A part of a film that shows the same recording as a part of another one."""

    video: str  # ClipInfo.name
    begin_s: float  # in its time
    end_s: float
    other: str  # ClipInfo.name; between films, `video` and `other` never swap their places
    offset_s: float  # added to a time of `video`: when `other` shows the same


@dataclass(frozen=True)
class FrameSet:
    """Result of the frame stage. Frames are in capture order: clip after clip, time within a clip."""

    clips: tuple[ClipInfo, ...]
    frames: tuple[Frame, ...]
    refused: tuple[RefusedClip, ...] = ()
    warnings: tuple[str, ...] = ()  # about the scene as a whole
    sources: tuple[tuple[str, str], ...] = field(default=(), compare=False)
    """Clip.name and SHA-256 of every file, where a cache of stages is kept: the key of what is cached of a frame."""
    unused: tuple[UnusedFile, ...] = ()
    """Files that nothing is wrong with and that the scene does without: copies, the moving parts of photos."""
    shared: tuple[SharedStretch, ...] = ()  # of films that are all used

    @property
    def not_used(self) -> tuple[UnusedFile, ...]:
        """Every file that the scene does without, refused ones first."""
        return (*(UnusedFile(clip.name, clip.failure.cause) for clip in self.refused), *self.unused)
