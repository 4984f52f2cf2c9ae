"""The demo footage, made by the repository itself: three phone-like clips of a walk around a laid table in a courtyard.

    python -m local.footage.film OUT_DIR

writes courtyard-1.mp4 to courtyard-3.mp4 and truth.json, the exact cameras of every frame. The clips overlap and go
280 degrees around the table in all; the second is filmed upright, and stored lying with a rotation in its header, as
phones do. The same arguments give the same files, byte by byte, on one machine with one version of the libraries.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from local.footage.courtyard import courtyard
from local.footage.ray_caster import World, render

FOCAL_RATIO = 0.78  # focal length / long side: the main lens of a phone while filming, about 28 mm
TARGET = np.array([0.0, 0.0, 0.72])  # metres: the table top is at 0.8
FILMED_AT = "2026-06-21T10:00:00.000000Z"
QUARTER_TURN = ((0, 1, 0), (-1, 0, 0))  # display matrix of a clip to be shown turned clockwise by 90 degrees

LEVEL = (0.0, 0.0, 0.0)  # radians: a camera that is not turned around its own axes


@dataclass(frozen=True)
class Shot:
    """One clip: a walk on an arc around the table. Pairs are values at its start and end."""

    video: str
    azimuth_deg: tuple[float, float]
    radius_m: tuple[float, float]
    height_m: tuple[float, float]
    upright: bool = False  # portrait


@dataclass(frozen=True)
class TrueCamera:
    """What filmed one frame. OpenCV axes: x right, y down, z forward; pixel centres at .5."""

    width: int
    height: int
    K: NDArray[np.float64]  # [3, 3]
    world_to_camera: NDArray[np.float64]  # [4, 4]


SHOTS = (
    Shot("courtyard-1.mp4", (-10, 100), (2.9, 2.65), (1.7, 1.5)),
    Shot("courtyard-2.mp4", (75, 185), (2.75, 2.9), (1.45, 1.75), upright=True),
    Shot("courtyard-3.mp4", (160, 270), (2.6, 2.95), (1.6, 1.35)),
)


def make_demo_footage(
    out_dir: Path, *, seed: int = 7, size: tuple[int, int] = (848, 480), fps: int = 10, seconds: float = 4.0,
    detail: float = 1.0,
) -> list[Path]:  # fmt: skip
    """Writes the clips and truth.json into `out_dir` and returns the clips' paths.

    size: pixels, width and height of a landscape frame, both even; the upright clip has them exchanged.
    detail: fineness of the scene's textures; less is faster and blurred.
    """
    out_dir.mkdir(parents=True, exist_ok=True)
    world, rng = courtyard(seed, detail), np.random.default_rng([seed, 1])
    clips, truth = [], []
    for shot in SHOTS:
        cameras = film(shot, rng, size, fps, round(seconds * fps))
        frames = (np.rot90(frame) if shot.upright else frame for frame in _frames(world, cameras))
        path = out_dir / shot.video
        _encode(path, frames, size, fps)
        if shot.upright:
            _turn_clockwise(path, shown_width=size[1])
        clips.append(path)
        truth.append(_truth(shot, cameras, fps))
    document = {"axes": "OpenCV: x right, y down, z forward; pixel centres at .5; metres", "clips": truth}
    (out_dir / "truth.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return clips


def film(shot: Shot, rng: np.random.Generator, size: tuple[int, int], fps: int, count: int) -> list[TrueCamera]:
    """The cameras of one clip: a smooth arc, eyes on the table, with the sway of a hand."""
    width, height = (size[1], size[0]) if shot.upright else size
    focal = FOCAL_RATIO * max(size)
    K = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1.0]])
    time = np.arange(count) / fps
    share = np.linspace(0, 1, count)
    azimuth = np.radians(np.interp(share, (0, 1), shot.azimuth_deg))
    radius = np.interp(share, (0, 1), shot.radius_m) + 0.05 * np.sin(2 * np.pi * share)
    eye_height = np.interp(share, (0, 1), shot.height_m) + 0.04 * np.sin(2 * np.pi * 0.9 * time)  # steps
    eyes = np.stack([radius * np.cos(azimuth), radius * np.sin(azimuth), eye_height], axis=1)
    eyes += 0.01 * _sway(rng, time)
    targets = TARGET + np.array([0.12, 0.12, 0.05]) * _sway(rng, time, slow=0.35)
    tilts = np.radians(0.5) * _sway(rng, time)
    return [TrueCamera(width, height, K, looking(*pose)) for pose in zip(eyes, targets, tilts, strict=True)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out_dir", type=Path, help="where the clips and truth.json go")
    parser.add_argument("--seed", type=int, default=7, help="another seed is another courtyard (default 7)")
    chosen = parser.parse_args()
    for path in make_demo_footage(chosen.out_dir, seed=chosen.seed):
        print(f"{path} ({path.stat().st_size / 1e6:.1f} MB)")


def _frames(world: World, cameras: list[TrueCamera]) -> Iterator[NDArray[np.uint8]]:
    for camera in cameras:
        yield render(world, camera.K, camera.world_to_camera, camera.width, camera.height)[0]


def _sway(rng: np.random.Generator, time: NDArray[np.float64], slow: float = 1.0) -> NDArray[np.float64]:
    """[len(time), 3] smooth, about -1..1: a few slow waves per axis. Kept below 2 Hz so that no frame would blur."""
    total = np.zeros((len(time), 3))
    for hertz, weight in ((0.45, 0.6), (0.9, 0.3), (1.7, 0.15)):
        phase = rng.uniform(0, 2 * np.pi, 3)
        total += weight * np.sin(2 * np.pi * hertz * slow * time[:, None] + phase)
    return total


def looking(
    eye: NDArray[np.float64],
    target: NDArray[np.float64],
    tilt: tuple[float, float, float] | NDArray[np.float64] = LEVEL,
) -> NDArray[np.float64]:
    """[4, 4] world to camera: from `eye` towards `target`, then turned by `tilt` radians around its own axes."""
    forward = (target - eye) / np.linalg.norm(target - eye)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right /= np.linalg.norm(right)
    x, y, z = tilt
    small = np.eye(3) + np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    u, _, vt = np.linalg.svd(small @ np.stack([right, np.cross(forward, right), forward]))
    pose = np.eye(4)
    pose[:3, :3] = u @ vt  # the nearest rotation
    pose[:3, 3] = -pose[:3, :3] @ eye
    return pose


def _encode(path: Path, frames: Iterable[NDArray[np.uint8]], size: tuple[int, int], fps: int) -> None:
    """H.264 as phones write it, always the same bytes.

    x264 gives other bytes with another number of threads, hence one; and its macroblock tree gives other bytes from
    run to run (2 to 3 different files in 60 runs of the same frames, one file without it), hence none.
    """
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["creation_time"] = FILMED_AT
        options = {"crf": "19", "preset": "fast", "threads": "1", "x264-params": "mbtree=0"}
        stream = container.add_stream("libx264", rate=fps, options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for index, image in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, fps)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


def _turn_clockwise(path: Path, shown_width: int) -> None:
    """Sets the display matrix of the only track (ISO 14496-12, box `tkhd`); PyAV has no way to write it."""
    content = bytearray(path.read_bytes())
    box = content.index(b"tkhd")
    version = content[box + 4]
    start = box + 4 + (52 if version else 40)  # after version and flags, times, id, duration, layer, volume
    (a, b, u), (c, d, v) = QUARTER_TURN
    matrix = (a << 16, b << 16, u, c << 16, d << 16, v, shown_width << 16, 0, 1 << 30)
    content[start : start + 36] = np.array(matrix, ">i4").tobytes()
    path.write_bytes(content)


def _truth(shot: Shot, cameras: list[TrueCamera], fps: int) -> dict[str, Any]:
    first = cameras[0]
    return {
        "video": shot.video,
        "width": first.width,
        "height": first.height,
        "fps": fps,
        "K": first.K.tolist(),
        "frames": [
            {"index": index, "timestamp_s": index / fps, "world_to_camera": camera.world_to_camera.tolist()}
            for index, camera in enumerate(cameras)
        ],
    }


if __name__ == "__main__":
    main()
