"""The numbers of a running watch, collected at each scrape and written by prometheus_client."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4 as CONTENT_TYPE
from prometheus_client.registry import Collector

from scenejobs.state.overview.status import State
from watch.problems import Kind
from watch.status import WatchStatus

__all__ = ["CONTENT_TYPE", "WatchCollector", "text"]

PREFIX = "video_splat_"
SHOWN_STATES = (State.SETTLING, State.QUEUED, State.RUNNING, State.ARCHIVING)


def text(status: WatchStatus, poll_s: float = 0.0) -> str:
    """One exposition in Prometheus' text format 0.0.4. What is not known is left out, never 0."""
    registry = CollectorRegistry()  # of our own: without the numbers of the Python process
    registry.register(WatchCollector(status, poll_s))
    return generate_latest(registry).decode()


class WatchCollector(Collector):
    """Reads the status when it is scraped, so no number is kept twice. Families without a sample are not sent."""

    def __init__(self, status: WatchStatus, poll_s: float = 0.0) -> None:
        self._status, self._poll_s = status, poll_s

    def describe(self) -> Iterable[Metric]:
        """Nothing: a family may be missing from one scrape and there in the next."""
        return ()

    def collect(self) -> Iterator[Metric]:
        for family in (*_counters(self._status), *_gauges(self._status), *_health(self._status, self._poll_s)):
            family.samples = [sample for sample in family.samples if math.isfinite(sample.value)]
            if family.samples:
                yield family


def _counters(status: WatchStatus) -> Iterator[Metric]:
    totals = status.totals
    ended = {"succeeded": status.succeeded, "failed": status.failed}
    yield _counter("scenes", "Scenes that ended since the start.", "outcome", ended)
    yield _counter("suspect_scenes", "Of those that succeeded, whose result may be wrong.", value=status.suspect)
    yield _counter("processing_seconds", "Time of all stages of scenes that succeeded.", value=totals["seconds"])
    yield _counter("frames", "Frames extracted for scenes that succeeded.", value=totals["frames"])
    yield _counter("frame_extraction_seconds", "Time it took to extract them.", value=totals["frames_seconds"])
    yield _counter("pruned_files", "Files removed because they were old.", value=status.pruned)


def _gauges(status: WatchStatus) -> Iterator[Metric]:
    states = {str(state): sum(scene.state is state for scene in status.scenes) for state in SHOWN_STATES}
    running = {
        scene.stage: scene.fraction for scene in status.scenes if scene.state is State.RUNNING and status.is_mine(scene)
    }
    yield _gauge("scenes", "Scenes in the input folder.", "state", states)
    yield _gauge("progress_ratio", "Of the scene in work.", "stage", running)
    yield _gauge("queued_messages", "Messages that wait for a worker.", value=status.queued)
    yield _gauge("poison_messages", "Messages that nobody can act on.", value=status.poisoned)
    yield _gauge("workers", "Workers that run.", value=status.workers)
    yield _gauge("up_to_date", "1 when the last look at the folders went well.", value=not status.last_error)
    yield _gauge("uptime_seconds", "Since the start.", value=status.uptime_s)
    yield _gauge("disk_free_bytes", "Free space of each folder's disk.", "folder", _free_bytes(status))
    yield _gauge("resident_memory_bytes", "Memory of the watch and all processes below it.", value=_resident_bytes())
    if (last := status.last) is not None:
        yield _gauge("last_processing_seconds", "Time of all stages of the last scene.", value=last.seconds)
        yield _gauge("last_gaussians", "Gaussians of the last scene.", value=last.gaussians)
        yield _gauge("last_heldout_psnr_db", "PSNR of its held-out views.", value=_or_nan(last.psnr))
        yield _gauge("last_training_loss", "Smoothed loss at the end of its training.", value=_or_nan(last.loss))


def _health(status: WatchStatus, poll_s: float) -> Iterator[Metric]:
    """The same as /health, at the same moment."""
    problems = status.problems(poll_s)
    kinds = [each.kind for each in problems]
    if status.instance:
        yield _gauge("instance_info", "Name of this instance.", "name", {status.instance: 1})
    yield _gauge(
        "healthy", "1 when nothing keeps work from going on, as /health says.", value=not status.unwell(problems)
    )
    counts = {str(kind): kinds.count(kind) for kind in Kind}
    yield _gauge("problem", "How many reasons of a kind keep work from going on.", "kind", counts)


def _counter(
    name: str, help_: str, label: str = "", samples: Mapping[str, float] | None = None, *, value: float | None = None
) -> Metric:
    """`_total` is put behind the name. Either samples by the value of one label, or one value."""
    return _filled(CounterMetricFamily(PREFIX + name, help_, value, [label] if label else None), samples)


def _gauge(
    name: str, help_: str, label: str = "", samples: Mapping[str, float] | None = None, *, value: float | None = None
) -> Metric:
    return _filled(GaugeMetricFamily(PREFIX + name, help_, value, [label] if label else None), samples)


def _filled(
    family: CounterMetricFamily | GaugeMetricFamily, samples: Mapping[str, float] | None
) -> CounterMetricFamily | GaugeMetricFamily:
    for label, value in (samples or {}).items():
        family.add_metric([label], value)
    return family


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _free_bytes(status: WatchStatus) -> dict[str, float]:
    """By folder. One whose mount is gone is not known."""
    names = ("input", "output", "processed", "error", "state")
    places = {name: getattr(status.places, name) for name in names} if status.places else {}
    folders = {**places, "workspace": status.workspace}
    free: dict[str, float] = {}
    for name, folder in folders.items():
        try:
            found = os.statvfs(folder)
        except OSError:
            continue
        free[name] = float(found.f_bavail * found.f_frsize)
    return free


def _resident_bytes() -> float:
    """Of this process and all below it; not known where there is no /proc."""
    children: dict[int, list[int]] = {}
    resident: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            resident[int(folder.name)] = int((folder / "statm").read_text().split()[1])
        except (OSError, ValueError, IndexError):  # it ended while we looked, or is another user's
            continue
        children.setdefault(parent, []).append(int(folder.name))
    waiting, pages = [os.getpid()], 0
    while waiting:
        pid = waiting.pop()
        pages += resident.get(pid, 0)
        waiting += children.get(pid, [])
    return float(pages * os.sysconf("SC_PAGE_SIZE")) if pages else math.nan
