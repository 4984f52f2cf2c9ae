"""Where a runner can be when it is told to stop, and how to find it there."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path

from runner.pipeline.checkpoint import FILE_NAME
from scenejobs.state.record import Phase
from tests.chaos.world import Process, World
from tests.synthetic import render, walk
from tests.videos import write_video

BEFORE = (Phase.IDLE,)  # the attempt was given back
DECIDED = (Phase.COMMITTED,)
DONE = (Phase.IDLE, Phase.COMMITTED)
FAILED = (Phase.IDLE, Phase.FAILING)
ANY = (Phase.IDLE, Phase.COMMITTED)  # never RUNNING: that attempt would count

PATIENT = {"QUEUE_IDLE_POLLS": "1000", "QUEUE_IDLE_WAIT_SECS": "0.2"}  # does not end by itself
DOWNLOAD = r"^GET /[^/]+/input-[^/]+/lobby/"
RECORD = r"^PUT /[^/]+/state-[^/]+/scenes/[^?]*(\?timeout=\d+)?$"


@dataclass(frozen=True)
class Request:
    """A stage of the runner, told by a request of it."""

    name: str
    match: str
    service: str = "blob"
    skip: int = 0
    phases: tuple[Phase, ...] = BEFORE  # of the record afterwards
    preemptions: tuple[int, ...] = (1,)  # of a record that waits for its next attempt
    scene: bool = True  # False: nothing to do is there
    video: bytes = b"video"


REQUESTS = (
    Request("waiting for messages", r"^GET .*/jobs-[^/]+/messages", "queue", skip=3, scene=False),
    Request("receiving", r"^GET .*/jobs-[^/]+/messages\?(?!.*peekonly)", "queue"),
    Request("leasing the record", r"^PUT .*/scenes/.*comp=lease"),
    Request("reading the record", r"^GET .*/state-[^/]+/scenes/"),
    Request("listing the uploads", r"^GET .*/input-[^/?]+\?.*comp=list", skip=1),  # the first is the start-up check
    Request("counting the attempt", RECORD, skip=1),  # the first creates it
    Request("download", DOWNLOAD),
    Request("upload of outputs, the first", r"^PUT .*/output-[^/]+/lobby/runs/"),
    Request("upload of outputs, the fifth", r"^PUT .*/output-[^/]+/lobby/runs/", skip=4),
    Request("commit", RECORD, skip=2, phases=DECIDED),
    Request("publish, the first", r"^PUT .*/output-[^/]+/lobby/(?!runs/)", phases=DECIDED),
    Request("publish, the manifest", r"^PUT .*/output-[^/]+/lobby/manifest.json", phases=DECIDED),
    Request("archive, copying", r"^PUT .*/processed-[^/]+/lobby/", phases=DECIDED),
    Request("archive, deleting", r"^DELETE .*/input-[^/]+/lobby/", phases=DONE),
    Request("closing", RECORD, skip=3, phases=(Phase.IDLE,)),
    Request("removing the message", r"^DELETE .*/jobs-[^/]+/messages", "queue", phases=(Phase.IDLE,)),
    Request("dead-lettering, the decision", RECORD, skip=2, phases=FAILED, video=b""),
    Request("dead-lettering, the reason", r"^PUT .*/error-[^/]+/lobby/error.json", phases=FAILED, video=b""),
    Request("dead-lettering, the input", r"^PUT .*/error-[^/]+/lobby/view1", phases=FAILED, video=b""),
)

# ---- the job itself -----------------------------------------------------------------------------

REAL_ENV = {
    "BACKEND": "cpu",
    "PRESET": "smoke",
    "FRAME_COUNT": "20",
    "MIN_VIDEO_WIDTH": "320",
    "MIN_VIDEO_HEIGHT": "240",
}
# Stage, and seconds into it: COLMAP extracts, matches and places; numba compiles or loads, then steps are taken.
REAL = (
    ("validation", 0.0),
    ("validation", 0.5),  # the child imports
    ("frame_extraction", 0.0),
    ("frame_extraction", 0.1),
    ("colmap_reconstruction", 0.5),
    ("colmap_reconstruction", 3.0),
    ("colmap_reconstruction", 8.0),
    ("colmap_reconstruction", 14.0),
    ("training", 0.5),
    ("training", 5.0),
    ("training", 15.0),
    ("ply_export", 0.0),
    ("splat_export", 0.0),
)
_PREVIOUS = {
    "validation": None,
    "frame_extraction": "validation",
    "colmap_reconstruction": "frame_extraction",
    "training": "colmap_reconstruction",
    "ply_export": "training",
    "splat_export": "ply_export",
}


def room(path: Path) -> bytes:
    """Three seconds of a walk through a textured room: poses are found and training works on it."""
    return write_video(path, [render(*pose) for pose in walk(30)]).read_bytes()


def wait_for_stage(world: World, process: Process, stage: str, seconds: float = 300) -> bool:
    """Until the job is in the stage; False when the runner ended before."""
    before = _PREVIOUS[stage]
    end = time.monotonic() + seconds
    while time.monotonic() < end and process.popen.poll() is None:
        if before is None:
            if any((world.folder / "work").glob("*/workspace/request.json")):
                return True
        elif before in _finished(world):
            return True
        time.sleep(0.005)
    return False


def _finished(world: World) -> dict[str, object]:
    """The stages that the job has left."""
    for path in (world.folder / "work").glob(f"*/out/{FILE_NAME}"):
        try:
            found: dict[str, object] = json.loads(path.read_text())["finished"]
        except FileNotFoundError:  # removed since
            return {}
        return found
    return {}
