"""The numbers of a running watch in Prometheus' text format."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from scenejobs.state.status import State
from watch.status import Facts

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
PREFIX = "video_splat_"

Sample = tuple[dict[str, str], float]


def text(facts: Facts) -> str:
    """One exposition. What is not known is left out, never 0."""
    return "".join(_lines(facts))


def _lines(facts: Facts) -> Iterator[str]:
    for name, kind, help_, samples in _families(facts):
        known = [(labels, value) for labels, value in samples if math.isfinite(value)]
        if not known:
            continue
        yield f"# HELP {PREFIX}{name} {help_}\n# TYPE {PREFIX}{name} {kind}\n"
        for labels, value in known:
            inner = ",".join(f'{label}="{_escaped(text_)}"' for label, text_ in labels.items())
            yield f"{PREFIX}{name}{'{' + inner + '}' if inner else ''} {value:.10g}\n"


def _families(facts: Facts) -> Iterator[tuple[str, str, str, list[Sample]]]:
    totals, last = facts.totals, facts.last
    ended = [({"outcome": "succeeded"}, facts.succeeded), ({"outcome": "failed"}, facts.failed)]
    yield "scenes_total", "counter", "Scenes that ended since the start.", [(a, float(b)) for a, b in ended]
    yield (
        "processing_seconds_total",
        "counter",
        "Time of all stages of scenes that succeeded.",
        [({}, totals["seconds"])],
    )
    yield "frames_total", "counter", "Frames extracted for scenes that succeeded.", [({}, totals["frames"])]
    yield "frame_extraction_seconds_total", "counter", "Time it took to extract them.", [({}, totals["frames_seconds"])]
    yield "pruned_files_total", "counter", "Files removed because they were old.", [({}, float(facts.pruned))]
    states = [(str(state), sum(scene.state is state for scene in facts.scenes)) for state in _SHOWN]
    yield "scenes", "gauge", "Scenes in the input folder.", [({"state": name}, float(count)) for name, count in states]
    yield "progress_ratio", "gauge", "Of the scene in work.", [
        ({"stage": scene.stage}, scene.fraction) for scene in facts.scenes if scene.state is State.RUNNING
    ]  # fmt: skip
    yield "queued_messages", "gauge", "Messages that wait for a worker.", [({}, float(facts.queued))]
    yield "poison_messages", "gauge", "Messages that nobody can act on.", [({}, float(facts.poisoned))]
    yield "workers", "gauge", "Workers that run.", [({}, float(facts.workers))]
    yield "up_to_date", "gauge", "1 when the last look at the folders went well.", [({}, float(not facts.trouble))]
    yield "uptime_seconds", "gauge", "Since the start.", [({}, facts.uptime_s)]
    yield "disk_free_bytes", "gauge", "Free space of each folder's disk.", list(_disks(facts))
    yield "resident_memory_bytes", "gauge", "Memory of the watch and all processes below it.", [({}, _memory())]
    if last is not None:
        yield "last_processing_seconds", "gauge", "Time of all stages of the last scene.", [({}, last.seconds)]
        yield "last_gaussians", "gauge", "Gaussians of the last scene.", [({}, float(last.gaussians))]
        yield "last_heldout_psnr_db", "gauge", "PSNR of its held-out views.", [({}, _or_nan(last.psnr))]
        yield "last_training_loss", "gauge", "Smoothed loss at the end of its training.", [({}, _or_nan(last.loss))]


_SHOWN = (State.SETTLING, State.QUEUED, State.RUNNING, State.ARCHIVING)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _disks(facts: Facts) -> Iterator[Sample]:
    folders = {name: getattr(facts.places, name) for name in ("input", "output", "processed", "error", "state")}
    for name, folder in {**folders, "workspace": facts.workspace}.items():
        try:
            found = os.statvfs(folder)
        except OSError:  # a mount is gone: not known
            continue
        yield {"folder": name}, float(found.f_bavail * found.f_frsize)


def _memory() -> float:
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


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
