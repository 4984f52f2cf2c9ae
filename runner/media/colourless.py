"""Films and photos in black and white beside others in colour: their cameras are found, and the scene becomes pale.

Read from the chosen frames, which are checked PNG files, in the process of the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from runner.scene.frames import Frame, FrameSet
from runner.scene.progress import Progress
from runner.scene.views import evenly
from scenejobs.wording import listed

STAGE = "frame_extraction"
LOOKED_AT = 5  # frames of a film
SIDE = 64  # px, long side of what is looked at: the noise of a sensor has colours
# Of 255, between the channels of a pixel, in the 95th of a hundred: grey films have 0 to 3 by their encoding, a lamp at
# night or a red date more; a dark walk 27, walk, fox, sceaux and banana 50 and more.
GREY, COLOURED = 6.0, 16.0
NAMED = 5


def said_of_colours(frames: FrameSet, workspace: Path, progress: Progress) -> tuple[str, ...]:
    """A warning that names what has no colours where something else has; none where all are of one kind.

    Raises Interrupted.
    """
    colours: dict[str, list[float]] = {}
    for name, frame in _some_of(frames):
        progress.check(STAGE)
        colours.setdefault(name, []).append(_colour(workspace / "frames" / frame.image))
    grey = [name for name, found in colours.items() if max(found) <= GREY]
    if not grey or not any(float(np.median(found)) >= COLOURED for found in colours.values()):
        return ()
    named = listed(grey, NAMED)
    what = "is" if len(grey) == 1 else "are"
    return (f"{named} {what} in black and white, and the rest in colour: the scene becomes pale; better leave it out",)


def _some_of(frames: FrameSet) -> Iterator[tuple[str, Frame]]:
    """Name of a file and a frame of it: of each photo, and some of each film."""
    for clip in frames.clips:
        own = [frame for frame in frames.frames if frame.video == clip.name]
        if any(frame.photo for frame in own):
            yield from ((frame.photo or clip.name, frame) for frame in own)
        else:
            yield from ((clip.name, own[index]) for index in evenly(range(len(own)), LOOKED_AT))


def _colour(path: Path) -> float:
    with Image.open(path) as file:
        small = file.convert("RGB")
    small.thumbnail((SIDE, SIDE), Image.Resampling.BOX)
    pixels = np.asarray(small, np.float32)
    return float(np.percentile(np.ptp(pixels, axis=2), 95))
