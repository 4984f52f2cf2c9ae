"""What all stages of a job share: their context, times, log lines and checkpoint, and the documents at the end."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from runner.cache.provenance import versions
from runner.context import StageContext
from runner.files import json_file
from runner.files.atomic import WrittenFile
from runner.files.describe import describe_file
from runner.media.footage import read_footage
from runner.pipeline import checkpoint, fitting
from runner.pipeline.fitting import Fitted
from runner.pipeline.settings import JobSettings
from runner.report import documents
from runner.report.html import write_report
from runner.scene.frames import Clip
from runner.scene.progress import Progress, Report, never_back
from runner.scene.stages import Stage
from scenejobs.errors import Code, InputError, SceneJobError
from scenejobs.estimate import words
from scenejobs.names import PREVIEW_FILES, PREVIEW_FOLDER, SCENE_FILE

log = logging.getLogger(__name__)

NOT_OUTPUTS = frozenset({"manifest.json", "error.json", "run.log"})
CHECKPOINT_S = 5.0  # between two writes of .checkpoint.json within a stage


@dataclass(frozen=True, kw_only=True)
class JobContext(StageContext):
    """The context of all stages, and what only the recipe of a job knows."""

    out: Path  # folder of the results
    name: str  # stem of the result files
    settings: JobSettings
    mock: bool = False  # True: no real reconstruction; every document says so


class StageResult(Protocol):
    """What a stage returns."""

    @property
    def summary(self) -> Mapping[str, Any]:
        """For the log and the checkpoint: counts, sizes, names."""


Result = TypeVar("Result", bound=StageResult)
Inputs = ParamSpec("Inputs")


def require_clips(clips: list[Clip]) -> None:
    """Raises InputError when there is nothing to look at."""
    if not clips:
        advice = "upload at least one video, or a set of photos"
        raise InputError("the scene holds no video and no photo", code=Code.NO_VIDEO, advice=advice)
    for clip in clips:
        if not clip.path.is_file():
            raise InputError(f"{clip.name} is missing", code=Code.INPUT_GONE, advice="upload it again")


class Stages:
    """Runs the stages of one job."""

    def __init__(self, context: JobContext) -> None:
        self.context = replace(context, progress=Progress(never_back(self._emit), context.progress.stop_requested))
        self.seconds: dict[str, float] = {}  # by stage, wall clock
        self.fit: Fitted | None = None  # set before the first stage that costs something
        self.found: list[str] = []  # what earlier attempts had finished: "frames", "sparse"
        self._outer = context.progress
        self._written_at = 0.0  # monotonic, of the checkpoint file
        context.out.mkdir(parents=True, exist_ok=True)
        (context.out / "manifest.json").unlink(missing_ok=True)  # of an earlier run: what it names is about to change
        self._checkpoint = checkpoint.begin(context.settings.job_id, datetime.now(UTC))

    def run(
        self,
        stage: Stage,
        step: Callable[Concatenate[JobContext, Inputs], Result],
        *inputs: Inputs.args,
        **options: Inputs.kwargs,
    ) -> Result:
        """The result of `step(context, *inputs)`, measured, logged and recorded as this stage."""
        with self.stage(stage) as summary:
            result = step(self.context, *inputs, **options)
            summary.update(result.summary)
        return result

    @contextmanager
    def stage(self, name: str, booked: str = "") -> Iterator[dict[str, Any]]:
        """Measures the stage, names it in its errors, and records in the checkpoint what is put into the dict.

        booked: what its time counts as; "": as its own.
        """
        begun = time.monotonic()
        summary: dict[str, Any] = {}
        progress = self.context.progress
        progress.check(name)
        progress.report(name, 0.0)
        try:
            yield summary
        except SceneJobError as exc:
            exc.stage = exc.stage or name
            raise
        took_s = time.monotonic() - begun
        booked = booked or name
        self.seconds[booked] = round(self.seconds.get(booked, 0.0) + took_s, 3)
        log.info("%s took %.1f s: %s", booked, took_s, summary)
        recorded = json_file.plain({**summary, "seconds": self.seconds[booked]})
        self._checkpoint = self._checkpoint.finished_stage(name, recorded, datetime.now(UTC))
        self._write_checkpoint()
        progress.report(name, 1.0)

    def fits(self, clips: Sequence[Clip]) -> None:
        """Estimates what the job takes, by the headers of its films, and makes it smaller where it would not fit.

        Raises InputError DOES_NOT_FIT, ConfigurationError NO_SANDBOX.
        """
        settings = self.context.settings
        left_s = None if settings.ends_at is None else settings.ends_at - time.monotonic()
        self.fit = fitting.fitted(
            settings.preset, read_footage(clips, settings.preset.frames), settings.backend, settings.finished,
            threads=settings.threads, left_s=left_s, held_by=settings.budget.named,
        )  # fmt: skip
        for each in self.fit.told:
            log.warning("%s", each)
        log.info("it should take %s", words.time(self.fit.expected.total_s))
        warnings = (*settings.warnings, *self.fit.told)
        finish_s = self.fit.expected.stages_s["finish"].middle
        settings = replace(settings, preset=self.fit.preset, warnings=warnings, finish_s=finish_s)
        self.context = replace(self.context, settings=settings)

    @contextmanager
    def noting(self, marker: str) -> Iterator[None]:
        """Around a stage that skips what is done: it was found, not made, when its marker stays the same file."""
        path = self.context.workspace / marker
        before = path.stat() if path.is_file() else None
        yield
        after = path.stat() if path.is_file() else None
        if before and after and (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns):
            self.found.append(path.stem)

    def write_documents(self, results: documents.Results) -> dict[str, Any]:
        """metrics.json, cameras.json, report.html, the last checkpoint, then manifest.json with every file's hash.

        Returns the metrics.
        """
        out, now = self.context.out, datetime.now(UTC)
        run = self._run_info(now)
        metrics: dict[str, Any] = json_file.plain(documents.metrics(run, results))
        json_file.write_json(out / "metrics.json", metrics)
        json_file.write_json(out / "cameras.json", documents.cameras(results))
        write_report(out, results, metrics, json_file.utc(now), self.context.settings.filming_page)
        self._checkpoint = self._checkpoint.completed(now)
        self._write_checkpoint()
        json_file.write_json(out / "manifest.json", documents.manifest(run, results, outputs_in(out)))
        return metrics

    def _run_info(self, now: datetime) -> documents.RunInfo:
        settings = self.context.settings
        return documents.RunInfo(
            job_id=settings.job_id,
            processed_at=now,
            preset=settings.preset.name,
            seeds={"colmap_reconstruction": settings.preset.poses.seed, "training": settings.preset.train.seed},
            versions=versions(),
            stage_seconds=self.seconds,
            mock=self.context.mock,
            found=tuple(self.found),
            generations=settings.generations,
            asked=_asked(settings),
            estimate=self._estimate(),
            publish_geo=settings.publish_geo,
            first_look=first_look_of(self.context.workspace),
        )

    def _estimate(self) -> dict[str, Any] | None:
        settings = self.context.settings
        return fitting.told_of(self.fit, settings.backend, settings.machine, self.seconds) if self.fit else None

    def _emit(self, report: Report) -> None:
        if self.fit is not None:
            expected = self.fit.expected.total_s
            report = replace(report, expected_s=(expected.low, expected.high))
        self._outer.emit(report)
        if time.monotonic() - self._written_at > CHECKPOINT_S:
            self._checkpoint = self._checkpoint.reported(report, datetime.now(UTC))
            self._write_checkpoint()

    def _write_checkpoint(self) -> None:
        checkpoint.write_checkpoint(self._checkpoint, self.context.out)
        self._written_at = time.monotonic()


def first_look_of(workspace: Path) -> dict[str, Any] | None:
    """What was told of it; None where there was none."""
    path = workspace / PREVIEW_FOLDER / PREVIEW_FILES[-1]
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _asked(settings: JobSettings) -> dict[str, Any] | None:
    """What the scene's scene.yaml asked for, and what of it was not given."""
    if settings.asked is None:
        return None
    lowered = [each for each in settings.warnings if each.startswith(SCENE_FILE)]
    return {"settings": settings.asked.values, "notify": list(settings.asked.notify), "not_given": lowered}


def outputs_in(folder: Path) -> dict[str, WrittenFile]:
    """Size and hash of every finished file of the folder but the manifest, by name."""
    names = sorted(path.name for path in folder.iterdir() if path.is_file() and not path.name.endswith(".part"))
    return {name: describe_file(folder / name) for name in names if name not in NOT_OUTPUTS}
