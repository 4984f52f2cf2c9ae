"""What a job is: videos -> frames -> cameras -> views -> Gaussians -> files, stage by stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from runner.cache.store import StageCache
from runner.pipeline import cameras
from runner.pipeline.settings import JobSettings
from runner.pipeline.stages import JobContext, Stages
from runner.scene.frames import Clip
from runner.scene.progress import Progress
from runner.scene.stages import MADE_AGAIN, Stage


def reconstruct(
    clips: list[Clip], workspace: Path, out: Path, name: str, settings: JobSettings, progress: Progress
) -> dict[str, Any]:
    """Runs every stage and writes <name>.ply, <name>.splat, the documents and, last, manifest.json to `out`.

    The same workspace again resumes: each stage finds what it has finished. Returns the metrics.
    Raises the errors of the stages, each with its stage filled in.
    """
    cache = StageCache(settings.cache, settings.preset.name) if settings.cache else None
    stages = Stages(JobContext(workspace, progress, cache, out=out, name=name, settings=settings))
    inputs = stages.run(Stage.VALIDATION, cameras.validate, clips)
    stages.fits(inputs.clips)
    with stages.noting("frames.json"):
        frames = stages.run(Stage.FRAMES, cameras.choose_frames, inputs).frames
    with stages.noting("sparse.json"):
        posed = stages.run(Stage.POSES, cameras.find_cameras, inputs, frames)

    from runner.pipeline import another_way, splats, summary  # here: a job that fails on its videos never loads torch

    trained = stages.run(Stage.TRAINING, splats.train_splats, posed)
    finished = stages.run(Stage.CLEAN_UP, splats.clean_up, posed, trained)
    del trained  # as large as the finished ones
    if finished.doubts:
        cameras.forget_cameras(stages.context, inputs, frames)
        booked = MADE_AGAIN if finished.witness.cameras_doubted else ""  # else nothing is made
        with stages.stage(Stage.CLEAN_UP, booked) as told:
            finished = another_way.better_of_two(stages.context, frames, finished)
            told.update(finished.summary)
        if finished.doubts:
            cameras.forget_cameras(stages.context, inputs, frames)
    exports: dict[str, dict[str, Any]] = {}
    for stage, suffixes in splats.EXPORTS.items():
        exports |= stages.run(stage, splats.export, finished, suffixes).reports
    return stages.write_documents(summary.results(stages.context, finished, exports))
