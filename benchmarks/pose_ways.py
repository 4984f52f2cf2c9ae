"""Three ways from the same files to camera poses: this project's, plain pycolmap's, and the replaced service's.

Each writes a workspace of the runner (frames/, sparse/), so that the same trainer can go on with any of them.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from runner.scene.frames import Frame, FrameSet
from scenejobs.names import is_photo

OLD_FPS, OLD_FEATURES = 2.0, 2048
OURS, BEFORE = "ours", "the commit before"

Key = tuple[str, int]  # name of the file, index of the decoded frame; 0 for a photo


@dataclass(frozen=True)
class Block:
    """Frames of one file that are scored and never trained on, nor is anything between them and their neighbours."""

    name: str  # of the file
    after: int  # the frame before the first one, by our choice of frames; -1: none
    before: int  # the frame behind the last one
    indices: tuple[int, ...]

    def role(self, key: Key) -> str | None:
        """ "test", "left out", or None for what has nothing to do with this block."""
        name, index = key
        if name != self.name or not self.after < index < self.before:
            return None
        return "test" if index in self.indices else "left out"


@dataclass(frozen=True)
class Found:
    """What a way left in its workspace."""

    frames: FrameSet
    placed: bool  # there is a model in sparse/
    rung: str
    frames_s: float
    poses_s: float


def key(frame: Frame) -> Key:
    """Names the picture whatever way took it."""
    return (frame.photo, 0) if frame.photo else (frame.video, frame.index)


def ours(files: Sequence[Path], work: Path, preset_name: str, _count: int, _held: Sequence[Block]) -> Found:
    """The stages of a job, with the settings of a preset."""
    from runner.context import StageContext
    from runner.media.extract import extract_frames
    from runner.pipeline.presets import preset
    from runner.poses.find import find_poses
    from runner.scene.frames import Clip
    from runner.scene.progress import SILENT

    chosen, begun = preset(preset_name), time.monotonic()
    frames = extract_frames([Clip(path.name, path) for path in files], StageContext(work, SILENT), chosen.frames)
    chosen_at = time.monotonic()
    report = find_poses(frames, StageContext(work, SILENT), chosen.poses)
    return Found(frames, True, report.rung, chosen_at - begun, time.monotonic() - chosen_at)


def plain(files: Sequence[Path], work: Path, _preset: str, count: int, held: Sequence[Block]) -> Found:
    """As many frames as ours, evenly in time, or all photos; pycolmap's defaults."""
    import pycolmap

    begun = time.monotonic()
    frames = taken(files, work / "frames", lambda share, _seconds: round(count * share), held)
    chosen_at = time.monotonic()
    database = work / "database.db"
    pycolmap.extract_features(database, work / "frames")
    pycolmap.match_exhaustive(database)
    return _mapped(database, work, frames, begun, chosen_at)


def old(files: Sequence[Path], work: Path, _preset: str, _count: int, held: Sequence[Block]) -> Found:
    """Two frames per second, or all photos, with a camera each and few features; matched in sequence."""
    import pycolmap

    begun = time.monotonic()
    frames = taken(files, work / "frames", lambda _share, seconds: round(seconds * OLD_FPS), held)
    chosen_at = time.monotonic()
    database = work / "database.db"
    options = pycolmap.FeatureExtractionOptions()
    options.sift.max_num_features = OLD_FEATURES
    pycolmap.extract_features(
        database, work / "frames", camera_mode=pycolmap.CameraMode.PER_IMAGE, extraction_options=options
    )
    pycolmap.match_sequential(database)
    return _mapped(database, work, frames, begun, chosen_at)


WAYS: dict[str, Callable[[Sequence[Path], Path, str, int, Sequence[Block]], Found]] = {
    OURS: ours, "uniform + defaults": plain, "old settings": old
}  # fmt: skip


def taken(
    files: Sequence[Path], folder: Path, wanted: Callable[[float, float], int], held: Sequence[Block]
) -> FrameSet:
    """Photos as they are; of videos evenly spaced frames, and those that are scored.

    wanted: (share of all seconds, seconds of the clip) -> number of frames.
    """
    import av
    import numpy as np

    photos = [path for path in files if is_photo(path.name)]
    videos = [path for path in files if path not in photos]
    frames = []
    for number, path in enumerate(photos):
        target = folder / "photos" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        frames.append(Frame(f"photos/{path.name}", "photos", number, float(number), 0.0, photo=path.name))

    def length(path: Path) -> tuple[int, float]:
        with av.open(str(path)) as container:
            count = sum(1 for _ in container.decode(video=0))
            return count, count / float(container.streams.video[0].average_rate)

    lengths = [length(path) for path in videos]
    total = sum(seconds for _, seconds in lengths)
    for path, (count, seconds) in zip(videos, lengths, strict=True):
        number = min(count, max(2, wanted(seconds / total, seconds)))
        take = set(np.linspace(0, count - 1, number).round().astype(int).tolist())
        take |= {index for block in held if block.name == path.name for index in block.indices}
        (folder / path.stem).mkdir(parents=True)
        with av.open(str(path)) as container:
            for index, picture in enumerate(container.decode(video=0)):
                if index in take:
                    name = f"{path.stem}/{index:06d}.png"
                    picture.to_image().rotate(picture.rotation, expand=True).save(folder / name)
                    frames.append(Frame(name, path.name, index, index * seconds / count, 0.0))
    return FrameSet((), tuple(frames))


def _mapped(database: Path, work: Path, frames: FrameSet, begun: float, chosen_at: float) -> Found:
    """The largest of the models that incremental mapping with its defaults makes."""
    import pycolmap

    (work / "models").mkdir()
    models: dict[int, Any] = pycolmap.incremental_mapping(database, work / "frames", work / "models")
    took = chosen_at - begun, time.monotonic() - chosen_at
    if not models:
        return Found(frames, False, "no model", *took)
    largest = max(models, key=lambda number: models[number].num_reg_images())
    (work / "models" / str(largest)).rename(work / "sparse")
    return Found(frames, True, f"largest of {len(models)}", *took)
