"""A first look at a scene after a tenth of its training: SPZ, poster and a page, in `preview/` of the workspace.

It is no result: every file says so, none is upright or cleaned, and nothing of it is ever among the outputs.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime

from runner.export.formats import EXPORTERS
from runner.export.viewer.own import write_viewer
from runner.files import json_file
from runner.pipeline.stages import JobContext
from runner.raster.port import Rasterizer
from runner.report.pictures import write_poster
from runner.scene.gaussians import Gaussians
from runner.scene.views import TrainingScene
from scenejobs.errors import Interrupted, SceneJobError
from scenejobs.names import PREVIEW_FILES, PREVIEW_FOLDER

log = logging.getLogger(__name__)

SPZ, POSTER, PAGE, TOLD = PREVIEW_FILES


def writer(context: JobContext, scene: TrainingScene, rasterizer: Rasterizer) -> Callable[[Gaussians, int], None]:
    """Called with Gaussians and the step they are of. A look that cannot be written costs no result."""

    def write(gaussians: Gaussians, step: int) -> None:
        try:
            _write(context, scene, rasterizer, gaussians, step)
        except Interrupted:
            raise
        except (SceneJobError, OSError) as exc:
            log.warning("there is no first look: %s", exc)

    return write


def _write(context: JobContext, scene: TrainingScene, rasterizer: Rasterizer, gaussians: Gaussians, step: int) -> None:
    folder, settings, begun = context.workspace / PREVIEW_FOLDER, context.settings, time.monotonic()
    if (folder / TOLD).is_file():  # of a first training, before another way was tried
        return
    folder.mkdir(exist_ok=True)
    note = f"preview: {step:,} of {settings.preset.train.iterations:,} steps of the training"
    EXPORTERS["spz"].write(gaussians, folder / SPZ)
    write_poster(gaussians, scene, rasterizer, folder / POSTER)
    write_viewer(
        gaussians, scene.views, folder / PAGE, title=f"{context.name} (preview)", note=note, poster=folder / POSTER,
        doubt="This is a first look while the scene is being made. The result will be sharper",
    )  # fmt: skip
    now = datetime.now(UTC)
    since_s = None if settings.uploaded_at is None else max(0.0, (now - settings.uploaded_at).total_seconds())
    told = {
        "preview": True, "job_id": settings.job_id, "run_id": settings.job_id, "step": step,
        "steps": settings.preset.train.iterations, "gaussians": gaussians.count, "at": json_file.utc(now),
        "since_last_upload_s": since_s, "writing_s": round(time.monotonic() - begun, 3),
    }  # fmt: skip
    json_file.write_json(folder / TOLD, told)
    log.info("a first look is there: %s", told)
