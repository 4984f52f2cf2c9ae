"""The numbers of a watch, read back with the parser that prometheus_client brings."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from scenejobs.state.overview.status import SceneStatus, State
from scenejobs.state.record import Outcome
from watch import metrics
from watch.problems import Kind
from watch.status import FinishedScene, WatchStatus

FINISHED = FinishedScene("a", "r1", Outcome.SUCCEEDED, 60.5, 240, 12.5, 8000, 23.25, 0.125)
COUNTERS = {
    "scenes_total", "processing_seconds_total", "frames_total", "frame_extraction_seconds_total", "pruned_files_total",
    "suspect_scenes_total",
}  # fmt: skip
GAUGES = {
    "scenes", "progress_ratio", "queued_messages", "poison_messages", "workers", "up_to_date", "uptime_seconds",
    "disk_free_bytes", "resident_memory_bytes", "last_processing_seconds", "last_gaussians", "last_heldout_psnr_db",
    "last_training_loss", "healthy", "problem", "instance_info",
}  # fmt: skip
"""What dashboards ask for: without the prefix."""


def values(status: WatchStatus) -> dict[tuple[str, str], float]:
    """(name of the sample, value of its only label or "") -> number."""
    families = text_string_to_metric_families(metrics.text(status))
    found = [sample for family in families for sample in family.samples]
    assert all(len(sample.labels) <= 1 for sample in found)
    known = {(sample.name, "".join(sample.labels.values())): sample.value for sample in found}
    assert len(known) == len(found), "a sample stands there twice"
    return known


@pytest.fixture
def busy(status: WatchStatus) -> WatchStatus:
    """Two scenes finished, one of them suspect, one failed, one in training, two that wait."""
    status.scene_finished(FINISHED)
    status.scene_finished(FinishedScene("b", "r2", Outcome.DEAD_LETTERED))
    status.scene_finished(replace(FINISHED, scene="c", suspect=True))
    status.scenes = (
        SceneStatus("d", State.RUNNING, stage="training", fraction=0.25),
        SceneStatus("e", State.QUEUED),
        SceneStatus("f", State.QUEUED),
    )
    status.queued, status.poisoned, status.workers, status.pruned = 3, 1, 1, 7
    status.instance = "here"
    return status


def test_every_line_of_the_numbers_is_what_prometheus_reads(busy: WatchStatus) -> None:
    found = values(busy)
    expected = {
        ("scenes_total", "succeeded"): 2, ("scenes_total", "failed"): 1, ("suspect_scenes_total", ""): 1,
        ("processing_seconds_total", ""): 121,
        ("frames_total", ""): 480, ("frame_extraction_seconds_total", ""): 25, ("pruned_files_total", ""): 7,
        ("scenes", "running"): 1, ("scenes", "queued"): 2, ("scenes", "settling"): 0, ("scenes", "archiving"): 0,
        ("progress_ratio", "training"): 0.25, ("queued_messages", ""): 3, ("poison_messages", ""): 1,
        ("workers", ""): 1, ("up_to_date", ""): 1, ("uptime_seconds", ""): 0, ("last_processing_seconds", ""): 60.5,
        ("last_gaussians", ""): 8000, ("last_heldout_psnr_db", ""): 23.25, ("last_training_loss", ""): 0.125,
        ("instance_info", "here"): 1, ("healthy", ""): 1, **{("problem", str(kind)): 0 for kind in Kind},
    }  # fmt: skip
    exact = {(metrics.PREFIX + name, label): value for (name, label), value in expected.items()}
    measured = {
        (metrics.PREFIX + "disk_free_bytes", folder)
        for folder in ("input", "output", "processed", "error", "state", "workspace")
    }
    if sys.platform == "linux":
        measured.add((metrics.PREFIX + "resident_memory_bytes", ""))
    assert {key: value for key, value in found.items() if key not in measured} == exact
    assert all(found[key] > 0 for key in measured)


def test_each_number_has_its_kind_and_one_line_of_help_and_nothing_else_is_sent(busy: WatchStatus) -> None:
    """Neither numbers of the Python process nor `_created`: both cost room at every scrape."""
    lines = [line.split(maxsplit=3) for line in metrics.text(busy).splitlines()]
    kinds = [(name, kind) for hash_, word, name, kind in (line for line in lines if len(line) == 4) if word == "TYPE"]
    wanted = {**dict.fromkeys(COUNTERS, "counter"), **dict.fromkeys(GAUGES, "gauge")}
    assert dict(kinds) == {metrics.PREFIX + name: kind for name, kind in wanted.items()}
    assert sorted(line[2] for line in lines if line[1] == "HELP") == sorted(name for name, _ in kinds)


def test_no_name_of_a_stage_breaks_a_line(status: WatchStatus) -> None:
    odd = 'odd "stage"\\\n'
    status.scenes = (SceneStatus("c", State.RUNNING, stage=odd, fraction=0.5),)
    assert values(status)[f"{metrics.PREFIX}progress_ratio", odd] == 0.5


def test_what_is_not_known_is_left_out(status: WatchStatus) -> None:
    """A score of 0 dB would be a lie, and so would an empty disk where a mount is gone."""
    status.scene_finished(replace(FINISHED, psnr=None, loss=None))
    assert status.places is not None
    status.places.output.rmdir()
    status.last_error = "no such mount"
    found = values(status)
    names = {name.removeprefix(metrics.PREFIX) for name, _ in found}
    assert {"last_gaussians", "last_heldout_psnr_db", "last_training_loss", "progress_ratio"} & names == {
        "last_gaussians"
    }
    assert (f"{metrics.PREFIX}disk_free_bytes", "output") not in found
    assert (f"{metrics.PREFIX}disk_free_bytes", "input") in found
    assert found[f"{metrics.PREFIX}up_to_date", ""] == 0
