"""The checkpoint: one whole document at every moment, with the promised names."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runner.files import atomic
from runner.pipeline.checkpoint import FILE_NAME, Checkpoint, begin, write_checkpoint
from runner.scene.progress import Report
from runner.scene.stages import SHARES, Stage

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def halfway() -> Checkpoint:
    checkpoint = begin("lobby-1", NOON).finished_stage("validation", {"videos": 2}, NOON)
    checkpoint = checkpoint.finished_stage("frame_extraction", {"frames": 80}, NOON + timedelta(seconds=5))
    return checkpoint.reported(Report("training", 0.5, "step 2500/5000"), NOON + timedelta(seconds=90))


def written(folder: Path) -> Any:
    return json.loads((folder / FILE_NAME).read_text(encoding="utf-8"))


def test_the_file_holds_the_checkpoint_and_lies_alone(tmp_path: Path) -> None:
    write_checkpoint(halfway(), tmp_path)
    assert written(tmp_path) == halfway().to_json()
    assert [p.name for p in tmp_path.iterdir()] == [FILE_NAME]


def test_it_tells_stage_progress_and_the_summary_of_each_stage() -> None:
    document = halfway().to_json()
    assert (document["version"], document["job_id"], document["stage"]) == (1, "lobby-1", "training")
    before = sum(share for stage, share in list(SHARES.items())[: list(SHARES).index("training")])
    assert document["progress"] == pytest.approx(before + SHARES["training"] / 2, abs=1e-4)
    assert document["finished"]["validation"] == {"videos": 2, "finished_at": "2026-11-23T12:00:00.000Z"}
    assert list(document["finished"]) == ["validation", "frame_extraction"]


def test_the_names_of_all_stages_are_the_promised_ones(tmp_path: Path) -> None:
    """And their order: a program that watches may have them in a table."""
    promised = [
        "validation", "frame_extraction", "metadata_extraction", "manifest_generation", "colmap_reconstruction",
        "training", "clean_up", "ply_export", "splat_export", "small_exports",
    ]  # fmt: skip
    assert [stage.value for stage in Stage] == list(SHARES) == promised
    checkpoint = begin("lobby-1", NOON)
    for stage in Stage:
        checkpoint = checkpoint.finished_stage(stage, {}, NOON)
        write_checkpoint(checkpoint, tmp_path)
        assert written(tmp_path)["stage"] == stage.value
    assert list(written(tmp_path)["finished"]) == promised


def test_the_shares_add_up_and_the_end_is_all_of_it(tmp_path: Path) -> None:
    assert sum(SHARES.values()) == pytest.approx(1.0)
    write_checkpoint(halfway().completed(NOON), tmp_path)
    assert (written(tmp_path)["stage"], written(tmp_path)["progress"]) == ("completed", 1.0)


def test_a_write_that_is_cut_off_leaves_the_last_whole_one(tmp_path: Path) -> None:
    write_checkpoint(halfway(), tmp_path)

    def torn() -> Iterator[bytes]:
        yield b"{"
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        atomic.write_atomically(tmp_path / FILE_NAME, torn())
    assert written(tmp_path) == halfway().to_json()
